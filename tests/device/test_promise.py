"""What a panel believes of a bell's own word, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.promise import (
    NOTHING_SAID,
    DirectWord,
    Promise,
    hear_bell,
    hear_ok,
    hear_press,
    hear_relay,
    word_deadline,
    word_now,
)
from device.core.role import PeerSaid
from doorbell.wire import (
    Event,
    EventType,
    PanelAlarm,
    Stage,
)
from tests.device.direct import BELL, E2, KINDS, LIMITS, NOW, PRESSES, SECOND, STRANGER, said
from tests.device.doubles import ALARM, OTHER, START


def heard(bell: str, event: Event, under_way_ms: int | None = 0) -> PeerSaid:
    return PeerSaid(bell, event, under_way_ms)


def shown(stage: Stage) -> PanelAlarm:
    return PanelAlarm(id=ALARM, stage=stage, since=START)


ACCEPT = said(EventType.ACCEPT, seq=5)
PROMISED = DirectWord(Promise(ALARM, BELL, NOW - 1_000, ACCEPT), ((BELL, 5),))
ARRIVED = replace(PROMISED, promise=replace(PROMISED.promise, arrived=True))  # type: ignore[type-var]


# --- the panel: promise -----------------------------------------------------------------------------------------------


def test_an_acceptance_of_a_press_without_receipt_is_a_promise_from_when_it_was_said() -> None:
    word, reason = hear_bell(NOTHING_SAID, heard(BELL, ACCEPT), PRESSES, None, NOW, LIMITS)
    assert reason is None
    assert word.promise == Promise(ALARM, BELL, NOW - 20, ACCEPT)
    assert word_deadline(word, LIMITS) == NOW - 20 + LIMITS.arrive_ms


REFUSED: list[tuple[str, DirectWord, str, Event, PanelAlarm | None, str]] = [
    ("another press", NOTHING_SAID, BELL, said(EventType.ACCEPT, alarm=STRANGER), None, "peer_of_no_press"),
    ("no alarm named", NOTHING_SAID, BELL, said(EventType.ACCEPT, alarm=None), None, "peer_of_no_press"),
    ("too old", NOTHING_SAID, BELL, said(EventType.ACCEPT, age_ms=600_000), None, "peer_too_old"),
    ("again", PROMISED, BELL, ACCEPT, None, "peer_repeated"),
    ("a second claim", PROMISED, SECOND, said(EventType.ACCEPT, id_=E2), None, "peer_second_claim"),
    ("before its own newer word", PROMISED, BELL, said(EventType.DECLINE, id_=E2, seq=4), None, "peer_too_old"),
    ("no claim to hand back", NOTHING_SAID, BELL, said(EventType.DECLINE), None, "peer_without_claim"),
    ("no claim to finish", NOTHING_SAID, BELL, said(EventType.DONE), None, "peer_without_claim"),
    ("finishing for another", PROMISED, SECOND, said(EventType.DONE, id_=E2), None, "peer_without_claim"),
    ("finished", replace(NOTHING_SAID, over=frozenset({ALARM})), BELL, ACCEPT, None, "peer_too_old"),
    ("a press", NOTHING_SAID, BELL, said(EventType.HELP), None, "peer_says_nothing_to_a_panel"),
]


@pytest.mark.parametrize(
    ("word", "bell", "event", "alarm", "reason"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_promises_nothing_changes_nothing(
    word: DirectWord, bell: str, event: Event, alarm: PanelAlarm | None, reason: str
) -> None:
    assert hear_bell(word, heard(bell, event), PRESSES, alarm, NOW, LIMITS) == (word, reason)


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.ARRIVED])
def test_what_the_relay_knows_already_is_no_promise(stage: Stage) -> None:
    assert hear_bell(NOTHING_SAID, heard(BELL, ACCEPT), (), shown(stage), NOW, LIMITS) == (
        NOTHING_SAID,
        "peer_relay_knows",
    )
    word, reason = hear_bell(NOTHING_SAID, heard(BELL, ACCEPT), (), shown(Stage.RINGING), NOW, LIMITS)
    assert (word.promise is not None, reason) == (True, None)


def test_a_promise_ends_by_time_unless_the_helper_is_there() -> None:
    assert PROMISED.promise is not None
    end = PROMISED.promise.since_ms + LIMITS.arrive_ms
    assert word_now(PROMISED, end - 1, LIMITS) == PROMISED
    assert word_now(PROMISED, end, LIMITS).promise is None
    assert word_now(ARRIVED, end + 10 * LIMITS.arrive_ms, LIMITS) == ARRIVED
    assert word_deadline(ARRIVED, LIMITS) is None


def test_handed_back_and_done_end_it_and_done_covers_the_presses_made_before_it_was_said() -> None:
    back, _ = hear_bell(PROMISED, heard(BELL, said(EventType.DECLINE, id_=E2, seq=6)), PRESSES, None, NOW, LIMITS)
    assert back.promise is None
    assert not back.over
    again, reason = hear_bell(back, heard(BELL, ACCEPT), PRESSES, None, NOW, LIMITS)
    assert (again, reason) == (back, "peer_too_old")  # what it said before it handed back, heard late
    done, _ = hear_bell(
        PROMISED, heard(BELL, said(EventType.DONE, id_=E2, seq=6, age_ms=5_000)), PRESSES, None, NOW, LIMITS
    )
    assert done.promise is None
    assert done.over == {ALARM}  # the second press is newer than the word


@pytest.mark.parametrize(
    ("under_way_ms", "over"),
    [(0, {ALARM, OTHER}), (1_980, {ALARM, OTHER}), (1_981, {ALARM}), (None, {ALARM})],
    ids=["at once", "no longer", "longer ago than the second press", "nobody can tell"],
)
def test_done_that_waited_in_a_broker_covers_no_press_made_meanwhile(under_way_ms: int | None, over: set[str]) -> None:
    done = said(EventType.DONE, id_=E2, seq=6, age_ms=20)
    word, _ = hear_bell(PROMISED, heard(BELL, done, under_way_ms), PRESSES, None, NOW, LIMITS)
    assert word.over == over
    later = hear_bell(word, heard(BELL, done, 0), PRESSES, None, NOW + 9_000, LIMITS)
    assert later == (word, "peer_too_old"), "heard once more it covers nothing that was pressed since"


def test_done_of_a_press_also_finishes_the_alarm_that_the_relay_named_before_it_went_away() -> None:
    done = heard(BELL, said(EventType.DONE, id_=E2, seq=6, age_ms=5_000))
    earlier = PanelAlarm(id=STRANGER, stage=Stage.ACCEPTED, since=START)
    word, _ = hear_bell(PROMISED, done, PRESSES, earlier, NOW, LIMITS)
    assert word.over == {ALARM, STRANGER}


def test_of_several_copies_of_an_acceptance_the_one_that_waited_least_dates_it() -> None:
    late, _ = hear_bell(NOTHING_SAID, heard(BELL, said(EventType.ACCEPT, seq=5)), PRESSES, None, NOW, LIMITS)
    again = said(EventType.ACCEPT, seq=5, age_ms=90_000)
    word, reason = hear_bell(late, heard(BELL, again), PRESSES, None, NOW + 10, LIMITS)
    assert reason == "peer_repeated"
    assert word.promise is not None
    assert word.promise.since_ms == NOW + 10 - 90_000
    same, _ = hear_bell(word, heard(BELL, said(EventType.ACCEPT, seq=5, age_ms=10)), PRESSES, None, NOW + 20, LIMITS)
    assert same == word


@pytest.mark.parametrize("promise", [PROMISED.promise, None], ids=["another comes", "nobody comes"])
def test_a_bell_takes_back_only_its_own_word(promise: Promise | None) -> None:
    """It had claimed and given up; whoever comes now comes all the same."""
    word = DirectWord(promise, ((SECOND, 3), (BELL, 5)))
    decline = heard(SECOND, said(EventType.DECLINE, id_=E2, seq=4))
    assert hear_bell(word, decline, PRESSES, None, NOW, LIMITS) == (word, "peer_without_promise")


def test_what_a_bell_said_before_it_handed_back_promises_nothing_when_it_is_heard_late() -> None:
    decline = heard(BELL, said(EventType.DECLINE, id_=E2, seq=7))
    back, _ = hear_bell(PROMISED, decline, PRESSES, None, NOW, LIMITS)
    between = heard(BELL, said(EventType.ACCEPT, id_=STRANGER, seq=6))
    assert hear_bell(back, between, PRESSES, None, NOW, LIMITS) == (back, "peer_too_old")


def test_a_word_that_comes_after_the_relays_has_its_whole_time() -> None:
    """What the relay said was said of another's; it does not know this one."""
    bridged = hear_relay(PROMISED, shown(Stage.RINGING), (), NOW, LIMITS)
    decline = heard(BELL, said(EventType.DECLINE, id_=E2, seq=6))
    accept = heard(SECOND, said(EventType.ACCEPT, id_=STRANGER, seq=1))
    word, _ = hear_bell(bridged, decline, (), shown(Stage.RINGING), NOW, LIMITS)
    word, _ = hear_bell(word, accept, (), shown(Stage.RINGING), NOW, LIMITS)
    after = word_now(word, NOW + LIMITS.merge_ms, LIMITS)
    assert after.promise is not None
    assert after.promise.bell == SECOND


