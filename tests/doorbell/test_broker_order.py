"""The choice among several brokers, on virtual time: against brokers that die, hang, lie and come back at will."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.broker_order import (
    ALARM_LIMIT_S,
    ASK_AGAIN_S,
    HOLD_MAX_S,
    RECEIPT_LIMIT_S,
    SETTLED_S,
    STABLE_S,
    Asked,
    BrokerOrder,
    CameUp,
    Ended,
    Need,
    OrderEvent,
    OrderLimits,
    Refused,
    advance_order,
    new_order,
    try_within_s,
)

LIMITS = OrderLimits(backoff_min_s=0.5, backoff_max_s=30.0, try_s=5.0, try_max_s=30.0, return_s=60.0, steady_s=0.0)
STEADY = replace(LIMITS, steady_s=60.0)
HANDSHAKE_S, NOTICE_S = 0.1, 15.0


class Mood(Enum):
    """How a broker behaves for a while."""

    WELL = "well"
    DOWN = "refuses TCP"
    GONE = "swallows every packet"
    MUTE = "takes connections and never says a word"
    STRICT = "answers, and refuses our password"

    @property
    def answers(self) -> bool:
        """To a knock of TCP."""
        return self in (Mood.WELL, Mood.MUTE, Mood.STRICT)


@dataclass
class World:
    """Brokers with their moods over time, and the order as a link would drive it."""

    moods: list[list[tuple[float, Mood]]]
    """For each broker: until when, which; the last one holds for ever."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    limits: OrderLimits = LIMITS
    now_s: float = 0.0
    tries: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.order = new_order(len(self.moods), self.limits)

    def mood(self, broker: int, at_s: float) -> Mood:
        return next((mood for until_s, mood in self.moods[broker] if at_s < until_s), self.moods[broker][-1][1])

    def feed(self, event: OrderEvent) -> None:
        self.order = advance_order(self.order, event, self.now_s, self.chance.random(), self.limits)

    def step(self) -> None:
        if self.order.up:
            self.live()
        else:
            self.try_one()

    def try_one(self) -> None:
        self.now_s = max(self.now_s, self.order.try_at_s)
        broker, within_s = self.order.current, try_within_s(self.order, self.limits)
        self.tries.append((self.now_s, broker))
        match self.mood(broker, self.now_s):
            case Mood.WELL:
                self.now_s += HANDSHAKE_S
                self.feed(CameUp())
                self.ups.append((self.now_s, broker))
            case Mood.DOWN | Mood.STRICT:
                self.now_s += 0.01
                self.feed(Refused())
            case Mood.GONE | Mood.MUTE:
                self.now_s += within_s
                self.feed(Refused())

    def live(self) -> None:
        broker = self.order.current
        change_s = next((until_s for until_s, _ in self.moods[broker] if until_s > self.now_s), self.now_s + 1000)
        ask_s = self.order.ask_at_s if self.order.ask_at_s is not None else float("inf")
        if self.mood(broker, self.now_s) is not Mood.WELL:
            silent = self.mood(broker, self.now_s) is Mood.GONE
            self.now_s += NOTICE_S if silent else 0.0
            self.feed(Ended(silent=silent))
        elif ask_s <= change_s:
            self.now_s = max(self.now_s, ask_s)
            self.feed(Asked(answers=self.mood(0, self.now_s).answers))
            if self.order.leaving:
                self.returns.append(self.now_s)
                self.feed(Ended())
        else:
            self.now_s = change_s

    def run(self, until_s: float) -> None:
        while self.now_s < until_s:
            self.step()
            assert self.order.current in range(self.order.count)
            assert self.order.up or self.order.try_at_s <= self.now_s + self.limits.backoff_max_s


@st.composite
def histories(draw: st.DrawFn, end: Mood | None = None) -> list[list[tuple[float, Mood]]]:
    """One to four brokers with up to eight moods each, some of a few seconds; ``end``: how all of them end."""
    world = []
    for _ in range(draw(st.integers(1, 4))):
        spans = draw(st.lists(st.tuples(st.floats(0.5, 400.0), st.sampled_from(Mood)), min_size=1, max_size=8))
        until_s, moods = 0.0, []
        for span_s, mood in spans:
            until_s += span_s
            moods.append((until_s, mood))
        world.append([*moods, (until_s + 1.0, end)] if end is not None else moods)
    return world


