"""Watching the devices: who is online, and which bells really sound which alarm.

Presence is not stored: the retained messages bring it back after a restart. Until they have (``SETTLE_MS`` after the
first connection) a device of which nothing is known is given the benefit of the doubt, so that a restart of the relay
makes no step look deaf.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from doorbell.wire import Presence, Reported
from relay.book import AlarmBook, Wakeups
from relay.core.alarm import Alarm
from relay.core.desk import is_asked
from relay.core.journal import LineType
from relay.core.presence import NEVER_SEEN, Seen, extend_patience, note_presence, note_report, note_time
from relay.core.register import Device, DeviceRole, Register
from relay.ports import JournalRow
from relay.turn import Turn

CATCH_UP_MS = 3_000
"""So long after the relay has read everything that waited, what still lies with the broker has come in as well."""
SETTLE_MS = 3_000
"""Retained messages arrive within this time of the first subscription (a broker on a slow line, a thousand devices)."""


class _Reachable(Container[str]):
    """The devices that may hear: those online and, before everything is known, those not known to be offline."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __contains__(self, device: object) -> bool:
        watch = self._watch
        return device in watch.online or (not watch.settled and device not in watch.seen)


class Watch:
    """Presence of devices and the sound of bells."""

    def __init__(self, book: AlarmBook, held: Container[str], register: Register) -> None:
        self._book = book
        self._held = held
        self.register = register
        self.seen: dict[str, Seen] = {}
        self.online: set[str] = set()
        self.reachable: Container[str] = _Reachable(self)
        self.settled = False
        self._settle_at_ms: int | None = None
        self._connected = False
        self._silences = Wakeups()
        self._judge_from_ms = 0
        self._sounding: dict[str, set[str]] = {}

    def link_down(self) -> None:
        """The relay hears nobody: that is no device's silence."""
        self._connected = False

    def link_up(self, now_ms: int) -> None:
        """The relay is connected: the retained messages are on their way, and everybody has an interval to be heard."""
        self._connected = True
        for device_id in self.online:
            seen = self.seen[device_id] = extend_patience(self.seen[device_id], now_ms)
            self._silences.set(device_id, seen.silent_at_ms)
        if not self.settled and self._settle_at_ms is None:
            self._settle_at_ms = now_ms + SETTLE_MS

    def settle(self, turn: Turn) -> bool:
        """Whether this is the turn from which silence means absence: look at every alarm and every device anew."""
        if self.settled or self._settle_at_ms is None or turn.mono_ms < self._settle_at_ms:
            return False
        self.settled = True
        return True

    def heard(self, turn: Turn, device: Device, message: Reported | Presence, *, retained: bool = False) -> None:
        """A device reported, or its birth or will arrived; ``retained``: the broker kept it, for who knows how long."""
        old = self.seen.get(device.id, NEVER_SEEN)
        if isinstance(message, Reported):
            if retained and old.willed:
                return  # its will is newer than its last report, in whichever order the broker hands them out
            new = note_report(message, turn.mono_ms)
        else:
            new = note_presence(old, message, turn.mono_ms)
        self._changed(turn, device, old, new)
        if new.online:
            self._silences.set(device.id, new.silent_at_ms)

    def behind(self, now_ms: int) -> None:
        """Reports wait unread, or the relay did nothing for a while: silence proves nothing until that is made up."""
        self._judge_from_ms = now_ms + CATCH_UP_MS

    def says_anything_new(self, device_id: str, report: Reported) -> bool:
        """Whether a report tells what is not known of the device. Asked on the link's thread, so one look only.

        Everything in a report that the relay acts on has to be compared here.
        """
        seen = self.seen.get(device_id, NEVER_SEEN)
        told = note_report(report, seen.silent_at_ms)
        return replace(told, silent_at_ms=seen.silent_at_ms) != seen

    def vouch(self, turn: Turn, device: Device) -> None:
        """A heartbeat of the device came and was not read, because it said nothing new."""
        seen = self.seen.get(device.id, NEVER_SEEN)
        if not seen.willed and seen is not NEVER_SEEN:
            alive = replace(extend_patience(seen, turn.mono_ms), online=True)
            self._changed(turn, device, seen, alive)
            self._silences.set(device.id, alive.silent_at_ms)

    def pass_time(self, turn: Turn) -> None:
        """Devices that kept silent too long are held offline."""
        if not self._connected or turn.mono_ms < self._judge_from_ms:
            return
        for device_id in self._silences.pop_due(turn.mono_ms):
            device = self.register.devices.get(device_id)
            old = self.seen.get(device_id)
            if device is None:  # no longer registered
                gone = self.seen.pop(device_id, NEVER_SEEN)
                self.online.discard(device_id)
                for alarm_id in gone.ringing:
                    self._note_sound(turn, device_id, alarm_id, sounds=False)
            elif old is not None:
                self._changed(turn, device, old, note_time(old, turn.mono_ms))

    def sounding(self, alarm: Alarm) -> tuple[str, ...]:
        """The bells that report that this alarm's chime runs, sorted."""
        bells = set(self._sounding.get(alarm.id, ()))
        if not self.settled:
            bells.update(bell for bell in alarm.sounding if bell not in self.seen)
        return tuple(sorted(bell for bell in bells if self._may_sound(bell, alarm)))

    def rename(self, turn: Turn, press: str, alarm_id: str) -> None:
        """A press was counted to an alarm: bells that sound it by the id of the press sound the alarm."""
        if bells := self._sounding.pop(press, None):
            self._sounding.setdefault(alarm_id, set()).update(bells)
            turn.wake.add(alarm_id)

    def next_ms(self) -> int | None:
        """When somebody may fall silent, or when everything is known."""
        silent = self._silences.next_ms() if self._connected else None
        if silent is not None:
            silent = max(silent, self._judge_from_ms)
        if self.settled or self._settle_at_ms is None:
            return silent
        return self._settle_at_ms if silent is None else min(silent, self._settle_at_ms)

    def _may_sound(self, bell: str, alarm: Alarm) -> bool:
        """Whether to believe it: a stranger that claims to ring would show the elder what is not so."""
        device = self.register.devices.get(bell)
        return device is not None and is_asked(self.register, device, alarm)

    def _changed(self, turn: Turn, device: Device, old: Seen, new: Seen) -> None:
        first = device.id not in self.seen
        self.seen[device.id] = new
        if new.online != old.online:
            self._came_or_went(turn, device, online=new.online)
        if new.ringing != old.ringing:
            for alarm_id in (*old.ringing, *new.ringing):
                self._note_sound(turn, device.id, alarm_id, sounds=alarm_id in new.ringing)
        if first or new.online != old.online:
            turn.wake.update(alarm.id for alarm in self._book.calling(device.id))

    def _note_sound(self, turn: Turn, bell: str, alarm_or_press: str, *, sounds: bool) -> None:
        alarm = self._book.find(alarm_or_press)
        alarm_id = alarm.id if alarm is not None else alarm_or_press
        bells = self._sounding.setdefault(alarm_id, set())
        (bells.add if sounds else bells.discard)(bell)
        if not bells:
            del self._sounding[alarm_id]
        turn.wake.add(alarm_id)

    def _came_or_went(self, turn: Turn, device: Device, *, online: bool) -> None:
        (self.online.add if online else self.online.discard)(device.id)
        if device.role is DeviceRole.BELL:
            for household in self.register.households_of_volunteer.get(device.person or "", ()):
                turn.panels.update(dict.fromkeys(self.register.panels_of.get(household, ())))
        if self.settled and device.community in self._held:
            kind = LineType.DEVICE_ONLINE if online else LineType.DEVICE_OFFLINE
            turn.batch.journal.append(
                JournalRow(turn.now, device.community, kind.value, household=device.household, device=device.id)
            )
