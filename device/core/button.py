"""A button: from raw edges of a bouncing line to press, hold, release and stuck. Pure.

Two sources speak of one line. *Edges* come with their own times and may be processed late, but in order. *Samples* are
the level read now; they can overtake an edge that is still on its way, so one that contradicts the edges raises a
doubt that lasts ``stable_ms``: the edge arrives in that time, or it was lost and the sample is believed.

With all edges delivered within ``lag_ms``: a line active for ``stable_ms`` in one piece is a press; less never is. It
is recognised ``lag_ms`` after the piece is so long, when no edge that contradicts it can be under way any more. A press
of 40 ms whose bouncing ends within 18 ms is therefore always seen (an edge's whole milliseconds err by one). A finger
is off the button when the line was inactive for ``stable_ms`` in one piece, or has flickered for ``flicker_ms`` without
a piece that only a finger can make: hum that begins during a press must not hide the next one.

If edges were lost the doubt is resolved towards the press: a lost one can cost a life, a false one costs a visit. So
``stable_ms`` after the last edge the level is read once more. One signature of loss is no doubt: an edge to inactive on
an inactive line. The kernel reads the level some microseconds after the interrupt; that is how every short spike looks.

Edges older than the start tell nothing: while pull-ups settle and lines are claimed, they come without any finger. The
level at start is the first word. Whether a line can be trusted over hours is ``device.core.contact``'s matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


@dataclass(frozen=True, slots=True)
class ButtonLimits:
    """Thresholds in ms. 20 ms is above the bouncing of ordinary buttons (1 to 10 ms), below any finger's press."""

    stable_ms: int = 20
    lag_ms: int = 5
    """How late an edge may be told: the notification thread of a busy Pi takes 1 to 3 ms."""
    flicker_ms: int = 100
    """A line that has flickered for so long has no finger on it: one needs a fifth of this to show itself."""
    hold_ms: int = 3_000
    stuck_ms: int = 60_000


class ButtonPhase(Enum):
    """``UNARMED``: not seen released since start, so an active line is no press yet."""

    UNARMED = "unarmed"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ButtonState:
    """What is known of the line. Times are monotonic ms."""

    phase: ButtonPhase
    active: bool
    """The level as the last edge left it."""
    since_ms: int
    """Since when the level has been so without interruption."""
    down_ms: int
    """When the press began (``DOWN``), or when we started (``UNARMED``)."""
    held: bool = False
    stuck: bool = False
    doubt_ms: int | None = None
    """When a sample first contradicted the edges."""
    proven_ms: int = 0
    """Until when only a finger can explain the line, while it is not ``UP``."""
    checked: bool = True
    """Whether a sample has confirmed the level that the last edge left."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The line became active or inactive at ``at_ms``."""

    active: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The level read now; None if it could not be read, which contradicts nothing."""

    active: bool | None


@dataclass(frozen=True, slots=True)
class Pressed:
    """The finger went down at ``at_ms``."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """Down for ``hold_ms``, once per press."""


@dataclass(frozen=True, slots=True)
class Released:
    """The finger went up at ``at_ms``."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class StuckButton:
    """Active for ``stuck_ms``: something lies on it or the line is broken. Once, until ``UnstuckButton``."""


@dataclass(frozen=True, slots=True)
class UnstuckButton:
    """A stuck button was released."""


@dataclass(frozen=True, slots=True)
class LostEdge:
    """A sample was believed because the edge that it spoke of never came."""


@dataclass(frozen=True, slots=True)
class IgnoredEdge:
    """An edge that changes nothing: ``stale`` (older than what is known), ``repeated`` (the same level again) or
    ``short`` (the end of a contact too short for a finger: interference, or the bouncing before a press)."""

    reason: str


ButtonInput = Edge | Sample
ButtonOutcome = Pressed | Held | Released | StuckButton | UnstuckButton | LostEdge | IgnoredEdge


def new_button(now_ms: int, *, active: bool) -> ButtonState:
    """The state at start, with the level as it was read. Active at start is a fault or a finger, never a press.

    Inactive at start is released: the press of somebody who waited for the light must count from the first moment.
    """
    phase = ButtonPhase.UNARMED if active else ButtonPhase.UP
    return ButtonState(phase, active, now_ms, now_ms, proven_ms=now_ms)