@given(histories(), st.integers(0, 10_000))
def test_a_round_tries_each_broker_at_most_once_and_only_a_whole_round_in_vain_pauses(
    moods: list[list[tuple[float, Mood]]], seed: int
) -> None:
    world = World(moods, random.Random(seed))
    in_round: list[int] = []
    while world.now_s < 4000 and len(world.tries) < 200:
        was = world.order
        world.step()
        if was.up and not world.order.up:
            in_round = [] if world.order.try_at_s > world.now_s or world.order.returned else in_round
        elif not was.up:
            assert was.current not in in_round
            in_round.append(was.current)
            if world.order.try_at_s > world.now_s:
                assert sorted(in_round) == list(range(len(moods))), "a pause before every broker was tried"
                in_round = []


@given(histories(), st.integers(0, 3), st.integers(0, 10_000))
def test_where_one_broker_is_well_we_are_connected_within_a_round_and_a_pause(
    moods: list[list[tuple[float, Mood]]], well: int, seed: int
) -> None:
    well %= len(moods)
    settled_s = max(until_s for broker in moods for until_s, _ in broker)
    for number, broker in enumerate(moods):
        if number == well:
            broker.append((settled_s + 1, Mood.WELL))
    world = World(moods, random.Random(seed))
    world.run(settled_s + 1)
    # A connection that hangs is noticed, then the rest of a round, a pause and a round, each try of the longest kind.
    bound_s = NOTICE_S + LIMITS.backoff_max_s + 2 * len(moods) * LIMITS.try_max_s
    start_s = world.now_s
    while not world.order.up or world.mood(world.order.current, world.now_s) is not Mood.WELL:
        world.step()
    assert world.now_s - start_s <= bound_s


@given(histories(end=Mood.WELL), st.integers(0, 10_000), st.sampled_from([LIMITS, STEADY]))
def test_when_all_are_well_again_we_end_at_the_first_and_stay_there(
    moods: list[list[tuple[float, Mood]]], seed: int, limits: OrderLimits
) -> None:
    world = World(moods, random.Random(seed), limits)
    well_s = max(until_s for broker in moods for until_s, _ in broker)
    bound_s = LIMITS.backoff_max_s + 2 * len(moods) * LIMITS.try_max_s + HOLD_MAX_S * 1.25 + NOTICE_S
    bound_s += limits.steady_s + ASK_AGAIN_S
    while world.now_s < well_s + bound_s:
        world.step()
    assert (world.order.up, world.order.current) == (True, 0)
    assert world.order.ask_at_s is None


@pytest.mark.parametrize("mood", [Mood.MUTE, Mood.STRICT])
def test_a_first_broker_that_answers_and_takes_nobody_is_tried_ever_more_rarely(mood: Mood) -> None:
    world = World([[(1.0, mood)], [(1.0, Mood.WELL)]])
    world.run(86_400)
    gaps = [later - earlier for earlier, later in pairwise(world.returns)]
    assert gaps[0] < gaps[1] < gaps[2] < gaps[3]
    assert all(HOLD_MAX_S * 0.75 <= gap <= HOLD_MAX_S * 1.25 + LIMITS.try_max_s for gap in gaps[6:])
    assert len(world.returns) < 60  # the day has 1,440 minutes
    assert {broker for _, broker in world.ups} == {1}


def test_a_first_broker_that_dies_soon_after_every_return_is_tried_ever_more_rarely() -> None:
    flapping = [(20.0 * n, Mood.WELL if n % 2 else Mood.DOWN) for n in range(1, 4320)]
    world = World([flapping, [(1.0, Mood.WELL)]])
    world.run(86_400)
    assert 10 < len(world.returns) < 80
    # Most of the day the line was up without a break, though the first came and went 2,160 times.
    assert len(world.ups) < 200


def test_a_first_broker_that_has_kept_us_for_long_is_trusted_again() -> None:
    order = BrokerOrder(count=2, hold_s=960.0, returned=True, up=True, up_since_s=0.0)
    assert advance_order(order, Ended(), SETTLED_S + 1, 0.5, LIMITS).hold_s == LIMITS.return_s
    assert advance_order(order, Ended(), SETTLED_S - 1, 0.5, LIMITS).hold_s == HOLD_MAX_S
    by_chance = BrokerOrder(count=2, hold_s=960.0, up=True, up_since_s=0.0)
    assert advance_order(by_chance, Ended(), 30, 0.5, LIMITS).hold_s == 960.0


def up_at(broker: int, count: int = 3, now_s: float = 0.0) -> BrokerOrder:
    order = new_order(count, LIMITS)
    while order.current != broker:
        order = advance_order(order, Refused(), now_s, 0.5, LIMITS)
    return advance_order(order, CameUp(), now_s, 0.5, LIMITS)


def tries_after(order: BrokerOrder, now_s: float) -> list[int]:
    """The next four tries, all in vain."""
    tries = []
    for _ in range(4):
        tries.append(order.current)
        order = advance_order(order, Refused(), now_s, 0.5, LIMITS)
    return tries


