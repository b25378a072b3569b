"""A button's line: what a finger did on it (``button``), as far as its contact can be trusted (``contact``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from device.core.button import (
    ButtonInput,
    ButtonLimits,
    ButtonState,
    Held,
    IgnoredEdge,
    LostEdge,
    Pressed,
    Released,
    StuckButton,
    UnstuckButton,
    advance_button,
    button_deadline,
    new_button,
)
from device.core.contact import (
    ContactFault,
    ContactLimits,
    ContactOutcome,
    ContactState,
    Thinned,
    advance_contact,
    contact_deadline,
)
from device.core.role import ButtonName

LineOutcome = Pressed | Held | Released | LostEdge | IgnoredEdge | Thinned | ContactFault


@dataclass(frozen=True, slots=True)
class LineState:
    """Both halves of what is known."""

    button: ButtonState
    contact: ContactState = ContactState()


def new_line(now_ms: int, *, active: bool) -> LineState:
    """The state at start, with the level as it was read; see ``new_button``."""
    return LineState(new_button(now_ms, active=active))


def advance_line(
    state: LineState,
    event: ButtonInput,
    now_ms: int,
    button_limits: ButtonLimits,
    contact_limits: ContactLimits,
    *,
    never_drop: bool,
) -> tuple[LineState, tuple[LineOutcome, ...]]:
    """Take in an edge or a sample; what comes out counts, stuck buttons as faults. ``never_drop``: see ``contact``."""
    button, told = advance_button(state.button, event, now_ms, button_limits)
    contact, outcomes = advance_contact(state.contact, told, now_ms, contact_limits, never_drop=never_drop)
    same = button is state.button and contact is state.contact
    return state if same else LineState(button, contact), tuple(_fault(one, button_limits) for one in outcomes)


def line_deadline(state: LineState, button_limits: ButtonLimits, contact_limits: ContactLimits) -> int | None:
    """The monotonic ms at which a sample is needed, or None."""
    deadlines = (button_deadline(state.button, button_limits), contact_deadline(state.contact, contact_limits))
    return min((at for at in deadlines if at is not None), default=None)


def lines_deadline(
    lines: Mapping[ButtonName, LineState], button_limits: ButtonLimits, contact_limits: ContactLimits
) -> int | None:
    """The monotonic ms at which some line needs a sample, or None."""
    deadlines = (line_deadline(one, button_limits, contact_limits) for one in lines.values())
    return min((at for at in deadlines if at is not None), default=None)


def lines_due(
    lines: Mapping[ButtonName, LineState], now_ms: int, button_limits: ButtonLimits, contact_limits: ContactLimits
) -> tuple[ButtonName, ...]:
    """The buttons whose lines need a sample now."""
    due = ((name, line_deadline(one, button_limits, contact_limits)) for name, one in lines.items())
    return tuple(name for name, at in due if at is not None and at <= now_ms)


def _fault(outcome: ContactOutcome, limits: ButtonLimits) -> LineOutcome:
    match outcome:
        case StuckButton():
            return ContactFault("button_stuck", f"active for {limits.stuck_ms // 1000} s")
        case UnstuckButton():
            return ContactFault("button_stuck", "released", cleared=True)
        case _:
            return outcome
