"""The contact core: presses and faults come at a bounded rate whatever happens, and no press of help is dropped."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.button import Held, IgnoredEdge, Pressed, Released
from device.core.contact import (
    ContactFault,
    ContactLimits,
    ContactOutcome,
    ContactState,
    Thinned,
    advance_contact,
    contact_deadline,
)
from tests.thorough import examples

LIMITS = ContactLimits()
BURST, EVERY = LIMITS.press_burst, LIMITS.press_every_ms
CALM_AGAIN_MS = BURST * EVERY


class Contact:
    """A contact on virtual time, turned at every deadline as the shell does. ``told``: (ms, outcome)."""

    def __init__(self, *, never_drop: bool = True, now_ms: int = 1_000_000) -> None:
        self.state = ContactState()
        self.now = now_ms
        self.never_drop = never_drop
        self.told: list[tuple[int, ContactOutcome]] = []

    def tell(self, *outcomes: Pressed | Held | Released | IgnoredEdge) -> None:
        self.state, passed = advance_contact(self.state, outcomes, self.now, LIMITS, never_drop=self.never_drop)
        self.told += [(self.now, one) for one in passed]

    def advance(self, ms: int) -> None:
        end = self.now + ms
        while (at := contact_deadline(self.state, LIMITS)) is not None and at <= end:
            before = self.state
            self.now = max(self.now, at)
            self.tell()
            assert self.state != before, "a deadline at which nothing is decided would be asked for ever"
        self.now = end

    def press(self, gap_ms: int = 0) -> None:
        self.advance(gap_ms)
        self.tell(Pressed(self.now))

    def presses(self) -> list[tuple[int, int]]:
        """(told at, happened at)."""
        return [(now, one.at_ms) for now, one in self.told if isinstance(one, Pressed)]

    def faults(self) -> list[tuple[str, bool]]:
        return [(one.code, one.cleared) for _, one in self.told if isinstance(one, ContactFault)]


GAPS = st.lists(st.one_of(st.integers(60, 700), st.integers(0, 50_000), st.integers(0, 1_000_000)), max_size=120)


def most_in(times: Iterable[int], window_ms: int) -> int:
    ordered = sorted(times)
    return max((sum(at <= one < at + window_ms for one in ordered) for at in ordered), default=0)


@examples(few=100, many=1_000)
@given(gaps=GAPS)
def test_no_press_of_help_is_dropped_and_none_is_late_by_more_than_the_interval(gaps: list[int]) -> None:
    contact = Contact()
    for gap in gaps:
        contact.advance(gap)
        pressed_at, before = contact.now, len(contact.presses())
        contact.press()
        came = contact.presses()[before:]
        owed = contact.state.owed_ms == pressed_at
        assert len(came) + owed == 1
        if owed:
            due = contact_deadline(contact.state, LIMITS)
            assert due is not None
            assert due <= pressed_at + EVERY
    contact.advance(EVERY)
    assert contact.state.owed_ms is None
    assert not contact.presses() or contact.presses()[-1][1] == sum(gaps) + 1_000_000  # the newest is never forgotten


@examples(few=100, many=1_000)
@given(gaps=GAPS, never_drop=st.booleans(), window_s=st.integers(1, 7_200))
def test_in_any_time_no_more_come_out_than_the_burst_and_one_for_each_interval(
    gaps: list[int], window_s: int, *, never_drop: bool
) -> None:
    contact = Contact(never_drop=never_drop)
    for gap in gaps:
        contact.press(gap)
    contact.advance(EVERY)
    assert most_in((now for now, _ in contact.presses()), window_s * 1_000) <= BURST + window_s * 1_000 // EVERY + 1


@examples(few=50, many=500)
@given(gaps=st.lists(st.integers(0, 300), min_size=BURST - 1, max_size=BURST - 1))
def test_the_first_twenty_count_at_once_however_fast(gaps: list[int]) -> None:
    """Three within a minute call everybody; a frightened elder presses more."""
    contact = Contact()
    contact.press()
    for gap in gaps:
        contact.press(gap)
    assert [now == at for now, at in contact.presses()] == [True] * BURST
    assert contact.faults() == []


def test_hours_of_chatter_are_one_fault_and_ninety_presses_an_hour() -> None:
    contact, began = Contact(), 1_000_000
    for _ in range(3 * 3_600 * 3):
        contact.press(333)
    assert contact.faults() == [("button_chatter", False)]
    for _ in range((CALM_AGAIN_MS - 2 * EVERY) // 2_000):
        contact.advance(2_000)
        contact.tell()  # the poll
    assert contact.faults() == [("button_chatter", False)]  # it ends after a long calm, not at the first pause
    after_first_hour = [now for now, _ in contact.presses() if now >= began + 3_600_000]
    assert most_in(after_first_hour, 3_600_000) == 3_600_000 // EVERY
    assert most_in(after_first_hour, 60_000) == 2  # three within a minute would call everybody again and again
    contact.advance(3 * EVERY)
    assert contact.faults() == [("button_chatter", False), ("button_chatter", True)]


def test_after_a_calm_of_the_interval_a_press_counts_at_once_though_the_fault_stands() -> None:
    contact = Contact()
    for _ in range(BURST + 5):
        contact.press(200)
    contact.advance(EVERY)  # what was owed is told
    contact.press(EVERY)
    assert contact.presses()[-1] == (contact.now, contact.now)
    assert contact.faults() == [("button_chatter", False)]


def test_chatter_that_comes_and_goes_is_not_a_storm_of_faults() -> None:
    contact = Contact()
    for _ in range(24):  # a day in which it is wet for ten minutes of every hour
        for _ in range(600):
            contact.press(1_000)
        contact.advance(3_000_000)
    assert contact.faults() == [("button_chatter", False), ("button_chatter", True)] * 24


def test_a_chattering_button_that_must_not_err_is_believed_only_after_quiet() -> None:
    """A false "I am coming" or "all is well" can cost a life as well: nothing late, nothing out of the chatter."""
    contact = Contact(never_drop=False)
    for _ in range(3_600):
        contact.press(1_000)
    assert len(contact.presses()) == BURST
    contact.press(EVERY - 1)
    assert len(contact.presses()) == BURST
    contact.press(EVERY)
    assert contact.presses()[BURST:] == [(contact.now, contact.now)]
    contact.press(EVERY - 1)  # quiet is asked for anew before each
    assert len(contact.presses()) == BURST + 1
    contact.advance(300_000)
    for _ in range(5):  # nor does a longer quiet earn more than one
        contact.press(1_000)
    assert len(contact.presses()) == BURST + 2
    contact.advance(CALM_AGAIN_MS)
    assert contact.faults() == [("button_chatter", False), ("button_chatter", True)]
    contact.press(5_000)
    contact.press(1_000)
    assert len(contact.presses()) == BURST + 4


def test_a_hold_of_a_press_that_does_not_count_does_not_either() -> None:
    """A hold of the bell's button closes an alarm."""
    contact = Contact(never_drop=False)
    for _ in range(BURST):
        contact.press(1_000)
    contact.tell(Held())
    contact.press(1_000)
    contact.tell(Held(), Released(contact.now))
    assert [one for _, one in contact.told if isinstance(one, Held | Released)] == [Held(), Released(contact.now)]


