"""Rules of a button, its contact and its line that a story of presses shows only by chance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.core.button import (
    ButtonInput,
    ButtonLimits,
    ButtonPhase,
    ButtonState,
    Edge,
    Held,
    IgnoredEdge,
    LostEdge,
    Pressed,
    Released,
    Sample,
    UnstuckButton,
    advance_button,
    button_deadline,
    new_button,
)
from device.core.contact import ContactFault, ContactLimits, ContactState, Thinned, advance_contact
from device.core.line import LineState, advance_line, new_line

LIMITS, CONTACT = ButtonLimits(), ContactLimits()
NOW = 1_000_000
DOWN = ButtonState(ButtonPhase.DOWN, active=True, since_ms=NOW, down_ms=NOW, proven_ms=NOW, checked=True)
CALM_MS = LIMITS.stable_ms + LIMITS.lag_ms


@pytest.mark.parametrize(
    ("state", "after_ms"),
    [
        (DOWN, LIMITS.hold_ms),
        (replace(DOWN, held=True), LIMITS.stuck_ms),
        (replace(DOWN, held=True, stuck=True), None),
        (replace(new_button(NOW, active=True), checked=True), LIMITS.stuck_ms),
        (replace(DOWN, active=False), LIMITS.stable_ms),
        (replace(DOWN, phase=ButtonPhase.UP, active=False), None),
        (replace(DOWN, doubt_ms=NOW + 7), LIMITS.stable_ms + 7),
        (replace(DOWN, checked=False), LIMITS.stable_ms),
    ],
    ids=["to be held", "to be stuck", "stuck", "on from the start", "let go", "idle", "in doubt", "just moved"],
)
def test_when_a_line_is_looked_at(state: ButtonState, after_ms: int | None) -> None:
    """Asked for too late, a hold is told late; asked for in vain, the loop never sleeps."""
    expected = None if after_ms is None else NOW + after_ms + LIMITS.lag_ms
    assert button_deadline(state, LIMITS) == expected


def test_a_finger_that_rests_on_a_bouncing_button_at_start_is_no_press() -> None:
    state = new_button(NOW, active=True)
    told: list[object] = []
    moves: list[tuple[ButtonInput, int]] = [
        (Edge(False, NOW + 5), 5),
        (Edge(True, NOW + 10), 10),
        (Sample(True), 10 + CALM_MS),
    ]
    for event, ms in moves:
        state, outcomes = advance_button(state, event, NOW + ms, LIMITS)
        told += outcomes
    assert told == []
    assert state.phase is ButtonPhase.UNARMED


def test_a_look_that_contradicts_is_believed_only_if_the_next_says_the_same_long_enough() -> None:
    up = replace(DOWN, phase=ButtonPhase.UP, active=False)
    doubt, _ = advance_button(up, Sample(True), NOW + 1_000, LIMITS)
    assert advance_button(doubt, Sample(True), NOW + 1_000 + CALM_MS - 1, LIMITS) == (doubt, ())
    _, outcomes = advance_button(doubt, Sample(True), NOW + 1_000 + CALM_MS, LIMITS)
    assert outcomes == (LostEdge(), Pressed(NOW + 1_000))
    calm, _ = advance_button(doubt, Sample(False), NOW + 1_010, LIMITS)
    _, outcomes = advance_button(calm, Sample(True), NOW + 9_000, LIMITS)
    assert outcomes == (), "a doubt that was laid to rest does not count for the next"


def test_a_bouncing_release_happened_when_the_contact_opened_for_good() -> None:
    state = DOWN
    told: list[Released] = []
    moves: list[tuple[ButtonInput, int]] = [
        (Edge(False, NOW + 1_000), 1_000),
        (Edge(True, NOW + 1_005), 1_005),
        (Edge(False, NOW + 1_010), 1_010),
        (Sample(False), 1_010 + CALM_MS),
    ]
    for event, ms in moves:
        state, outcomes = advance_button(state, event, NOW + ms, LIMITS)
        told += [one for one in outcomes if isinstance(one, Released)]
    assert told == [Released(NOW + 1_010)]


def test_a_line_that_flickers_on_has_been_let_go_when_it_was_last_surely_down() -> None:
    state, ms = DOWN, 1_000
    told: list[Released] = []
    state, _ = advance_button(state, Edge(False, NOW + ms), NOW + ms, LIMITS)
    while ms < 1_000 + LIMITS.flicker_ms:
        ms += 8
        state, outcomes = advance_button(state, Edge(not state.active, NOW + ms), NOW + ms, LIMITS)
        told += [one for one in outcomes if isinstance(one, Released)]
    assert told == [Released(NOW + 1_000)]


def test_a_stuck_button_that_ends_in_a_flicker_is_told_as_free_also_by_the_shortest_contact() -> None:
    """The fault would stand for ever: nothing else that comes would end it."""
    state, ms = replace(DOWN, held=True, stuck=True), 70_000
    state, _ = advance_button(state, Edge(False, NOW + ms), NOW + ms, LIMITS)
    for ms in range(70_010, 70_000 + LIMITS.flicker_ms, 10):
        state, outcomes = advance_button(state, Edge(not state.active, NOW + ms), NOW + ms, LIMITS)
        assert outcomes == ()
    at_ms = NOW + 70_000 + LIMITS.flicker_ms
    _, outcomes = advance_button(state, Edge(False, at_ms), at_ms, LIMITS)
    assert outcomes == (Released(NOW + 70_000), UnstuckButton(), IgnoredEdge("short"))


def test_a_doubt_ends_with_the_edge_that_explains_it() -> None:
    """What contradicts next has its own time to be explained in."""
    state = replace(DOWN, phase=ButtonPhase.UP, active=False)
    moves: list[tuple[ButtonInput, int]] = [
        (Sample(True), 1_000),
        (Edge(True, NOW + 1_001), 1_002),
        (Edge(False, NOW + 1_010), 1_011),
        (Sample(True), 1_030),
    ]
    told: list[object] = []
    for event, ms in moves:
        state, outcomes = advance_button(state, event, NOW + ms, LIMITS)
        told += outcomes
    assert told == [IgnoredEdge("short")]


def test_a_hold_needs_its_three_seconds_also_where_the_edge_was_lost() -> None:
    state = replace(DOWN, phase=ButtonPhase.UP, active=False)
    state, _ = advance_button(state, Sample(True), NOW, LIMITS)
    late_ms = NOW + LIMITS.hold_ms + LIMITS.lag_ms
    assert advance_button(state, Sample(True), late_ms - 1, LIMITS)[1] == (LostEdge(), Pressed(NOW))
    assert advance_button(state, Sample(True), late_ms, LIMITS)[1] == (LostEdge(), Pressed(NOW), Held())


# --- the contact ------------------------------------------------------------------------------------------------------


def worn(presses: int = CONTACT.press_burst) -> ContactState:
    """A help button's contact whose burst is used up."""
    state = ContactState()
    for number in range(presses):
        state, outcomes = advance_contact(state, [Pressed(NOW + number)], NOW + number, CONTACT, never_drop=True)
        assert outcomes == (Pressed(NOW + number),)
    return state