def test_a_promise_that_has_ended_is_not_made_again_by_an_old_copy_of_it() -> None:
    ended = word_now(PROMISED, NOW + LIMITS.arrive_ms, LIMITS)
    assert ended.promise is None
    copy = said(EventType.ACCEPT, seq=5, age_ms=LIMITS.arrive_ms - 5_000)
    assert hear_bell(ended, heard(BELL, copy), PRESSES, None, NOW + LIMITS.arrive_ms, LIMITS) == (ended, "peer_too_old")


def test_the_green_button_means_arrived_or_calls_off_what_was_told() -> None:
    assert hear_ok(PROMISED, PRESSES, NOW, LIMITS) == ARRIVED
    assert hear_ok(NOTHING_SAID, PRESSES, NOW, LIMITS).calm == {ALARM, OTHER}
    assert hear_ok(NOTHING_SAID, (), NOW, LIMITS) == NOTHING_SAID


def test_help_after_the_arrival_is_a_new_call_and_before_it_the_same() -> None:
    assert hear_press(PROMISED, PRESSES) == PROMISED
    anew = hear_press(ARRIVED, PRESSES)
    assert anew.promise is None
    assert anew.over == {ALARM, OTHER}


@pytest.mark.parametrize("word", [PROMISED, ARRIVED], ids=["promised", "arrived"])
def test_the_relay_rules_as_soon_as_it_knows_and_what_it_has_not_heard_yet_is_bridged(word: DirectWord) -> None:
    for stage in (Stage.ACCEPTED, Stage.ARRIVED):
        assert hear_relay(word, shown(stage), (), NOW, LIMITS) == NOTHING_SAID
    assert hear_relay(word, None, (), NOW, LIMITS) == NOTHING_SAID
    bridged = hear_relay(word, shown(Stage.RINGING), (), NOW, LIMITS)
    assert bridged.promise == word.promise
    assert word_deadline(bridged, LIMITS) == NOW + LIMITS.merge_ms
    assert hear_relay(bridged, shown(Stage.RINGING), (), NOW + 9_000, LIMITS) == bridged  # no second term
    assert word_now(bridged, NOW + LIMITS.merge_ms, LIMITS) == NOTHING_SAID
    assert hear_relay(word, None, PRESSES, NOW, LIMITS).promise == word.promise  # it has not heard of the presses


