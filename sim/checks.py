"""The rules that may never be broken, checked at every commit, publish and turn of the village.

The checks keep their own book of what really happened (fingers, chimes, commits) and believe neither program: what a
device shows must have been committed by the relay, what the relay says must follow from its own committed alarms, and
what a device forgets must lie in the relay's database.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from device.core.effects import OutboxRow
from device.core.panel import PanelStage
from device.core.role import ButtonName, Role
from doorbell.wire import AlarmKind, EventType, Stage
from relay.core.alarm import Alarm, AlarmStage, NoteType
from relay.core.desired import payload_of
from relay.core.life import APPLIED
from relay.core.register import Register
from relay.ports import Batch, TwinRow
from sim.device_machine import VILLAGE_START, DeviceMachine
from sim.relay_machine import RelayMachine
from sim.schedule import Schedule, Violation

LATE_MS = 1_000
"""A deadline may be missed by this much of the time in which the relay runs with a working database."""
ENDED_MS = 1_000
"""A report may name a chime that ended this recently: the player's word of it is still on its way."""
RECOGNISED_MS = 60
"""A healthy panel has a press on its disk within this time: bouncing, 20 ms of stability, one turn."""
_EVENT_OF = {ButtonName.HELP: EventType.HELP, ButtonName.OK: EventType.OK}
_BUTTON_OF = {
    **{kind: button for button, kind in _EVENT_OF.items()},
    EventType.ACCEPT: ButtonName.ANSWER,
    EventType.DONE: ButtonName.ANSWER,
    EventType.DECLINE: ButtonName.DECLINE,
}
_MS = timedelta(milliseconds=1)
_PANEL_STAGE = {
    Stage.RECEIVED: PanelStage.RECEIVED,
    Stage.RINGING: PanelStage.RINGING,
    Stage.ACCEPTED: PanelStage.COMING,
    Stage.ARRIVED: PanelStage.ARRIVED,
}
_TRUE_STAGES = frozenset(_PANEL_STAGE.values())

Shown = tuple[str, str, str | None] | None
"""What a panel may show: alarm, stage, who."""


