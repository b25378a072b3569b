"""The button core: no press of 40 ms is missed, no noise below the threshold raises, whatever the bouncing."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.button import (
    ButtonInput,
    ButtonLimits,
    ButtonOutcome,
    ButtonPhase,
    ButtonState,
    Edge,
    Held,
    IgnoredEdge,
    LostEdge,
    Pressed,
    Released,
    Sample,
    StuckButton,
    UnstuckButton,
    advance_button,
    button_deadline,
    new_button,
)
from tests.device.line_model import MS, POLL_US, Finger, Wire, bounce, kernel_edges, observe, story
from tests.thorough import examples

LIMITS = ButtonLimits()


class Line:
    """A line with its true level; turns the core as the shell does: edges late by ``lag_ms``, samples at deadlines."""

    def __init__(self, *, active: bool = False, lag_ms: int = 0) -> None:
        self.state = new_button(0, active=active)
        self.levels: list[tuple[int, bool]] = [(0, active)]
        self.lag_ms = lag_ms
        self.outcomes: list[ButtonOutcome] = []

    def level(self, at_ms: int) -> bool:
        return [level for since, level in self.levels if since <= at_ms][-1]

    def play(self, edges: list[tuple[int, bool]], until_ms: int) -> list[ButtonOutcome]:
        """``edges``: (time, level), rising in time, levels alternating."""
        self.levels += edges
        coming = [(at + self.lag_ms, Edge(level, at)) for at, level in edges]
        now = 0
        while True:
            deadline = button_deadline(self.state, LIMITS)
            due = max(deadline, now) if deadline is not None else until_ms + 1
            if coming and coming[0][0] <= due:
                now, edge = coming.pop(0)
                self._advance(edge, now)
            elif due <= until_ms:
                now = due
                self._advance(Sample(self.level(now)), now)
                after = button_deadline(self.state, LIMITS)
                assert after is None or after > now, "the same deadline would be asked for without end"
            else:
                return self.outcomes

    def _advance(self, event: ButtonInput, now: int) -> None:
        self.state, outcomes = advance_button(self.state, event, now, LIMITS)
        self.outcomes += outcomes


def presses(outcomes: list[ButtonOutcome]) -> list[int]:
    return [one.at_ms for one in outcomes if isinstance(one, Pressed)]


def edges_of(start_ms: int, active: bool, pieces: list[int]) -> list[tuple[int, bool]]:
    """Alternating edges, the first to ``active`` at ``start_ms``, with these pauses between them."""
    edges = [(start_ms, active)]
    for piece in pieces:
        edges.append((edges[-1][0] + piece, not edges[-1][1]))
    return edges


# Bouncing of an ordinary button: an even number of short pieces, so that the level ends where it began to go.
BOUNCE = st.lists(st.integers(1, 4), max_size=2).map(lambda p: p + p)  # at most 16 ms


@given(press_ms=st.integers(40, 10_000), down=BOUNCE, up=BOUNCE, lag_ms=st.integers(0, LIMITS.lag_ms))
def test_no_press_of_40_ms_or_longer_is_missed(press_ms: int, down: list[int], up: list[int], lag_ms: int) -> None:
    line = Line(lag_ms=lag_ms)
    edges = edges_of(100, True, down) + edges_of(100 + press_ms, False, up)
    outcomes = line.play(edges, 100 + press_ms + 500)
    assert presses(outcomes) == [100 + sum(down)]
    assert sum(isinstance(one, Released) for one in outcomes) == 1
    assert line.state.phase is ButtonPhase.UP
    down_ms, held = press_ms - sum(down), sum(isinstance(one, Held) for one in outcomes)
    assert held == 1 if down_ms >= LIMITS.hold_ms else held == 0 or down_ms + sum(up) >= LIMITS.hold_ms


@given(
    pulses=st.lists(
        st.tuples(st.integers(1, LIMITS.stable_ms - 1), st.integers(1, 200)), min_size=1, max_size=30
    ),
    lag_ms=st.integers(0, LIMITS.lag_ms),
)  # fmt: skip
def test_no_noise_below_the_threshold_ever_raises(pulses: list[tuple[int, int]], lag_ms: int) -> None:
    line, at, edges = Line(lag_ms=lag_ms), 100, []
    for active_ms, rest_ms in pulses:
        edges += [(at, True), (at + active_ms, False)]
        at += active_ms + rest_ms
    assert presses(line.play(edges, at + 500)) == []


@given(
    fingers=st.lists(st.tuples(st.integers(40, 400), BOUNCE, st.integers(60, 400)), min_size=1, max_size=8),
    lag_ms=st.integers(0, LIMITS.lag_ms),
)
def test_every_press_is_counted_once(fingers: list[tuple[int, list[int], int]], lag_ms: int) -> None:
    line, at, edges = Line(lag_ms=lag_ms), 100, []
    for press_ms, pieces, rest_ms in fingers:
        edges += edges_of(at, True, pieces) + edges_of(at + press_ms, False, pieces)
        at += press_ms + rest_ms
    outcomes = line.play(edges, at + 500)
    assert len(presses(outcomes)) == len(fingers)
    assert presses(outcomes) == sorted(presses(outcomes))


@given(
    events=st.lists(
        st.one_of(st.builds(Edge, st.booleans(), st.integers(0, 70_000)), st.builds(Sample, st.none() | st.booleans())),
        max_size=60,
    ),
    steps=st.lists(st.integers(0, 2_000), min_size=60, max_size=60),
    active=st.booleans(),
)
def test_any_events_in_any_order_give_presses_and_releases_in_turn(
    events: list[ButtonInput], steps: list[int], *, active: bool
) -> None:
    state, now, told = new_button(0, active=active), 0, []
    for event, step in zip(events, steps, strict=False):
        now += step
        state, outcomes = advance_button(state, event, now, LIMITS)
        told += [type(one) for one in outcomes if isinstance(one, Pressed | Released)]
        assert state.since_ms <= now
    assert all(a is not b for a, b in pairwise(told))
    assert not told or told[0] is Pressed


def test_a_press_is_recognised_on_the_way_down_after_20_ms_and_the_lag() -> None:
    line = Line()
    line.play([(100, True)], 124)
    assert line.outcomes == []
    assert line.play([], 125) == [Pressed(100)]


def test_hold_is_told_once_and_stuck_once_and_unstuck_at_release() -> None:
    line = Line()
    outcomes = line.play([(100, True), (100 + 200_000, False)], 300_000)
    assert outcomes == [Pressed(100), Held(), StuckButton(), Released(200_100), UnstuckButton()]


def test_a_flicker_during_a_hold_does_not_end_it() -> None:
    line = Line()
    outcomes = line.play([(100, True), (1_000, False), (1_010, True), (5_000, False)], 6_000)
    assert outcomes == [Pressed(100), Held(), Released(5_000)]


def test_a_line_active_at_start_is_no_press_but_stuck_after_a_minute_and_arms_when_released() -> None:
    line = Line(active=True)
    outcomes = line.play([(90_000, False), (90_500, True), (90_600, False)], 91_000)
    assert outcomes == [StuckButton(), UnstuckButton(), Pressed(90_500), Released(90_600)]


def test_a_lost_edge_is_made_up_for_by_a_sample_after_the_doubt() -> None:
    state = ButtonState(ButtonPhase.UP, active=False, since_ms=0, down_ms=0)
    state, outcomes = advance_button(state, Sample(True), 1_000, LIMITS)
    assert outcomes == ()
    assert button_deadline(state, LIMITS) == 1_025
    state, outcomes = advance_button(state, Sample(True), 1_025, LIMITS)
    assert outcomes == (LostEdge(), Pressed(1_000))


def test_a_poll_does_not_decide_before_late_edges_had_their_time() -> None:
    state = ButtonState(ButtonPhase.UP, active=True, since_ms=1_000, down_ms=0)
    after, outcomes = advance_button(state, Sample(True), 1_024, LIMITS)
    assert (after, outcomes) == (state, ())
    assert advance_button(state, Sample(True), 1_025, LIMITS)[1] == (Pressed(1_000),)


def test_an_edge_that_a_sample_has_overtaken_decides_by_its_own_time() -> None:
    """Noise of 10 ms whose end is processed late: the sample at 20 ms must not make it a press."""
    state = ButtonState(ButtonPhase.UP, active=False, since_ms=0, down_ms=0)
    state, _ = advance_button(state, Edge(True, 1_000), 1_000, LIMITS)
    state, outcomes = advance_button(state, Sample(False), 1_025, LIMITS)
    assert outcomes == ()
    state, outcomes = advance_button(state, Edge(False, 1_010), 1_027, LIMITS)
    assert outcomes == (IgnoredEdge("short"),)
    assert state.phase is ButtonPhase.UP


def test_a_short_press_processed_late_is_a_press() -> None:
    """Both edges of a press in one batch, long after it."""
    state = ButtonState(ButtonPhase.UP, active=False, since_ms=0, down_ms=0)
    state, _ = advance_button(state, Edge(True, 1_000), 2_000, LIMITS)
    state, outcomes = advance_button(state, Edge(False, 1_040), 2_000, LIMITS)
    assert outcomes == (Pressed(1_000),)


@pytest.mark.parametrize(
    ("event", "reason"), [(Edge(True, 400), "stale"), (Edge(False, 600), "repeated")]
)  # fmt: skip
def test_useless_edges_are_named(event: Edge, reason: str) -> None:
    state = ButtonState(ButtonPhase.UP, active=False, since_ms=500, down_ms=0)
    after, outcomes = advance_button(state, event, 700, LIMITS)
    assert outcomes == (IgnoredEdge(reason),)
    assert after.phase is ButtonPhase.UP


def test_a_line_that_cannot_be_read_contradicts_nothing() -> None:
    state = ButtonState(ButtonPhase.UP, active=True, since_ms=0, down_ms=0)
    _, outcomes = advance_button(state, Sample(None), 25, LIMITS)
    assert outcomes == (Pressed(0),)


def test_a_press_in_the_first_millisecond_after_the_start_counts() -> None:
    """A line that was inactive at start had to stay so for 20 ms before a press was believed: one was lost there."""
    limits = ButtonLimits()
    state, _ = advance_button(new_button(0, active=False), Edge(active=True, at_ms=1), 1, limits)
    _, outcomes = advance_button(state, Sample(active=True), 1 + limits.stable_ms + limits.lag_ms, limits)
    assert outcomes == (Pressed(1),)


# --- what a Pi would tell of a living room: tests/device/line_model.py; button_figures.py plays more of it -----------


SEEDS = st.integers(0, 2**63)


@examples(few=150, many=3_000)
@given(seed=SEEDS)
def test_a_quiet_line_gives_every_press_of_40_ms_once_and_nothing_else(seed: int) -> None:
    told = story(random.Random(seed), noisy=False)
    verdict = observe(told, LIMITS)
    assert (verdict.missed, verdict.doubled, verdict.raised) == ([], [], []), told


@examples(few=150, many=3_000)
@given(seed=SEEDS)
def test_interference_raises_nothing_and_hides_no_press(seed: int) -> None:
    """Spikes, switched lamps, 50 and 100 Hz, combs just under the threshold; alone and around presses."""
    told = story(random.Random(seed), noisy=True)
    verdict = observe(told, LIMITS)
    assert (verdict.missed, verdict.doubled, verdict.raised) == ([], [], []), told


@examples(few=100, many=1_000)
@given(seed=SEEDS, loss=st.sampled_from([0.02, 0.3, 0.9, 1.0]))
def test_where_edges_are_lost_a_press_as_long_as_the_poll_is_still_found(seed: int, loss: float) -> None:
    told = replace(story(random.Random(seed), noisy=False, lossy=True), loss=loss)
    verdict = observe(told, LIMITS)
    assert verdict.raised == [], told
    assert [one for one in verdict.missed if one.end_us - one.start_us > POLL_US + 80 * MS] == [], told


@given(seed=SEEDS, press_ms=st.integers(100, 1_900))
def test_of_a_bouncing_press_one_edge_is_enough(seed: int, press_ms: int) -> None:
    """The level is read again after the last edge that came: whichever edges a full buffer has swallowed."""
    chance = random.Random(seed)
    down = bounce(chance, 18 * MS)
    finger = Finger(500 * MS, (500 + press_ms) * MS, down)
    edges = kernel_edges(Wire(finger.closed()), 1)
    at, level = chance.choice(edges[:-1])
    state, now = new_button(0, active=False), at // MS
    outcomes: list[ButtonOutcome] = []
    event: ButtonInput = Edge(level, now)
    while now * MS < finger.end_us - 20 * MS:
        state, more = advance_button(state, event, now, LIMITS)
        outcomes += more
        deadline = button_deadline(state, LIMITS)
        now = now + 2_000 if deadline is None else max(now + 1, deadline)
        event = Sample(Wire(finger.closed()).level(now * MS))
    assert len(presses(outcomes)) == 1


def test_a_spike_that_the_kernel_reads_too_late_is_no_press() -> None:
    """Both interrupts of 50 µs of noise read the level after it: two edges to where the line was, none lost."""
    wire = Wire([(100 * MS, 100 * MS + 50)])
    assert kernel_edges(wire, 100) == [(100 * MS, False)]
    state, outcomes = advance_button(new_button(0, active=False), Edge(False, 100), 101, LIMITS)
    assert outcomes == (IgnoredEdge("repeated"),)
    assert button_deadline(state, LIMITS) == 125  # a look, because it could also be the last edge of a press


def test_hum_that_begins_during_a_press_does_not_hide_the_next_press() -> None:
    """A finger was taken to be down until the line was quiet for 20 ms, which hum never is: no press counted then."""
    line = Line()
    hum = [edge for at in range(300, 5_000, 20) for edge in ((at, True), (at + 15, False))]
    first = [(100, True), (290, False)]
    between = [one for one in hum if one[0] < 3_000]
    second = [(3_000, True), (3_150, False)]
    after = [one for one in hum if one[0] >= 3_160]
    outcomes = line.play([*first, *between, *second, *after], 6_000)
    assert presses(outcomes) == [100, 3_000]
    assert not any(isinstance(one, Held | StuckButton) for one in outcomes)


def test_hum_from_before_the_start_does_not_keep_a_button_from_being_armed() -> None:
    line = Line(active=True)
    hum = [edge for at in range(20, 2_000, 20) for edge in ((at - 5, False), (at, True))]
    outcomes = line.play([*hum, (1_995, False), (2_012, True), (2_200, False)], 2_500)
    assert presses(outcomes) == [2_012]


def test_pull_ups_that_settle_at_power_on_are_no_press() -> None:
    """Edges from before the first sample, edges in its millisecond, a line that rises slowly through its threshold."""
    state = new_button(1_000, active=True)
    settling = [*range(900, 1_000, 7), *range(1_000, 1_030, 3)]
    told: list[ButtonOutcome] = []
    for number, at in enumerate(settling):
        state, outcomes = advance_button(state, Edge(number % 2 == 0, at), 1_031, LIMITS)
        told += outcomes
    assert presses(told) == []
    assert told.count(IgnoredEdge("stale")) == 15
    for at in (1_040, 1_060, 1_100):
        state, outcomes = advance_button(state, Sample(False), at, LIMITS)
        told += outcomes
    assert state.phase is ButtonPhase.UP
    assert presses(told) == []


def test_edges_of_a_clock_ahead_of_ours_and_out_of_order_still_make_one_press() -> None:
    state = new_button(0, active=False)
    told: list[ButtonOutcome] = []
    events: list[tuple[ButtonInput, int]] = [
        (Edge(True, 150), 100),  # 50 ms ahead: taken as of now
        (Edge(False, 90), 101),  # older than what is known
        (Sample(True), 126),
        (Edge(False, 290), 240),
        (Sample(False), 266),
    ]
    for event, now in events:
        state, outcomes = advance_button(state, event, now, LIMITS)
        told += outcomes
    assert told == [IgnoredEdge("stale"), Pressed(100), Released(240)]


def test_a_poll_just_after_an_edge_does_not_take_the_place_of_the_look_at_the_calm_line() -> None:
    state, _ = advance_button(new_button(0, active=False), Edge(False, 10), 10, LIMITS)
    for at, due in ((11, 35), (34, 35), (35, None)):
        state, _ = advance_button(state, Sample(False), at, LIMITS)
        assert button_deadline(state, LIMITS) == due


def test_a_line_that_cannot_be_read_is_asked_no_faster_than_others() -> None:
    """A sample without an answer must end the look that asked for it, or the loop would turn without a pause."""
    state, _ = advance_button(new_button(0, active=False), Edge(False, 10), 10, LIMITS)
    assert button_deadline(state, LIMITS) == 35
    state, _ = advance_button(state, Sample(None), 35, LIMITS)
    assert button_deadline(state, LIMITS) is None


@examples(few=100, many=1_000)
@given(seed=SEEDS)
def test_no_deadline_is_asked_for_twice(seed: int) -> None:
    """After the sample that a deadline asked for, the next deadline lies ahead: a line cannot keep the loop busy."""
    chance = random.Random(seed)
    state, now = new_button(0, active=chance.random() < 0.5), 0
    for _ in range(80):
        deadline = button_deadline(state, LIMITS)
        if deadline is not None and chance.random() < 0.6:
            now = max(now, deadline)
            state, _ = advance_button(state, Sample(chance.choice((True, False, None))), now, LIMITS)
            after = button_deadline(state, LIMITS)
            assert after is None or after > now
        else:
            now += chance.choice((0, 1, 3, 7, 19, 20, 21, 30, 120, 4_000, 70_000))
            state, _ = advance_button(state, Edge(chance.random() < 0.5, now - chance.randint(0, 4)), now, LIMITS)