def test_at_start_the_order_of_the_settings() -> None:
    assert tries_after(new_order(3, LIMITS), 0.0) == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("broker", "silent", "tries"),
    [
        (0, False, [0, 1, 2, 0]),
        (0, True, [1, 2, 0, 0]),
        (1, False, [1, 0, 2, 0]),
        (1, True, [0, 2, 1, 0]),
        (2, False, [2, 0, 1, 0]),
    ],
)
def test_after_a_good_connection_its_broker_is_tried_first_unless_it_fell_silent(
    broker: int, silent: bool, tries: list[int]
) -> None:
    order = advance_order(up_at(broker), Ended(silent=silent), 100.0, 0.5, LIMITS)
    assert 100.5 <= order.try_at_s <= 101.0
    assert tries_after(order, 101.0) == tries


def test_a_connection_that_ends_at_once_is_a_try_in_vain_and_the_next_broker_follows_without_pause() -> None:
    order = advance_order(up_at(0), Ended(), STABLE_S - 1, 0.5, LIMITS)
    assert (order.current, order.try_at_s) == (1, STABLE_S - 1)
    order = advance_order(advance_order(order, CameUp(), 10.0, 0.5, LIMITS), Ended(), 11.0, 0.5, LIMITS)
    assert (order.current, order.try_at_s) == (2, 11.0)


def test_a_fallback_that_comes_and_goes_does_not_postpone_the_question_to_the_first() -> None:
    order = up_at(1, count=2)
    asked_at_s = order.ask_at_s
    order = advance_order(order, Ended(), 30.0, 0.5, LIMITS)
    order = advance_order(order, CameUp(), 31.0, 0.5, LIMITS)
    assert order.current == 1
    assert order.ask_at_s == asked_at_s == LIMITS.return_s


def test_a_first_broker_that_is_reached_by_a_round_is_asked_no_more() -> None:
    order = advance_order(up_at(1, count=2), Ended(silent=True), 30.0, 0.5, LIMITS)
    assert order.current == 0
    assert advance_order(order, CameUp(), 31.0, 0.5, LIMITS).ask_at_s is None


def test_a_fleet_on_the_fallback_does_not_ask_in_step() -> None:
    order = new_order(2, LIMITS)
    order = advance_order(order, Refused(), 0.0, 0.0, LIMITS)
    asked = [advance_order(order, CameUp(), 0.0, chance, LIMITS).ask_at_s for chance in (0.0, 0.5, 1.0)]
    assert asked == [45.0, 60.0, 75.0]


def test_a_first_that_does_not_answer_costs_nothing_but_the_question() -> None:
    order = advance_order(up_at(1), Asked(answers=False), 60.0, 0.5, LIMITS)
    assert (order.up, order.leaving, order.current, order.ask_at_s) == (True, False, 1, 120.0)


def asked_until_it_leaves(
    order: BrokerOrder, need: Need, limits: OrderLimits, now_s: float, *, times: int = 100
) -> float | None:
    """Seconds after which the link leaves for a first broker that always answers; None: it stays."""
    began_s = now_s
    for _ in range(times):
        order = advance_order(order, Asked(answers=True, need=need), now_s, 0.5, limits)
        if order.leaving:
            return now_s - began_s
        assert order.ask_at_s == now_s + ASK_AGAIN_S
        now_s = order.ask_at_s
    return None


def test_no_return_while_a_receipt_is_missing_but_two_minutes_of_it_are_enough() -> None:
    assert asked_until_it_leaves(up_at(1), Need.RECEIPT, LIMITS, 60.0) == RECEIPT_LIMIT_S
    waits = advance_order(up_at(1), Asked(answers=True, need=Need.RECEIPT), 60.0, 0.5, LIMITS)
    assert advance_order(waits, Asked(answers=True), 65.0, 0.5, LIMITS).leaving
    # Whoever waited, then was not answered, then waits again has its two minutes anew; so has the next press.
    for between in (Asked(answers=False), Asked(answers=True, need=Need.ALARM)):
        again = advance_order(waits, between, 70.0, 0.5, LIMITS)
        late = Asked(answers=True, need=Need.RECEIPT)
        assert not advance_order(again, late, 60.0 + RECEIPT_LIMIT_S, 0.5, LIMITS).leaving


def test_no_return_while_an_alarm_is_open_but_half_an_hour_of_it_is_enough() -> None:
    """A connection over which an alarm was told works. One that tells of it for ever may be cut off."""
    assert asked_until_it_leaves(up_at(1), Need.ALARM, LIMITS, 60.0, times=1_000) == ALARM_LIMIT_S
    late = replace(LIMITS, steady_s=3600.0)
    assert asked_until_it_leaves(up_at(1), Need.ALARM, late, 60.0, times=1_000) == 3600.0
    held = advance_order(up_at(1), Asked(answers=True, need=Need.ALARM), 60.0, 0.5, LIMITS)
    assert advance_order(held, Asked(answers=True), 65.0, 0.5, LIMITS).leaving