class Checks:
    """The book and the rules. Everything raises ``Violation``."""

    def __init__(self, schedule: Schedule, register: Register) -> None:
        self.born: dict[str, tuple[str, OutboxRow]] = {}
        """Every event that a device has committed to its outbox, with the device."""
        self._unsaved: dict[str, str] = {}
        """Events that went out from memory while a disk failed, with the device."""
        self.settled_from_ms: int | None = None
        """Since when the village is healed: from then on a bell may not sound for an alarm closed long ago."""
        self._schedule = schedule
        self._register = register
        """As it was at first: devices and people's names do not change in a village's day."""
        self._raised: dict[str, str] = {}
        self._counted: dict[str, str] = {}
        self._due_ms: dict[str, int] = {}
        """When the deadline of an open alarm really is, in village ms, whatever the relay's wall clock says."""
        self._latest_ms: dict[str, tuple[tuple[Any, ...], int]] = {}
        self._shown: dict[tuple[str, int], Shown] = {}
        self._applied: dict[str, object] = {}
        self._rev_of: dict[str, tuple[int, int]] = {}
        """Which rev a device has applied, and in which run of its process."""
        self._receipts: defaultdict[str, set[str]] = defaultdict(set)
        """What each device was told to be committed."""
        self._closed_ms: dict[str, int] = {}
        self._open: dict[tuple[str, AlarmKind], Alarm] = {}
        self._open_by_id: dict[str, Alarm] = {}
        self._pressed_seq: dict[tuple[str, str], int] = {}
        """The newest press of an alarm by the count of each panel."""
        self._accepts: dict[str, set[str]] = {}
        """Bells whose accept was committed and applied, by alarm."""
        self._newest_rev: dict[str, int] = {}
        self._fingers: Counter[tuple[str, ButtonName]] = Counter()
        self._born_of: Counter[tuple[str, EventType]] = Counter()

    # --- fingers ----------------------------------------------------------------------------------------------------

    def finger(self, machine: DeviceMachine, button: ButtonName) -> None:
        """A finger goes down now, for ``SHORTEST_PRESS_MS`` at least: a healthy panel must have it on its disk soon."""
        self._fingers[machine.name, button] += 1
        kind = _EVENT_OF.get(button)
        if kind is not None and machine.armed(button):
            before = self._born_of[machine.name, kind]
            self._schedule.after(RECOGNISED_MS, self._look_at_finger, machine, kind, before, machine.deaths)

    def _look_at_finger(self, machine: DeviceMachine, kind: EventType, before: int, deaths: int) -> None:
        undisturbed = machine.deaths == deaths and not machine.disk.failing and machine.runtime is not None
        if undisturbed and self._born_of[machine.name, kind] <= before:
            raise Violation(f"{machine.name} did not recognise a press of {kind}")

    # --- devices ----------------------------------------------------------------------------------------------------

    def outbox_committed(
        self, machine: DeviceMachine, keep: Sequence[OutboxRow], forget: Sequence[str], stored: dict[str, Any]
    ) -> None:
        """A device keeps what its buttons did, and forgets only what the relay has committed."""
        for row in keep:
            known = self.born.setdefault(row.id, (machine.name, row))
            if known != (machine.name, row):
                raise Violation(f"event {row.id} was made by {known[0]} and again by {machine.name}")
            self._count_born(machine, row)
        for one in forget:
            owner = self.born.get(one)
            if owner is None:
                continue  # made and overtaken within one failing disk: it never lay there
            if one not in stored and owner[1].type is not EventType.FAULT:
                raise Violation(f"{machine.name} forgets {owner[1].type} {one}, which the relay has not committed")

    def _count_born(self, machine: DeviceMachine, row: OutboxRow) -> None:
        button = _BUTTON_OF.get(row.type)
        if button is None:
            return
        self._born_of[machine.name, row.type] += 1
        if self._born_of[machine.name, row.type] > self._fingers[machine.name, button]:
            raise Violation(f"{machine.name} made a {row.type} that no finger has made")

    def device_turned(self, machine: DeviceMachine) -> None:
        """What a panel shows was committed; what it shows is never older than its newest press."""
        runtime = machine.runtime
        if runtime is None:
            return
        state = runtime.state
        desired = state.twin.desired
        if desired is not None and self._applied.get(machine.name) is not desired:
            self._applied[machine.name] = desired
            self._receipts[machine.name].update(desired.stored)
            alarm = desired.panel.alarm if desired.panel is not None else None
            shown = None if alarm is None else (alarm.id, alarm.stage.value, alarm.who)
            before = self._rev_of.get(machine.name, (0, 0))
            if before[0] == machine.run and desired.rev < before[1]:
                raise Violation(f"{machine.name} went back from rev {before[1]} to {desired.rev}")
            self._rev_of[machine.name] = (machine.run, desired.rev)
            if (machine.name, desired.rev) not in self._shown:
                raise Violation(f"{machine.name} applied rev {desired.rev}, which was never committed")
            if self._shown[machine.name, desired.rev] != shown:
                raise Violation(f"{machine.name} applied {shown} with rev {desired.rev}: not what was committed")
        if machine.role is Role.PANEL:
            self._check_stage(machine)

    def _check_stage(self, machine: DeviceMachine) -> None:
        runtime = machine.runtime
        assert runtime is not None  # noqa: S101 - the caller has looked
        stage = runtime.snapshot().stage
        if stage not in _TRUE_STAGES:
            return
        desired = runtime.state.twin.desired
        alarm = desired.panel.alarm if desired is not None and desired.panel is not None else None
        if alarm is None or _PANEL_STAGE[alarm.stage] != stage:
            raise Violation(f"{machine.name} shows {stage}, but was told {alarm}")
        presses = [row.id for row in machine.disk.rows.values() if row.type is EventType.HELP]
        if not self._receipts[machine.name].issuperset(presses):
            raise Violation(f"{machine.name} shows {stage} while a press of it has no receipt")

    def event_published(self, machine: DeviceMachine, payload: bytes) -> None:
        """Nothing leaves a device before it is on its disk, but what a failing disk does not take."""
        event = json.loads(payload)
        if event["id"] in machine.disk.rows:
            return
        # The news that the disk fails is never offered to it first.
        if event["id"] not in machine.disk.refused and event["type"] != EventType.FAULT:
            raise Violation(f"{machine.name} publishes {event['type']} {event['id']}, which is not on its disk")
        self._unsaved[event["id"]] = machine.name

    def reported(self, machine: DeviceMachine, payload: bytes) -> None:
        """A bell reports only what really sounds."""
        now_ms = self._schedule.now_ms
        for alarm in json.loads(payload)["ringing"]:
            ended_ms = machine.speaker.ended_ms.get(alarm)
            if alarm not in machine.speaker.running and (ended_ms is None or now_ms - ended_ms > ENDED_MS):
                raise Violation(f"{machine.name} reports that it rings for {alarm}, and no chime runs")

    def sounds_too_long(self, machine: DeviceMachine, limit_ms: int) -> None:
        """Once everything is healed a bell is silent ``limit_ms`` after its alarm was closed."""
        if self.settled_from_ms is None:
            return
        for alarm in machine.speaker.running:
            closed_ms = self._closed_ms.get(alarm)
            if closed_ms is not None and self._schedule.now_ms - max(closed_ms, self.settled_from_ms) > limit_ms:
                raise Violation(f"{machine.name} still sounds for {alarm}, closed at {closed_ms} ms")

    # --- the relay --------------------------------------------------------------------------------------------------

    def relay_committed(self, machine: RelayMachine, batch: Batch) -> None:
        """A batch is in the database: everything in it must follow from what really happened."""
        for event in batch.events:
            owner = self.born[event.id][0] if event.id in self.born else self._unsaved.get(event.id)
            if owner != event.device:
                raise Violation(f"the relay committed event {event.id} of {event.device}, which never happened there")
            if event.type == EventType.HELP and event.alarm is None:
                raise Violation(f"press {event.id} was committed to no alarm ({event.verdict})")
        for line in batch.journal:
            if line.type == NoteType.RAISED and line.alarm is not None:
                if line.alarm in self._raised:
                    raise Violation(f"alarm {line.alarm} was raised twice")
                self._raised[line.alarm] = line.household or ""
            if line.type in (NoteType.RAISED, NoteType.PRESSED_AGAIN) and line.event is not None:
                counted = self._counted.setdefault(line.event, line.alarm or "")
                if counted != line.alarm:
                    raise Violation(f"press {line.event} was counted to {counted} and to {line.alarm}")
        self._check_presses(batch)
        for event in batch.events:
            if event.type == EventType.ACCEPT and event.verdict == APPLIED and event.alarm is not None:
                self._accepts.setdefault(event.alarm, set()).add(event.device)
        for id_, verdict in batch.verdicts.items():
            event = machine.store.events[id_]
            if event.type == EventType.ACCEPT and verdict == APPLIED and event.alarm is not None:
                self._accepts.setdefault(event.alarm, set()).add(event.device)
        for alarm in sorted(batch.alarms.values(), key=lambda alarm: alarm.is_open):
            self._check_alarm(machine, alarm)
        for row in batch.twins.values():
            self._check_twin(machine, row)

    def _check_presses(self, batch: Batch) -> None:
        """A press is answered by ringing or by somebody who is coming; and no ``ok`` from before it takes it back."""
        unanswered: set[str] = set()
        for line in batch.journal:
            alarm_id = line.alarm or ""
            owner = self.born.get(line.event or "")
            if line.type in (NoteType.RAISED, NoteType.PRESSED_AGAIN) and owner is not None:
                unanswered.add(alarm_id)
                key = (alarm_id, owner[0])
                self._pressed_seq[key] = max(self._pressed_seq.get(key, 0), owner[1].seq)
            elif line.type in (NoteType.ARRIVED, NoteType.CLOSED):
                unanswered.discard(alarm_id)
                if owner is not None and owner[1].seq < self._pressed_seq.get((alarm_id, owner[0]), 0):
                    raise Violation(f"alarm {alarm_id} is {line.type} by {line.event}, made before the newest press")
        for alarm_id in unanswered:
            if batch.alarms[alarm_id].stage not in (AlarmStage.RINGING, AlarmStage.ACCEPTED):
                raise Violation(f"alarm {alarm_id} was pressed again, and stays {batch.alarms[alarm_id].stage}")

    def _check_alarm(self, machine: RelayMachine, alarm: Alarm) -> None:
        key = (alarm.household, alarm.kind)
        if alarm.id not in self._raised:
            raise Violation(f"alarm {alarm.id} is in the database and was never raised")
        if not alarm.is_open:
            self._closed_ms.setdefault(alarm.id, self._schedule.now_ms)
            self._due_ms.pop(alarm.id, None)
            self._latest_ms.pop(alarm.id, None)
            if self._open_by_id.pop(alarm.id, None) is not None:
                del self._open[key]
            return
        if alarm.id in self._closed_ms:
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
        now_ms, since_ms = self._schedule.now_ms, machine.serving_since_ms
        if since_ms is None or now_ms - max(due_ms, since_ms) <= LATE_MS:
            again_ms = now_ms + 500 if since_ms is None else max(due_ms, since_ms) + LATE_MS + 1
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
        self._shown[row.device, row.rev] = shown
        for receipt in row.stored:
            if receipt not in machine.store.events:
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
        row = machine.store.twins.get(device)
        if row is None or payload != payload_of(row.rev, row.stored, row.content):
            raise Violation(f"{device} is told {payload!r}, the database has {row}")
