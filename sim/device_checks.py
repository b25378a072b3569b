"""The rules that no device may ever break, checked at every transaction, publish and turn.

The checks believe neither program: what a panel shows must have been committed by the relay, what a device forgets must
lie in the relay's database, what a bell reports must really sound, and every press was made by a finger.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Sequence

from device.core.contact import ContactLimits
from device.core.effects import OutboxRow
from device.core.panel import PanelStage, PanelState
from device.core.peer import PeerLimits
from device.core.promise import Promise
from device.core.role import ButtonName, Role
from doorbell.wire import EventType, Stage
from sim.device_machine import DeviceMachine
from sim.schedule import Schedule, Violation
from sim.truth import Truth

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
_PANEL_STAGE = {
    Stage.RECEIVED: PanelStage.RECEIVED,
    Stage.RINGING: PanelStage.RINGING,
    Stage.ACCEPTED: PanelStage.COMING,
    Stage.ARRIVED: PanelStage.ARRIVED,
}
_TRUE_STAGES = frozenset(_PANEL_STAGE.values())
_PEER = PeerLimits()
_CONTACT = ContactLimits()


class DeviceChecks:
    """Watches all devices. Everything raises ``Violation``."""

    def __init__(self, schedule: Schedule, truth: Truth) -> None:
        self._schedule = schedule
        self._truth = truth
        self._applied: dict[str, object] = {}
        self._rev_of: dict[str, tuple[int, int]] = {}
        """Which rev a device has applied, and in which run of its process."""
        self._receipts: defaultdict[str, set[str]] = defaultdict(set)
        """What each device was told to be committed."""
        self._fingers: Counter[tuple[str, ButtonName]] = Counter()
        self._waited_ms: dict[tuple[str, int, str], int] = {}
        """By a device, the run of its process, and an event that it was told directly: how long the slowest copy was
        on its way."""
        self._born_of: Counter[tuple[str, EventType]] = Counter()

    # --- fingers ----------------------------------------------------------------------------------------------------

    def finger(self, machine: DeviceMachine, button: ButtonName) -> None:
        """A finger goes down now, for ``SHORTEST_PRESS_MS`` at least: a healthy panel must have it on its disk soon."""
        self._fingers[machine.name, button] += 1
        kind = _EVENT_OF.get(button)
        if kind is not None and machine.armed(button):
            before = self._born_of[machine.name, kind]
            wait_ms = RECOGNISED_MS
            if machine.spared(button):
                if button is not ButtonName.HELP:
                    return  # it counts only after a pause
                wait_ms += _CONTACT.press_every_ms
            self._schedule.after(wait_ms, self._look_at_finger, machine, kind, before, machine.deaths)

    def _look_at_finger(self, machine: DeviceMachine, kind: EventType, before: int, deaths: int) -> None:
        undisturbed = machine.deaths == deaths and not machine.disk.failing and machine.runtime is not None
        if undisturbed and self._born_of[machine.name, kind] <= before:
            raise Violation(f"{machine.name} did not recognise a press of {kind}")

    # --- devices ----------------------------------------------------------------------------------------------------

    def outbox_committed(
        self, machine: DeviceMachine, keep: Sequence[OutboxRow], forget: Sequence[str], stored: Container[str]
    ) -> None:
        """A device keeps what its buttons did, and forgets only what the relay has committed."""
        for row in keep:
            known = self._truth.born.setdefault(row.id, (machine.name, row))
            if known != (machine.name, row):
                raise Violation(f"event {row.id} was made by {known[0]} and again by {machine.name}")
            self._truth.born_ms.setdefault(row.id, self._schedule.now_ms)
            self._count_born(machine, row)
        for one in forget:
            owner = self._truth.born.get(one)
            if owner is None:
                continue  # made and overtaken within one failing disk: it never lay there
            if one not in stored and owner[1].type is not EventType.FAULT:
                raise Violation(f"{machine.name} forgets {owner[1].type} {one}, which the relay has not committed")

    def outbox_refused(self, machine: DeviceMachine, keep: Sequence[OutboxRow]) -> None:
        """What a failing disk does not take has happened all the same."""
        for row in keep:
            self._truth.refused.setdefault(row.id, (machine.name, row))
            self._truth.born_ms.setdefault(row.id, self._schedule.now_ms)

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
            if (machine.name, desired.rev) not in self._truth.shown:
                raise Violation(f"{machine.name} applied rev {desired.rev}, which was never committed")
            if self._truth.shown[machine.name, desired.rev] != shown:
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
        role = runtime.state.role
        promise = role.word.promise if isinstance(role, PanelState) else None
        if (
            promise is not None
            and isinstance(role, PanelState)
            and (alarm is None or _PANEL_STAGE[alarm.stage] != stage or role.unreceipted)
        ):
            self._check_promise(machine, promise)
            return
        if alarm is None or _PANEL_STAGE[alarm.stage] != stage:
            raise Violation(f"{machine.name} shows {stage}, but was told {alarm}")
        presses = {row.id for row in machine.disk.rows.values() if row.type is EventType.HELP}
        waiting = set() if machine.disk.unread else presses - self._receipts[machine.name]
        over = role.word.over if isinstance(role, PanelState) else frozenset()
        if not waiting <= over or not all(self._may_be_over(machine, press) for press in waiting):
            raise Violation(f"{machine.name} shows {stage} while a press of it has no receipt")

    def _may_be_over(self, machine: DeviceMachine, press: str) -> bool:
        """Whether a press that the relay has not heard of is over for the elder: somebody has said since then that it
        is done, or there was a newer press, after the helper had come."""
        born_ms = self._truth.born_ms
        return any(
            born_ms[row.id] >= born_ms[press] and row.id != press
            for device, row in (*self._truth.born.values(), *self._truth.refused.values())
            if row.type is EventType.DONE or (row.type is EventType.HELP and device == machine.name)
        )

    def _check_promise(self, machine: DeviceMachine, promise: Promise) -> None:
        """What the panel says without the relay, a person at a paired bell has said, and not too long ago."""
        owner = self._truth.happened(promise.event.id)
        press = self._truth.happened(promise.alarm)
        if owner is None or owner[0] != promise.bell or owner[1].type is not EventType.ACCEPT:
            raise Violation(f"{machine.name} was promised {promise.event.id} by {promise.bell}, where nobody said so")
        pressed = press is not None and press[1].type is EventType.HELP and press[0] == machine.name
        if owner[1].alarm != promise.alarm or not (pressed or promise.alarm in self._truth.told[machine.name]):
            raise Violation(f"{machine.name} takes {promise.event.id}, said to {owner[1].alarm}, for {promise.alarm}")
        waited_ms = self._waited_ms.get((machine.name, machine.run, promise.event.id), 0)
        age_ms = self._schedule.now_ms - self._truth.born_ms[promise.event.id] - waited_ms
        if not promise.arrived and age_ms > _PEER.arrive_ms + ENDED_MS:
            raise Violation(f"{machine.name} still believes a promise of {age_ms} ms ago")

    def peer_heard(self, machine: DeviceMachine, payload: bytes) -> None:
        """A copy of what another device says directly has arrived. Its wait on the way is counted nowhere, so the one
        that a device takes may be older than it says by that."""
        said = json.loads(payload)
        born_ms = self._truth.born_ms.get(said["id"])
        if born_ms is not None:
            key, waited_ms = (machine.name, machine.run, said["id"]), self._schedule.now_ms - born_ms - said["age_ms"]
            self._waited_ms[key] = max(self._waited_ms.get(key, waited_ms), waited_ms)

    def event_published(self, machine: DeviceMachine, payload: bytes) -> None:
        """Nothing leaves a device before it is on its disk, but what a failing disk does not take."""
        event = json.loads(payload)
        if event["id"] in machine.disk.rows:
            return
        # The news that the disk fails is never offered to it first.
        if event["id"] not in machine.disk.refused and event["type"] != EventType.FAULT:
            raise Violation(f"{machine.name} publishes {event['type']} {event['id']}, which is not on its disk")
        self._truth.unsaved[event["id"]] = machine.name

    def reported(self, machine: DeviceMachine, payload: bytes) -> None:
        """A bell reports only what really sounds."""
        now_ms = self._schedule.now_ms
        for alarm in json.loads(payload)["ringing"]:
            ended_ms = machine.speaker.ended_ms.get(alarm)
            if alarm not in machine.speaker.running and (ended_ms is None or now_ms - ended_ms > ENDED_MS):
                raise Violation(f"{machine.name} reports that it rings for {alarm}, and no chime runs")

    def sounds_too_long(self, machine: DeviceMachine, limit_ms: int) -> None:
        """Once everything is healed a bell is silent ``limit_ms`` after its alarm was closed."""
        healed_ms = self._truth.healed_ms
        if healed_ms is None:
            return
        for alarm in machine.speaker.running:
            closed_ms = self._truth.closed_ms.get(alarm)
            if closed_ms is not None and self._schedule.now_ms - max(closed_ms, healed_ms) > limit_ms:
                raise Violation(f"{machine.name} still sounds for {alarm}, closed at {closed_ms} ms")
