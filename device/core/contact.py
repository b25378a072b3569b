"""Whether a button's contact can be trusted: what it tells over hours. Pure.

A finger and a wet contact cannot be told apart at one press, only by how many there are. So every press counts at once
until ``press_burst`` of them have come without a pause; then the contact *chatters*: a fault is told, and presses are
thinned to one in ``press_every_ms``, until it has been calm for so long that the whole burst is free again. However a
contact behaves, in any time T no more than ``press_burst`` + T / ``press_every_ms`` presses come out.

What is thinned is a matter of what a wrong press would do:

* *help*: a lost press can cost a life, so none is dropped. Those that had to wait are one press together, which is told
  as soon as there is room: at most ``press_every_ms`` late, under the time of the newest.
* *every other button* ("I am coming", "all is well"): a false one can cost a life, so a press counts only after the
  contact was quiet for ``press_every_ms``, and no late one ever does.

Noise (contacts too short for a finger) raises nothing. A line that has it for ``noisy_ms``, with no pause longer than
``noise_pause_ms``, is a fault; it ends after ``calm_ms`` without any. Noise that a press explains is its bouncing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from device.core.button import ButtonOutcome, Held, IgnoredEdge, Pressed


@dataclass(frozen=True, slots=True)
class ContactLimits:
    """Thresholds, in ms where not said otherwise."""

    press_burst: int = 20
    """Presses that count at once, however fast. Three call everybody; a frightened finger makes two a second."""
    press_every_ms: int = 40_000
    """While the contact chatters. Fewer than three a minute, so that chatter alone does not call everybody again and
    again; less than the 60 s within which a call is to be answered, so that a real press among it is not too late."""
    echo_ms: int = 2_000
    """How often, at most, a press that waits is answered with light and tone: it may be a finger."""
    bounce_ms: int = 100
    """Noise so shortly before a press is its bouncing."""
    noise_pause_ms: int = 10_000
    noisy_ms: int = 60_000
    """A starting lamp or a light switch is over by then; what lasts is a lead, a contact or a neighbour's machine."""
    calm_ms: int = 1_800_000
    """Half an hour, so that a lamp which flickers every few minutes is one fault an evening, not one each time."""


@dataclass(frozen=True, slots=True)
class ContactState:
    """What is known of a contact. Times are monotonic ms."""

    paid_ms: int = 0
    """Until when the presses so far are paid for, each costing ``press_every_ms``; at most a burst's worth ahead."""
    chatter: bool = False
    owed_ms: int | None = None
    """When the newest press happened that waits for room."""
    thinned: bool = False
    """The press that is down, or was the last, did not count: a hold of it does not either."""
    echoed_ms: int | None = None
    noisy: bool = False
    noise_began_ms: int | None = None
    noise_last_ms: int = 0
    pulse_ms: int | None = None
    """When noise came that may still turn out to be the bouncing before a press."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """A press does not count now. ``owed``: it will, later; ``echo``: answer it with light and tone."""

    owed: bool
    echo: bool


@dataclass(frozen=True, slots=True)
class ContactFault:
    """``button_chatter``, ``button_noisy`` or ``button_stuck`` begins or, with ``cleared``, ends."""

    code: str
    text: str
    cleared: bool = False


ContactOutcome = ButtonOutcome | Thinned | ContactFault


def advance_contact(
    state: ContactState, outcomes: Iterable[ButtonOutcome], now_ms: int, limits: ContactLimits, *, never_drop: bool
) -> tuple[ContactState, tuple[ContactOutcome, ...]]:
    """Let pass what counts of a button's outcomes, and say what time has decided. ``never_drop``: the help button."""
    passed: list[ContactOutcome] = []
    for outcome in outcomes:
        match outcome:
            case Pressed():
                state, told = _pressed(state, outcome, now_ms, limits, never_drop=never_drop)
                passed += told
            case Held() if state.thinned:
                pass
            case IgnoredEdge("short" | "repeated"):
                state, told = _noise(state, now_ms, limits)
                passed += [outcome, *told]
            case _:
                passed.append(outcome)
    if state.owed_ms is not None and _room(state, now_ms, limits):
        passed.append(Pressed(state.owed_ms))
        state = replace(_paid(state, now_ms, limits), owed_ms=None, thinned=False)
    if state.chatter and now_ms >= state.paid_ms:
        state = replace(state, chatter=False)
        passed.append(ContactFault("button_chatter", "calm again", cleared=True))
    if state.noisy and now_ms - state.noise_last_ms >= limits.calm_ms:
        state = replace(state, noisy=False)
        passed.append(ContactFault("button_noisy", "calm again", cleared=True))
    return state, tuple(passed)