def test_a_hold_of_a_press_that_does_not_count_is_none_and_counts_again_with_the_press() -> None:
    state, outcomes = advance_contact(worn(), [Pressed(NOW + 500)], NOW + 500, CONTACT, never_drop=True)
    assert outcomes[-1] == Thinned(owed=True, echo=True)
    assert advance_contact(state, [Held()], NOW + 600, CONTACT, never_drop=True)[1] == ()
    later = NOW + CONTACT.press_every_ms
    state, outcomes = advance_contact(state, [], later, CONTACT, never_drop=True)
    assert outcomes == (Pressed(NOW + 500),)
    assert advance_contact(state, [Held()], later + 9, CONTACT, never_drop=True)[1] == (Held(),)


def test_a_press_that_finds_room_takes_the_place_of_one_that_waits() -> None:
    state, _ = advance_contact(worn(), [Pressed(NOW + 500)], NOW + 500, CONTACT, never_drop=True)
    later = NOW + CONTACT.press_every_ms
    state, outcomes = advance_contact(state, [Pressed(later)], later, CONTACT, never_drop=True)
    assert outcomes == (Pressed(later),)
    assert advance_contact(state, [Held()], later + 9, CONTACT, never_drop=True)[1] == (Held(),)
    much_later = later + 3 * CONTACT.press_every_ms
    assert Pressed(NOW + 500) not in advance_contact(state, [], much_later, CONTACT, never_drop=True)[1]


def test_a_technician_reads_how_long_it_was_and_what_clears_it() -> None:
    _, (chatter, _) = advance_contact(worn(), [Pressed(NOW + 500)], NOW + 500, CONTACT, never_drop=True)
    assert isinstance(chatter, ContactFault)
    assert "more than 20 presses" in chatter.text
    assert "13 min of calm" in chatter.text
    state = ContactState()
    told: list[str] = []
    for ms in range(0, CONTACT.noisy_ms + 5_000, 1_000):
        state, outcomes = advance_contact(state, [IgnoredEdge("short")], NOW + ms, CONTACT, never_drop=True)
        told += [one.text for one in outcomes if isinstance(one, ContactFault)]
    assert [text.split(":")[0] for text in told] == ["interference for 60 s"]


def test_a_stuck_button_is_told_with_its_time_and_released_with_its_word() -> None:
    told: list[object] = []
    state: LineState = new_line(NOW, active=True)
    moves: list[tuple[ButtonInput, int]] = [
        (Sample(True), LIMITS.stuck_ms + LIMITS.lag_ms),
        (Edge(False, NOW + LIMITS.stuck_ms + 500), LIMITS.stuck_ms + 500),
        (Sample(False), LIMITS.stuck_ms + 500 + CALM_MS),
    ]
    for event, ms in moves:
        state, outcomes = advance_line(state, event, NOW + ms, LIMITS, CONTACT, never_drop=True)
        told += outcomes
    text = f"active for {LIMITS.stuck_ms / 1000:.0f} s"
    assert told == [
        ContactFault("button_stuck", text),
        ContactFault("button_stuck", "released", cleared=True),
    ]
