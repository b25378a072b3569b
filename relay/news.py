"""What the database has to say at the beginning of a turn, asked before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from doorbell.wire import Event, EventType
from relay.book import AlarmBook
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.core.renewal import Renewal, RenewalRow
from relay.held import Held
from relay.intake import Heard
from relay.ports import AuditFound, Command, Store, TwinRow

POLL_MS = 1_000
"""How often the database is asked for commands and a new register."""


ReadRegister = Callable[[], tuple[int, Register] | None]
"""Gives the newest register with its version, or None while it is still being read."""


@dataclass(frozen=True, slots=True)
class News:
    """``known``: ids of events that are committed; ``found``: alarms that events or the auditor name and the book
    does not have."""

    known: set[str]
    found: Mapping[str, Alarm]
    commands: Sequence[Command] = ()
    """Those that this relay has to answer: about an alarm of its own, or about none that is open."""
    register: tuple[int, Register] | None = None
    """Only if there is a newer one."""
    renewals: Mapping[str, RenewalRow] = field(default_factory=dict)
    """Of the devices that speak of a renewal."""
    signed: Sequence[RenewalRow] = ()
    """Certificates that were made, whoever is to tell them."""
    twins: Mapping[str, TwinRow] = field(default_factory=dict)
    """With a newer register: of devices that have moved to a community of ours from one that may be another relay's."""


class NewsDesk:
    """Asks for what a turn needs to know. Nothing is changed by asking, so after a ``StoreError`` ask again.

    ``read_register`` is asked at every poll while there is a newer register, until it gives one.
    """

    def __init__(
        self,
        store: Store,
        book: AlarmBook,
        held: Held,
        poll_ms: int,
        mono_ms: int,
        read_register: ReadRegister,
    ) -> None:
        self._store = store
        self._book = book
        self._held = held
        self._poll_ms = poll_ms
        self._read_register = read_register
        self.next_poll_ms = mono_ms

    def ask(self, read: Sequence[object], register: Register, version: int, mono_ms: int) -> News:
        """The news for what came in. ``register``, ``version``: what is in use."""
        events = [item.message for item in read if isinstance(item, Heard) and isinstance(item.message, Event)]
        known = self._store.known_events([event.id for event in events]) if events else set()
        found: dict[str, Alarm] = {}
        wanted = [event.alarm for event in events if event.alarm is not None and event.id not in known]
        wanted += [alarm_id for item in read if isinstance(item, AuditFound) for alarm_id in item.alarms]
        for alarm_id in wanted:
            if self._book.find(alarm_id) is None:
                alarm = self._store.find_alarm(alarm_id)
                if alarm is not None:
                    found[alarm_id] = alarm
        renewing = [
            item.address.device
            for item in read
            if isinstance(item, Heard) and isinstance(item.message, Event) and item.message.type is EventType.RENEW
        ]
        asked = {row.device: row for row in self._store.renewals(devices=renewing)} if renewing else {}
        if mono_ms < self.next_poll_ms:
            return News(known, found, renewals=asked)
        newest, commands = self._store.poll()
        newer = self._read_register() if newest != version else None
        twins = self._moved(register, newer[1]) if newer is not None else {}
        ours = [command for command in commands if self._is_ours(command)]
        signed = self._store.renewals(state=Renewal.SIGNED)
        self.next_poll_ms = mono_ms + self._poll_ms
        return News(known, found, ours, newer, asked, signed, twins)

    def _moved(self, before: Register, after: Register) -> Mapping[str, TwinRow]:
        if self._held.everything:
            return {}
        old = before.devices
        moved = {
            device.id: device.community
            for device in after.devices.values()
            if device.id in old and device.community != old[device.id].community and device.community in self._held
        }
        twins = self._store.load(frozenset(moved.values())).twins if moved else {}
        return {device: twins[device] for device in moved if device in twins}

    def _is_ours(self, command: Command) -> bool:
        """Whether nobody else is to answer: not if the alarm is open in a community that we do not hold."""
        if self._book.find(command.alarm) is not None:
            return True
        alarm = self._store.find_alarm(command.alarm)
        return alarm is None or not alarm.is_open or alarm.community in self._held