def test_of_what_is_over_or_taken_back_only_presses_without_a_receipt_and_the_alarm_are_remembered() -> None:
    """A panel runs for years."""
    word = DirectWord(over=frozenset({ALARM, OTHER, STRANGER}), calm=frozenset({ALARM, OTHER}))
    left = ((OTHER, NOW),)
    after = hear_relay(word, shown(Stage.RINGING), left, NOW, LIMITS)
    assert after.over == {ALARM, OTHER}
    assert after.calm == {OTHER}
    assert hear_relay(word, None, left, NOW, LIMITS).over == {OTHER}


STEP = st.one_of(
    st.tuples(st.just("bell"), st.sampled_from([BELL, SECOND]), KINDS, st.integers(0, 700_000), st.integers(0, 9)),
    st.tuples(st.just("relay"), st.sampled_from([None, *Stage]), st.booleans()),
    st.tuples(st.just("ok")),
    st.tuples(st.just("press")),
    st.tuples(st.just("time"), st.integers(0, 400_000)),
)


@given(steps=st.lists(STEP, max_size=12))
def test_whatever_comes_a_promise_has_its_persons_word_and_an_end(steps: list[tuple[Any, ...]]) -> None:
    word, now_ms, presses = NOTHING_SAID, NOW, list(PRESSES)
    accepted: dict[str, int] = {}
    for number, step in enumerate(steps):
        match step:
            case ("bell", bell, kind, age_ms, seq):
                event = said(kind, id_=f"01938f3c-0000-4000-8000-{number:012x}", age_ms=age_ms, seq=seq)
                if kind is EventType.ACCEPT:
                    accepted[event.id] = now_ms - age_ms
                word, _ = hear_bell(word, heard(bell, event), presses, None, now_ms, LIMITS)
            case ("relay", stage, knows):
                presses = [] if knows else presses
                word = hear_relay(word, None if stage is None else shown(stage), presses, now_ms, LIMITS)
            case ("ok",):
                word = hear_ok(word, presses, now_ms, LIMITS)
            case ("press",):
                word = hear_press(word, presses)
                presses = [*presses, (f"01938f3c-0000-4000-8001-{number:012x}", now_ms)]
            case ("time", ms):
                now_ms += ms
            case _:
                raise AssertionError(step)
        word = word_now(word, now_ms, LIMITS)
        if word.promise is not None:
            assert accepted[word.promise.event.id] == word.promise.since_ms
            assert word.promise.arrived or now_ms - word.promise.since_ms < LIMITS.arrive_ms
        assert word.judged_ms is None or word.judged_ms <= now_ms + LIMITS.merge_ms