def advance_button(
    state: ButtonState, event: ButtonInput, now_ms: int, limits: ButtonLimits
) -> tuple[ButtonState, tuple[ButtonOutcome, ...]]:
    """Take in an edge or a sample. Edges of the future are taken as of now, older ones than known are ignored."""
    match event:
        case Edge(active, at_ms):
            at_ms = min(at_ms, now_ms)
            if at_ms < state.since_ms:
                return state, (IgnoredEdge("stale"),)
            state, outcomes = _settle(state, at_ms, limits)
            if active == state.active:
                # The line left this level and came back too fast for the kernel to see, or the edge between was lost.
                outcomes = (*outcomes, IgnoredEdge("repeated"))
            elif state.active and state.phase is ButtonPhase.UP:
                outcomes = (*outcomes, IgnoredEdge("short"))
            return replace(state, active=active, since_ms=at_ms, doubt_ms=None, checked=False), outcomes
        case Sample(active) if active is None or active == state.active:
            checked = state.checked or now_ms - state.since_ms >= limits.stable_ms + limits.lag_ms
            if state.doubt_ms is not None or checked is not state.checked:
                state = replace(state, doubt_ms=None, checked=checked)
            return _settle(state, now_ms - limits.lag_ms, limits)
        case Sample():
            doubt_ms = state.doubt_ms
            if doubt_ms is None:
                return replace(state, doubt_ms=now_ms), ()
            if now_ms - doubt_ms < limits.stable_ms + limits.lag_ms:
                return state, ()
            state, before = _settle(state, doubt_ms, limits)
            believed = replace(state, active=not state.active, since_ms=doubt_ms, doubt_ms=None, checked=True)
            believed, after = _settle(believed, now_ms - limits.lag_ms, limits)
            return believed, (LostEdge(), *before, *after)


def button_deadline(state: ButtonState, limits: ButtonLimits) -> int | None:
    """The monotonic ms at which a sample is needed, or None while nothing can happen without an edge."""
    decided = _decided_at(state, limits)
    return None if decided is None else decided + limits.lag_ms


def _decided_at(state: ButtonState, limits: ButtonLimits) -> int | None:
    if state.doubt_ms is not None:
        return state.doubt_ms + limits.stable_ms
    if not state.checked:
        return state.since_ms + limits.stable_ms
    match state.phase, state.active:
        case (ButtonPhase.UNARMED, False) | (ButtonPhase.UP, True) | (ButtonPhase.DOWN, False):
            return state.since_ms + limits.stable_ms
        case (ButtonPhase.DOWN, True) if not state.held:
            return state.down_ms + limits.hold_ms
        case (ButtonPhase.UNARMED | ButtonPhase.DOWN, True) if not state.stuck:
            return state.down_ms + limits.stuck_ms
        case _:
            return None


def _settle(state: ButtonState, until_ms: int, limits: ButtonLimits) -> tuple[ButtonState, tuple[ButtonOutcome, ...]]:
    """What the passing of time alone has decided up to ``until_ms``, the level being constant since ``since_ms``."""
    outcomes: list[ButtonOutcome] = []
    stable = until_ms - state.since_ms >= limits.stable_ms
    if state.active and stable:
        if state.phase is ButtonPhase.UP:
            state = replace(state, phase=ButtonPhase.DOWN, down_ms=state.since_ms, held=False)
            outcomes.append(Pressed(state.since_ms))
        if until_ms > state.proven_ms:
            state = replace(state, proven_ms=until_ms)
    if state.phase is not ButtonPhase.UP:
        down_for = state.proven_ms - state.down_ms
        if state.phase is ButtonPhase.DOWN and not state.held and down_for >= limits.hold_ms:
            state = replace(state, held=True)
            outcomes.append(Held())
        if not state.stuck and down_for >= limits.stuck_ms:
            state = replace(state, stuck=True)
            outcomes.append(StuckButton())
        flickers = not stable and until_ms - state.proven_ms >= limits.flicker_ms
        if flickers or (not state.active and stable):
            if state.phase is ButtonPhase.DOWN:
                outcomes.append(Released(state.proven_ms if flickers else state.since_ms))
            if state.stuck:
                outcomes.append(UnstuckButton())
            state = replace(state, phase=ButtonPhase.UP, stuck=False)
    return state, tuple(outcomes)
