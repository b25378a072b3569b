"""The rules that the relay may never break, checked at every commit and publish.

What it says must follow from its own committed alarms, those from what really happened at the devices; every open alarm
has a deadline, and each is kept, whatever the wall clock does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from doorbell.wire import AlarmKind, EventType
from relay.core.alarm import Alarm, AlarmStage, NoteType
from relay.core.desired import payload_of
from relay.core.life import APPLIED
from relay.core.register import Register
from relay.ports import Batch, EventRow, JournalRow, TwinRow
from relay.runtime import BACKLOG_MS
from sim.device_machine import VILLAGE_START
from sim.lease_checks import FAILOVER_MS, LeaseChecks
from sim.relay_machine import RelayMachine
from sim.schedule import Schedule, Violation
from sim.truth import Shown, Truth

LATE_MS = 1_000
"""A deadline may be missed by this much of the time in which the relay runs with a working database."""
LOOK_AGAIN_MS = 10_000
"""While no relay serves a deadline is looked at so often."""
DOUBT_MS = 15_000
"""Two clocks may disagree by this much on when something happened: what the relay believes, and time on the way."""
_MS = timedelta(milliseconds=1)
_REFUSALS = {NoteType.DECLINED, NoteType.HANDED_BACK}
_ANSWERS = {NoteType.ACCEPTED, *_REFUSALS}


class RelayChecks:
    """Watches the relay. Everything raises ``Violation``."""

    def __init__(self, schedule: Schedule, truth: Truth, register: Register) -> None:
        self._schedule = schedule
        self._truth = truth
        self._register = register
        """As it was at first: devices and people's names do not change in a village's day."""
        self._leases: LeaseChecks | None = None
        self._raised: set[str] = set()
        self._counted: dict[str, str] = {}
        self._due_ms: dict[str, int] = {}
        """When the deadline of an open alarm really is, in village ms, whatever the relay's wall clock says."""
        self._latest_ms: dict[str, tuple[tuple[Any, ...], int]] = {}
        """By when the present wait of an alarm must be over, and which wait that is."""
        self._open: dict[tuple[str, AlarmKind], Alarm] = {}
        self._open_by_id: dict[str, Alarm] = {}
        self._pressed_ms: dict[str, int] = {}
        """When the newest press of an alarm really was."""
        self._dated_behind: set[str] = set()
        """Events that came in while the broker's queue did: an answer among them may wait here for its press."""
        self._waited_ms: dict[str, int] = {}
        """How long a press of an alarm was on its way at the most."""
        self._pressed_seq: dict[tuple[str, str], int] = {}
        """The newest press of an alarm by the count of each panel."""
        self._accepts: dict[str, set[str]] = {}
        """Bells whose accept was committed and applied, by alarm."""
        self._refused_seq: dict[tuple[str, str], int] = {}
        """The newest refusal of an alarm by the count of each bell."""
        self._newest_rev: dict[str, int] = {}

    def watch_leases(self, machines: Sequence[RelayMachine]) -> None:
        """There are several relays."""
        self._leases = LeaseChecks(machines, self._register)

    def relay_committed(self, machine: RelayMachine, batch: Batch) -> None:
        """A batch is in the database: everything in it must follow from what really happened."""
        if self._leases is not None:
            self._leases.committed(machine, batch)
        for event in batch.events:
            self._check_event(event)
            self._note_wait(machine, event)
        self._check_presses(batch)
        if machine.decided_ms - machine.link_up_ms > BACKLOG_MS + LATE_MS:
            self._check_times(batch)
        else:
            self._dated_behind.update(event.id for event in batch.events)
        for event in (*batch.events, *(machine.store.data.events[id_] for id_ in batch.verdicts)):
            if event.type == EventType.ACCEPT and event.verdict == APPLIED and event.alarm is not None:
                self._accepts.setdefault(event.alarm, set()).add(event.device)
        for line in batch.journal:
            if line.type in _ANSWERS:
                self._check_answer(line)
        for alarm in sorted(batch.alarms.values(), key=lambda alarm: alarm.is_open):
            self._check_alarm(machine, alarm)
        if self._leases is not None:
            self._leases.begun(batch)
        for row in batch.twins.values():
            self._check_twin(machine, row)

    def _check_answer(self, line: JournalRow) -> None:
        """Who has said that she cannot is not shown as coming for what she had said before. In the order in which it
        was applied: an answer that waited for its press is heard with it."""
        made, key = self._truth.happened(line.event or ""), (line.alarm or "", line.device or "")
        if made is None:
            return
        if line.type in _REFUSALS:
            self._refused_seq[key] = max(self._refused_seq.get(key, 0), made[1].seq)
        elif made[1].seq < self._refused_seq.get(key, 0):
            raise Violation(f"alarm {line.alarm} is accepted by {line.event}, made before a refusal at that bell")

    def _check_event(self, event: EventRow) -> None:
        if self._truth.maker_of(event.id) != event.device:
            raise Violation(f"the relay committed event {event.id} of {event.device}, which never happened there")
        if event.type == EventType.HELP and event.alarm is None:
            raise Violation(f"press {event.id} was committed to no alarm ({event.verdict})")

    def _note_wait(self, machine: RelayMachine, event: EventRow) -> None:
        """A line that was cut and came back unnoticed gives out what waited in it. Between clocks that may be wrong
        the relay can only take such a press for as old as it said when it was sent: for later than it was."""
        if event.type == EventType.HELP and event.alarm is not None:
            sent_ms = self._truth.born_ms.get(event.id, 0) + json.loads(event.body)["age_ms"]
            self._waited_ms[event.alarm] = max(self._waited_ms.get(event.alarm, 0), machine.decided_ms - sent_ms)

    def _check_presses(self, batch: Batch) -> None:
        """A press is answered by ringing or by somebody who is coming; and no ``ok`` from before it takes it back."""
        unanswered: set[str] = set()
        for line in batch.journal:
            alarm_id = line.alarm or ""
            owner = self._truth.happened(line.event or "")
            if line.type == NoteType.RAISED:
                if alarm_id in self._raised:
                    raise Violation(f"alarm {alarm_id} was raised twice")
                self._raised.add(alarm_id)
            if line.type in (NoteType.RAISED, NoteType.PRESSED_AGAIN) and owner is not None:
                if self._counted.setdefault(owner[1].id, alarm_id) != alarm_id:
                    raise Violation(f"press {line.event} was counted to two alarms, the other is {alarm_id}")
                unanswered.add(alarm_id)
                self._pressed_ms[alarm_id] = max(
                    self._pressed_ms.get(alarm_id, 0), self._truth.born_ms[line.event or ""]
                )
                key = (alarm_id, owner[0])
                self._pressed_seq[key] = max(self._pressed_seq.get(key, 0), owner[1].seq)
            elif line.type in (NoteType.ARRIVED, NoteType.CLOSED):
                unanswered.discard(alarm_id)
                if owner is not None and owner[1].seq < self._pressed_seq.get((alarm_id, owner[0]), 0):
                    raise Violation(f"alarm {alarm_id} is {line.type} by {line.event}, made before the newest press")
        for alarm_id in unanswered:
            if batch.alarms[alarm_id].stage not in (AlarmStage.RINGING, AlarmStage.ACCEPTED):
                raise Violation(f"alarm {alarm_id} was pressed again, and stays {batch.alarms[alarm_id].stage}")

    def _check_times(self, batch: Batch) -> None:
        """No answer is refused for being old that is not, whatever the wall clocks of its device and the relay say."""
        for event in batch.events:
            born_ms, pressed_ms = self._truth.born_ms.get(event.id), self._pressed_ms.get(event.alarm or "")
            if event.verdict != "older_than_press" or born_ms is None or pressed_ms is None:
                continue
            if born_ms - pressed_ms > DOUBT_MS + self._waited_ms.get(event.alarm or "", 0):
                raise Violation(f"{event.type} {event.id}, {born_ms - pressed_ms} ms after the press, is held older")
        for line in batch.journal:
            born_ms = self._truth.born_ms.get(line.event or "")
            dated = line.event not in self._dated_behind
            if line.type == NoteType.ACCEPTED_LATE and born_ms is not None and line.after is not None and dated:
                age_ms = self._schedule.now_ms - born_ms
                if age_ms < line.after.policy.arrive_wait_s * 1000 - DOUBT_MS:
                    raise Violation(f"accept {line.event} is refused as late after {age_ms} ms")

    def _check_alarm(self, machine: RelayMachine, alarm: Alarm) -> None:
        key = (alarm.household, alarm.kind)
        if alarm.id not in self._raised:
            raise Violation(f"alarm {alarm.id} is in the database and was never raised")
        if not alarm.is_open:
            self._truth.closed_ms.setdefault(alarm.id, self._schedule.now_ms)
            self._due_ms.pop(alarm.id, None)
            self._latest_ms.pop(alarm.id, None)
            if self._open_by_id.pop(alarm.id, None) is not None:
                del self._open[key]
            return
        if alarm.id in self._truth.closed_ms:
            raise Violation(f"alarm {alarm.id} was closed and is open again")
        rival = self._open.setdefault(key, alarm)
        if rival.id != alarm.id:
            raise Violation(f"{alarm.household} has two open alarms for {alarm.kind}: {rival.id} and {alarm.id}")
        self._open[key] = self._open_by_id[alarm.id] = alarm
        if alarm.deadline is None or alarm.due is None:
            raise Violation(f"open alarm {alarm.id} has no deadline")
        if alarm.stage is AlarmStage.ACCEPTED and alarm.helpers[-1].device not in self._accepts.get(alarm.id, ()):
            raise Violation(
                f"alarm {alarm.id} is accepted by {alarm.helpers[-1].device}, whose answer is not committed"
            )
        self._check_deadline(machine, alarm)

    def _check_deadline(self, machine: RelayMachine, alarm: Alarm) -> None:
        assert alarm.deadline is not None  # noqa: S101 - the caller has looked
        now_ms = self._schedule.now_ms
        due_ms = (alarm.deadline - VILLAGE_START) // _MS - machine.decided_error_ms
        before_ms = self._due_ms.get(alarm.id)
        if before_ms == due_ms:
            return
        wait_s = {
            AlarmStage.RINGING: alarm.policy.steps[alarm.step].wait_s,
            AlarmStage.ACCEPTED: alarm.policy.arrive_wait_s,
        }.get(alarm.stage, alarm.policy.done_wait_s)
        since_ms = (alarm.since - VILLAGE_START) // _MS - machine.decided_error_ms
        key = (alarm.stage, since_ms, alarm.step, alarm.round)
        old_key, latest_ms = self._latest_ms.get(alarm.id, (None, 0))
        if key != old_key or alarm.stage is AlarmStage.ARRIVED:
            latest_ms = now_ms + wait_s * 1000
            self._latest_ms[alarm.id] = (key, latest_ms)
        if due_ms > latest_ms + LATE_MS:
            raise Violation(
                f"alarm {alarm.id} ({alarm.stage}, step {alarm.step + 1}) is due at {due_ms} ms: "
                f"{due_ms - latest_ms} ms later than its policy allows"
            )
        self._due_ms[alarm.id] = due_ms
        self._schedule.at(due_ms + LATE_MS + 1, self._look_at_deadline, machine, alarm.id, due_ms)

    def _look_at_deadline(self, machine: RelayMachine, alarm_id: str, due_ms: int) -> None:
        if self._due_ms.get(alarm_id) != due_ms:
            return
        now_ms, since_ms, late_ms = self._schedule.now_ms, machine.serving_since_ms, LATE_MS
        if self._leases is not None:
            since_ms, late_ms = self._leases.served_since_ms(), LATE_MS + FAILOVER_MS
        if since_ms is None or now_ms - max(due_ms, since_ms) <= late_ms:
            again_ms = now_ms + LOOK_AGAIN_MS if since_ms is None else max(due_ms, since_ms) + late_ms + 1
            self._schedule.at(again_ms, self._look_at_deadline, machine, alarm_id, due_ms)
            return
        raise Violation(f"alarm {alarm_id} was due at {due_ms} ms and nothing has happened by {now_ms} ms")

    def _check_twin(self, machine: RelayMachine, row: TwinRow) -> None:
        if self._newest_rev.get(row.device, 0) >= row.rev:
            raise Violation(
                f"rev of {row.device} went from {self._newest_rev[row.device]} to {row.rev} in the database"
            )
        self._newest_rev[row.device] = row.rev
        content = json.loads(row.content)
        alarm = (content["panel"] or {}).get("alarm") if content["panel"] is not None else None
        shown = None if alarm is None else (alarm["id"], alarm["stage"], alarm["who"])
        self._truth.shown[row.device, row.rev] = shown
        if shown is not None:
            self._truth.told[row.device].add(shown[0])
        for receipt in row.stored:
            if receipt not in machine.store.data.events:
                raise Violation(f"{row.device} gets a receipt for {receipt}, which is not committed")
        household = self._register.devices[row.device].household
        if household is not None and shown != self._may_show(household):
            raise Violation(f"{row.device} is to show {shown}, the database says {self._may_show(household)}")
        for ring in content["rings"]:
            open_alarm = self._open_by_id.get(ring["alarm"])
            if open_alarm is None or ring["stage"] != open_alarm.stage.value:
                raise Violation(f"{row.device} is to ring {ring}, the database says {open_alarm}")

    def _may_show(self, household: str) -> Shown:
        """What the household's panel may say, worked out from the committed alarms once more and differently."""
        alarm = self._open.get((household, AlarmKind.HELP)) or self._open.get((household, AlarmKind.CHECKIN))
        if alarm is None:
            return None
        if alarm.stage is AlarmStage.RINGING:
            return alarm.id, "ringing" if alarm.sounding else "received", None
        helper = alarm.helpers[-1].person
        people = self._register.people
        return alarm.id, alarm.stage.value, people[helper].name if helper in people else helper

    def relay_published(self, machine: RelayMachine, device: str, payload: bytes) -> None:
        """Nothing leaves the relay but what its database holds at this moment."""
        if machine.looked_ms < self._schedule.now_ms:
            return  # stopped after its last look at the clock: what it says now the holder says over
        if self._leases is not None:
            self._leases.published(machine, device, self._schedule.now_ms)
        row = machine.store.data.twins.get(device)
        if row is None or payload != payload_of(row.rev, row.stored, row.content):
            raise Violation(f"{device} is told {payload!r}, the database has {row}")
