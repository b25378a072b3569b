"""A button's line: what a finger did on it (``button``), as far as its contact can be trusted (``contact``). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from device.core.button import ButtonInput, ButtonLimits, ButtonState, advance_button, button_deadline, new_button
from device.core.contact import ContactLimits, ContactOutcome, ContactState, advance_contact, contact_deadline


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
) -> tuple[LineState, tuple[ContactOutcome, ...]]:
    """Take in an edge or a sample; what comes out counts. ``never_drop``: see ``device.core.contact``."""
    button, told = advance_button(state.button, event, now_ms, button_limits)
    contact, outcomes = advance_contact(state.contact, told, now_ms, contact_limits, never_drop=never_drop)
    same = button is state.button and contact is state.contact
    return state if same else LineState(button, contact), outcomes


def line_deadline(state: LineState, button_limits: ButtonLimits, contact_limits: ContactLimits) -> int | None:
    """The monotonic ms at which a sample is needed, or None."""
    deadlines = (button_deadline(state.button, button_limits), contact_deadline(state.contact, contact_limits))
    return min((at for at in deadlines if at is not None), default=None)