def test_a_first_that_has_just_come_back_is_not_preferred_before_it_has_answered_for_a_steady_time() -> None:
    """Used to be: at its first answer every device left its working connection, and a server of a cluster that had
    just started had not yet what they came for."""
    assert asked_until_it_leaves(up_at(1), Need.NONE, STEADY, 60.0) == STEADY.steady_s
    seen = advance_order(up_at(1), Asked(answers=True), 60.0, 0.5, STEADY)
    seen = advance_order(seen, Asked(answers=True), 100.0, 0.5, STEADY)
    gone = advance_order(seen, Asked(answers=False), 110.0, 0.5, STEADY)
    assert not advance_order(gone, Asked(answers=True), 120.0, 0.5, STEADY).leaving, "it begins anew"
    # The alarm was over when the time was: it counts while the program needs its connection.
    busy = advance_order(seen, Asked(answers=True, need=Need.ALARM), 115.0, 0.5, STEADY)
    assert not busy.leaving
    assert advance_order(busy, Asked(answers=True), 120.0, 0.5, STEADY).leaving


def test_a_first_that_is_not_steady_yet_is_used_at_once_where_nothing_else_is_left() -> None:
    order = advance_order(up_at(1, count=2), Asked(answers=True), 60.0, 0.5, STEADY)
    order = advance_order(order, Ended(silent=True), 70.0, 0.5, STEADY)
    assert order.current == 0
    up = advance_order(order, CameUp(), 71.0, 0.5, STEADY)
    assert (up.up, up.ask_at_s, up.answers_since_s) == (True, None, None)


def test_a_return_that_fails_ends_at_the_broker_that_was_left() -> None:
    order = advance_order(up_at(2), Asked(answers=True), 60.0, 0.5, LIMITS)
    order = advance_order(order, Ended(), 60.1, 0.5, LIMITS)
    assert (order.current, order.try_at_s) == (0, 60.1)
    assert tries_after(order, 60.2) == [0, 2, 1, 0]


@pytest.mark.parametrize("order", [new_order(2, LIMITS), up_at(0), up_at(1)])
@pytest.mark.parametrize("event", [Refused(), CameUp(), Ended(), Asked(answers=True)])
def test_what_cannot_be_changes_nothing(order: BrokerOrder, event: OrderEvent) -> None:
    possible = {
        Refused: not order.up,
        CameUp: not order.up,
        Ended: order.up,
        Asked: order.up and order.current != 0,
    }
    assert (advance_order(order, event, 99.0, 0.5, LIMITS) == order) is not possible[type(event)]


def test_an_answer_that_comes_when_we_are_leaving_already_changes_nothing() -> None:
    order = advance_order(up_at(1), Asked(answers=True), 60.0, 0.5, LIMITS)
    assert advance_order(order, Asked(answers=False), 61.0, 0.5, LIMITS) == order


def test_with_one_broker_the_back_off_doubles_with_jitter_up_to_its_limit() -> None:
    for chance in (0.0, 0.3, 1.0):
        order, now_s = new_order(1, LIMITS), 0.0
        for top in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            order = advance_order(order, Refused(), now_s, chance, LIMITS)
            assert order.try_at_s - now_s == pytest.approx(0.5 + (top - 0.5) * chance)
            assert (order.current, order.untried) == (0, ())
            now_s = order.try_at_s
        order = advance_order(order, CameUp(), now_s, chance, LIMITS)
        assert order.ask_at_s is None
        unstable = advance_order(order, Ended(), now_s + STABLE_S - 0.1, 1.0, LIMITS)
        assert unstable.try_at_s == pytest.approx(now_s + STABLE_S - 0.1 + 30.0)
        stable = advance_order(order, Ended(silent=True), now_s + STABLE_S, 1.0, LIMITS)
        assert stable.try_at_s == pytest.approx(now_s + STABLE_S + 1.0)
        assert stable.current == 0


def test_a_try_may_take_longer_after_rounds_in_vain_up_to_a_keepalive() -> None:
    order, allowed = new_order(2, LIMITS), []
    for _ in range(6):
        allowed.append(try_within_s(order, LIMITS))
        for _ in range(2):
            order = advance_order(order, Refused(), 0.0, 0.5, LIMITS)
    assert allowed == [5.0, 5.0, 10.0, 20.0, 30.0, 30.0]
    after_loss = advance_order(up_at(0), Ended(), 100.0, 0.5, LIMITS)
    assert try_within_s(after_loss, LIMITS) == 5.0
