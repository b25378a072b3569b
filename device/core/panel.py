"""The elder's panel: a press becomes help, and the answer is true and comes in steps. Pure.

The stage shown is computed anew from two things only, so it cannot say more than they do:

* presses without a receipt: the youngest truth there is. ``heard`` for 10 s, then ``unreachable`` until the receipt
  comes. They outweigh whatever desired said before: a ``coming`` from this morning, left over on a line that broke,
  must not answer tonight's press.
* else the alarm in the last desired: ``received``, ``ringing``, ``coming``, ``arrived``. It stays while the link is
  down (a helper who said "coming" is coming), because nothing that happened here contradicts it. But ``coming`` is a
  promise with an end: the relay, which would ring again when nobody arrives, cannot say so over a dead line. 15 min
  after the last desired, with the link down, the panel shows ``unreachable``; with the link up desired rules again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from device.core.effects import Ignored, Play
from device.core.outbox import Happened
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    ChimeStopped,
    DesiredApplied,
    LinkChanged,
    RoleEffect,
    RoleInput,
    TimePassed,
)
from device.core.signals import Light, Tone
from doorbell.wire import Coverage, Desired, EventType, PanelAlarm, Stage


class PanelStage(StrEnum):
    """How far help has come, as the elder is told."""

    IDLE = "idle"
    HEARD = "heard"
    RECEIVED = "received"
    RINGING = "ringing"
    COMING = "coming"
    ARRIVED = "arrived"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PanelLimits:
    """``unreachable_ms``: how long to wait for a receipt (product: 10 s). ``closed_ms``: how long the end is shown.
    ``coming_ms``: how long ``coming`` is believed without hearing from the relay (policy: 10 min to arrive)."""

    unreachable_ms: int = 10_000
    closed_ms: int = 5_000
    coming_ms: int = 15 * 60_000


@dataclass(frozen=True, slots=True)
class PanelState:
    """What the panel knows. ``unreceipted``: presses with the monotonic ms of each, oldest first. ``desired_ms``: when
    the last desired came, monotonic."""

    unreceipted: tuple[tuple[str, int], ...] = ()
    alarm: PanelAlarm | None = None
    coverage: Coverage | None = None
    link_up: bool = False
    closed_until_ms: int | None = None
    desired_ms: int = 0
    stage: PanelStage = PanelStage.IDLE


_STAGE_OF = {
    Stage.RECEIVED: PanelStage.RECEIVED,
    Stage.RINGING: PanelStage.RINGING,
    Stage.ACCEPTED: PanelStage.COMING,
    Stage.ARRIVED: PanelStage.ARRIVED,
}
_LIGHT_OF = {
    PanelStage.HEARD: Light.HEARD,
    PanelStage.RECEIVED: Light.RECEIVED,
    PanelStage.RINGING: Light.RINGING,
    PanelStage.COMING: Light.COMING,
    PanelStage.ARRIVED: Light.ARRIVED,
    PanelStage.UNREACHABLE: Light.UNREACHABLE,
    PanelStage.CLOSED: Light.CLOSED,
}
_TONE_OF = {
    PanelStage.RECEIVED: Tone.RECEIVED,
    PanelStage.RINGING: Tone.RINGING,
    PanelStage.COMING: Tone.COMING,
    PanelStage.ARRIVED: Tone.ARRIVED,
    PanelStage.UNREACHABLE: Tone.UNREACHABLE,
    PanelStage.CLOSED: Tone.CLOSED,
}
_IDLE_LIGHT_OF = {
    Coverage.COVERED: Light.COVERED,
    Coverage.THIN: Light.THIN,
    Coverage.UNCOVERED: Light.UNCOVERED,
}


def with_presses(state: PanelState, unreceipted_helps: Iterable[str], now_ms: int) -> PanelState:
    """Presses of before a restart, read from the outbox: they have a fresh 10 s to connect and be receipted in."""
    return replace(state, unreceipted=(*state.unreceipted, *((event_id, now_ms) for event_id in unreceipted_helps)))


def advance_panel(
    state: PanelState, event: RoleInput, now_ms: int, limits: PanelLimits
) -> tuple[PanelState, tuple[RoleEffect, ...]]:
    """Take in one event; a changed stage is told by a tone, and by ``panel_light``."""
    effects: list[RoleEffect] = []
    match event:
        case ButtonDown(ButtonName.HELP, at_ms, event_id):
            effects = [Happened(event_id, EventType.HELP, at_ms), Play(Tone.HEARD)]
            state = replace(state, unreceipted=(*state.unreceipted, (event_id, at_ms)))
        case ButtonDown(ButtonName.OK, at_ms, event_id):
            effects = [Happened(event_id, EventType.OK, at_ms), Play(Tone.HEARD)]
        case ButtonDown(button):
            effects = [Ignored("no_such_button", button)]
        case ButtonHeld():
            effects = [Ignored("hold_means_nothing")]  # no gesture on a panel takes help back
        case DesiredApplied(desired):
            state = _apply(state, desired, now_ms, limits)
        case LinkChanged(up):
            state = replace(state, link_up=up)
        case ChimeStarted() | ChimeStopped():
            effects = [Ignored("panel_has_no_chime")]
        case TimePassed():
            pass
    state, told = _restaged(state, now_ms, limits)
    return state, (*effects, *told)


def panel_light(state: PanelState) -> Light:
    """What the light says: the stage, or at rest whether a press made now would be heard."""
    if state.stage is not PanelStage.IDLE:
        return _LIGHT_OF[state.stage]
    if not state.link_up:
        return Light.OFFLINE
    return _IDLE_LIGHT_OF[state.coverage] if state.coverage is not None else Light.UNCOVERED


def panel_deadline(state: PanelState, limits: PanelLimits) -> int | None:
    """The monotonic ms at which the stage changes by time alone, or None."""
    if state.stage is PanelStage.HEARD:
        return state.unreceipted[0][1] + limits.unreachable_ms
    if state.stage is PanelStage.COMING and not state.link_up:
        return state.desired_ms + limits.coming_ms
    return state.closed_until_ms if state.stage is PanelStage.CLOSED else None


def _apply(state: PanelState, desired: Desired, now_ms: int, limits: PanelLimits) -> PanelState:
    panel = desired.panel
    left = tuple(one for one in state.unreceipted if one[0] not in desired.stored)
    alarm = panel.alarm if panel is not None else None
    was_open = state.alarm is not None or len(left) < len(state.unreceipted)
    return replace(
        state,
        unreceipted=left,
        alarm=alarm,
        coverage=panel.coverage if panel is not None else None,
        closed_until_ms=now_ms + limits.closed_ms if was_open and alarm is None else state.closed_until_ms,
        desired_ms=now_ms,
    )


def _restaged(state: PanelState, now_ms: int, limits: PanelLimits) -> tuple[PanelState, list[RoleEffect]]:
    if state.closed_until_ms is not None and (now_ms >= state.closed_until_ms or state.alarm or state.unreceipted):
        state = replace(state, closed_until_ms=None)
    stage = _stage(state, now_ms, limits)
    effects: list[RoleEffect] = [Play(_TONE_OF[stage])] if stage is not state.stage and stage in _TONE_OF else []
    return replace(state, stage=stage), effects


def _stage(state: PanelState, now_ms: int, limits: PanelLimits) -> PanelStage:
    if state.unreceipted:
        waited_ms = now_ms - state.unreceipted[0][1]
        return PanelStage.UNREACHABLE if waited_ms >= limits.unreachable_ms else PanelStage.HEARD
    if state.alarm is not None:
        stage = _STAGE_OF[state.alarm.stage]
        stale = not state.link_up and now_ms - state.desired_ms >= limits.coming_ms
        return PanelStage.UNREACHABLE if stale and stage is PanelStage.COMING else stage
    return PanelStage.IDLE if state.closed_until_ms is None else PanelStage.CLOSED