def test_a_press_that_waits_is_answered_at_most_every_two_seconds() -> None:
    contact = Contact()
    for _ in range(BURST):
        contact.press(10)
    contact.told.clear()
    for _ in range(30):
        contact.press(500)
    echoes = [now for now, one in contact.told if isinstance(one, Thinned) and one.echo]
    assert [b - a for a, b in pairwise(echoes)] == [LIMITS.echo_ms] * 7


# --- noise ----------------------------------------------------------------------------------------------------------


def hum(contact: Contact, seconds: int, *, period_ms: int = 10, reason: str = "short") -> None:
    for _ in range(seconds * 1_000 // period_ms):
        contact.advance(period_ms)
        contact.tell(IgnoredEdge(reason))


@pytest.mark.parametrize("reason", ["short", "repeated"])
def test_noise_that_lasts_is_one_fault_and_ends_after_a_long_calm(reason: str) -> None:
    contact = Contact()
    hum(contact, 59, reason=reason)
    assert contact.faults() == []
    hum(contact, 600, reason=reason)
    assert contact.faults() == [("button_noisy", False)]
    contact.advance(LIMITS.calm_ms - 1_000)
    assert contact.faults() == [("button_noisy", False)]
    contact.advance(1_000)
    assert contact.faults() == [("button_noisy", False), ("button_noisy", True)]


def test_a_lamp_that_is_switched_now_and_then_is_no_fault() -> None:
    contact = Contact()
    for _ in range(200):
        hum(contact, 2)
        contact.advance(LIMITS.noise_pause_ms + 1_000)
    assert contact.faults() == []


def test_noise_that_comes_and_goes_tells_twice_in_half_an_hour_at_most() -> None:
    contact = Contact()
    for _ in range(20):
        hum(contact, 120, period_ms=100)
        contact.advance(900_000)
    assert contact.faults() == [("button_noisy", False)]


@examples(few=50, many=500)
@given(
    bounces=st.lists(st.lists(st.integers(0, 20), max_size=6), min_size=1, max_size=60), gap_ms=st.integers(200, 9_000)
)
def test_the_bouncing_of_presses_is_no_noise(bounces: list[list[int]], gap_ms: int) -> None:
    """However long somebody goes on pressing a button whose contact bounces."""
    contact = Contact()
    for bounce in bounces * 5:
        contact.advance(gap_ms)
        for pause in bounce:
            contact.advance(pause // 2)
            contact.tell(IgnoredEdge("short"))
        contact.advance(25)
        contact.tell(Pressed(contact.now))
    assert all(code != "button_noisy" for code, _ in contact.faults())
