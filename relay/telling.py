"""Telling devices what to show: desired states, their revisions and receipts, and the repair of what did not arrive.

A desired state is published after its commit. Whether it arrived is known from ``reported.rev`` alone; one that is
not reported in time is published again while the device is online, and whenever a device connects with another rev.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import islice

from doorbell.wire import STORED_COUNT, Channel, Desired, Topics
from relay.book import AlarmBook, Twin, Wakeups
from relay.core.desired import content_for, content_of, payload_of
from relay.core.presence import Seen
from relay.core.register import Device, DeviceRole, Register
from relay.core.renewal import Renewal, RenewalRow
from relay.ports import TwinRow
from relay.turn import Turn

REPAIR_FIRST_MS = 5_000
"""A device on a good line reports a new rev within a second; less would only double the traffic of a bad one."""
REPAIR_MAX_MS = 60_000
OVERTAKE_MS = 1_000
"""Our own newest state comes back from the broker within this; less would say things twice under load."""
RESENT_AT_ONCE = 1_000
"""States said again in one turn: a tenth of what the link takes before it refuses."""
MAX_OVERTAKEN_REV = 2**52
"""Half of what the contract allows: a device that claims more is broken, and following it leaves no room to count."""


class Teller:
    """Keeps every device's twin and publishes what changed."""

    def __init__(
        self, topics: Topics, book: AlarmBook, held: Container[str], register: Register, twins: Mapping[str, TwinRow]
    ) -> None:
        self._topics = topics
        self._book = book
        self._held = held
        self._register = register
        self._registers = 0
        self._twins: dict[str, Twin] = {}
        self._repairs = Wakeups()
        self._overtaken = Wakeups()
        self._unsent: dict[str, None] = {}
        self._dismissed: dict[str, tuple[str, bytes]] = {}
        """What devices that are registered no more were last told."""
        self._certificates: dict[str, str] = {}
        self.adopt(twins)

    @property
    def register(self) -> Register:
        """The register by which devices are told."""
        return self._register

    @register.setter
    def register(self, register: Register) -> None:
        self._register = register
        self._registers += 1

    def adopt(self, twins: Mapping[str, TwinRow]) -> None:
        """Devices whose state this relay tells from now on, as it was committed."""
        for row in twins.values():
            self._twins[row.device] = Twin(row.rev, row.stored, row.content)

    def certify(self, rows: Iterable[RenewalRow]) -> None:
        """Certificates that devices are to be told from now on, or no more. Their states are to be computed anew."""
        for row in rows:
            self._certificates.pop(row.device, None)
            if row.state is Renewal.TOLD:
                self._certificates[row.device] = row.answer
            if (twin := self._twins.get(row.device)) is not None:
                twin.registered = 0

    def forget(self, devices: Iterable[str]) -> None:
        """These are somebody else's to tell."""
        for device_id in devices:
            self._twins.pop(device_id, None)
            self._repairs.clear(device_id)
            self._overtaken.clear(device_id)
            self._unsent.pop(device_id, None)
            self._certificates.pop(device_id, None)

    def settle(self, turn: Turn, online: Container[str]) -> None:
        """Compute the desired states of everything that this turn touched; changed ones get a new revision."""
        for device_id in (*turn.bells, *turn.panels):
            self._refresh(turn, device_id, online)
        for device_id in turn.receipts:
            if device_id not in turn.bells and device_id not in turn.panels:
                self._refresh(turn, device_id, online)

    def _refresh(self, turn: Turn, device_id: str, online: Container[str]) -> None:
        device = self.register.devices.get(device_id)
        if device is None or device.community not in self._held:
            return
        if device.role is DeviceRole.PANEL:
            alarms = self._book.of_household(device.household or "")
        else:
            alarms = iter(self._book.calling(device_id))
        twin = self._twins.get(device_id)
        if twin is None:
            twin = self._twins[device_id] = Twin()
        known = twin.content[-twin.registered :] if twin.registered and twin.registers == self._registers else b""
        content, twin.registered = content_for(
            self._register, device, alarms, online, known, self._certificates.get(device_id)
        )
        twin.registers = self._registers
        stored = twin.stored
        if heard := turn.receipts.get(device_id):
            fresh = dict.fromkeys(event for event in heard if event not in stored)
            stored = (*stored, *fresh)[-STORED_COUNT:]
        if content != twin.content or stored != twin.stored:
            twin.rev += 1
            twin.stored, twin.content = stored, content
            turn.batch.twins[device_id] = TwinRow(device_id, twin.rev, stored, content)
            self._publish(turn, device_id, twin)
        elif device_id in turn.receipts:
            self._publish(turn, device_id, twin)

    def _publish(self, turn: Turn, device_id: str, twin: Twin) -> None:
        device = self.register.devices.get(device_id)
        if device is None or device.community not in self._held:
            return  # it has moved away, and is somebody else's to tell
        topic = self._topics.of(device.community, device_id, Channel.DESIRED)
        turn.publish[device_id] = (topic, payload_of(twin.rev, twin.stored, twin.content))
        twin.repair_wait_ms = twin.repair_wait_ms or REPAIR_FIRST_MS
        twin.repair_at_ms = turn.mono_ms + twin.repair_wait_ms
        self._repairs.set(device_id, twin.repair_at_ms)

    def reported(self, turn: Turn, device: Device, rev: int) -> None:
        """A device says which revision it has applied: done, or told again, or overtaken if it is ahead of us."""
        device_id = device.id
        twin = self._twins.get(device_id)
        if twin is None:
            turn.touch(device)
            return
        if rev == twin.rev:
            twin.repair_at_ms, twin.repair_wait_ms = None, 0
            self._repairs.clear(device_id)
            return
        if twin.rev < rev <= MAX_OVERTAKEN_REV:
            # Our database is older than what we once said (restored from a back-up): the device must hear us again.
            twin.rev = rev + 1
            turn.batch.twins[device_id] = TwinRow(device_id, twin.rev, twin.stored, twin.content)
        elif twin.repair_at_ms is not None:
            return
        self._publish(turn, device_id, twin)

    def connected(self, turn: Turn) -> None:
        """The link is up: say again what could not be said while it was down, or while its queue was full."""
        for device_id in [*islice(self._unsent, RESENT_AT_ONCE)]:
            del self._unsent[device_id]
            if device_id in self.register.devices:
                self._publish(turn, device_id, self._twins[device_id])
            elif device_id in self._dismissed:
                turn.publish[device_id] = self._dismissed[device_id]

    def dismiss(self, turn: Turn, device: Device) -> None:
        """A device that is registered no more: the broker must not go on showing it what it showed before."""
        twin = self._twins.get(device.id)
        if twin is not None:
            twin.rev, twin.content, twin.registered = twin.rev + 1, content_of(Desired(rev=0)), 0
            turn.batch.twins[device.id] = TwinRow(device.id, twin.rev, twin.stored, twin.content)
            turn.touched.add(device.community)
            topic = self._topics.of(device.community, device.id, Channel.DESIRED)
            self._dismissed[device.id] = topic, payload_of(twin.rev, twin.stored, twin.content)
            turn.publish[device.id] = self._dismissed[device.id]

    def not_sent(self, device_id: str) -> None:
        """The link had no connection for this one; it is published at the next ``connected``."""
        self._unsent[device_id] = None

    def repair(self, turn: Turn, seen: Mapping[str, Seen]) -> int:
        """Publish again what online devices have not reported in time. Returns how many."""
        repaired = 0
        for device_id in self._repairs.pop_due(turn.mono_ms):
            twin = self._twins[device_id]
            twin.repair_at_ms = None
            known = seen.get(device_id)
            if known is None or not known.online or known.rev == twin.rev:
                continue
            twin.repair_wait_ms = min(twin.repair_wait_ms * 2, REPAIR_MAX_MS)
            self._publish(turn, device_id, twin)
            repaired += 1
        return repaired

    def overheard(self, turn: Turn, device_id: str, rev: int) -> None:
        """The broker shows a state of a device: ours, or one that a relay has said which holds its community no more.

        An older one is said over, unless it was only our own that is still on its way behind it.
        """
        twin = self._twins.get(device_id)
        if twin is None or rev >= twin.rev:
            self._overtaken.clear(device_id)
        else:
            self._overtaken.set(device_id, turn.mono_ms + OVERTAKE_MS)

    def overtake(self, turn: Turn) -> int:
        """Publish again what was overtaken at the broker. Returns how many."""
        due = self._overtaken.pop_due(turn.mono_ms)
        for device_id in due:
            self._publish(turn, device_id, self._twins[device_id])
        return len(due)

    def next_ms(self) -> int | None:
        """When the next repair is due."""
        due = (self._repairs.next_ms(), self._overtaken.next_ms())
        return min((at_ms for at_ms in due if at_ms is not None), default=None)