def contact_deadline(state: ContactState, limits: ContactLimits) -> int | None:
    """The monotonic ms at which time alone decides something, or None."""
    deadlines = (
        _room_at(state, limits) if state.owed_ms is not None else None,
        state.paid_ms if state.chatter else None,
        state.noise_last_ms + limits.calm_ms if state.noisy else None,
    )
    return min((at for at in deadlines if at is not None), default=None)


def _room_at(state: ContactState, limits: ContactLimits) -> int:
    return state.paid_ms - (limits.press_burst - 1) * limits.press_every_ms


def _room(state: ContactState, now_ms: int, limits: ContactLimits) -> bool:
    return now_ms >= _room_at(state, limits)


def _paid(state: ContactState, now_ms: int, limits: ContactLimits) -> ContactState:
    return replace(state, paid_ms=max(state.paid_ms, now_ms) + limits.press_every_ms)


def _pressed(
    state: ContactState, press: Pressed, now_ms: int, limits: ContactLimits, *, never_drop: bool
) -> tuple[ContactState, list[ContactOutcome]]:
    state = replace(state, pulse_ms=None)
    room = _room(state, now_ms, limits)
    if not never_drop and (state.chatter or not room):
        # Used up by every press of a contact that may not err: the next one needs quiet before it.
        state = replace(state, paid_ms=now_ms + limits.press_burst * limits.press_every_ms)
    elif room:
        state = _paid(state, now_ms, limits)
    if room:
        return replace(state, owed_ms=None, thinned=False), [press]
    told: list[ContactOutcome] = []
    if not state.chatter:
        minutes = limits.press_burst * limits.press_every_ms // 60_000
        text = f"more than {limits.press_burst} presses, no pause: wet or worn? {minutes} min of calm clear it"
        told.append(ContactFault("button_chatter", text))
    echo = never_drop and (state.echoed_ms is None or now_ms - state.echoed_ms >= limits.echo_ms)
    told.append(Thinned(owed=never_drop, echo=echo))
    return replace(
        state,
        chatter=True,
        thinned=True,
        owed_ms=press.at_ms if never_drop else None,
        echoed_ms=now_ms if echo else state.echoed_ms,
    ), told


def _noise(state: ContactState, now_ms: int, limits: ContactLimits) -> tuple[ContactState, list[ContactOutcome]]:
    pulse_ms = state.pulse_ms
    if pulse_ms is None:
        return replace(state, pulse_ms=now_ms), []
    if now_ms - pulse_ms < limits.bounce_ms:
        return state, []
    began_ms = state.noise_began_ms
    if began_ms is None or pulse_ms - state.noise_last_ms > limits.noise_pause_ms:
        began_ms = pulse_ms
    state = replace(state, noise_began_ms=began_ms, noise_last_ms=pulse_ms, pulse_ms=now_ms)
    if state.noisy or pulse_ms - began_ms < limits.noisy_ms:
        return state, []
    text = f"interference for {limits.noisy_ms // 1000} s: lead too long, no capacitor, corroded contact?"
    return replace(state, noisy=True), [ContactFault("button_noisy", text)]
