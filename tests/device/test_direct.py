"""The direct way: what a panel believes of a bell's word, what a bell makes of a panel's call, and when it is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.direct_ring import DirectRing, DirectRings, answer_ring, hear_panel, keep_wanted, merge_relay, ring_of
from device.core.peer import PeerLimits, PeerState, Telling, peers_asked, peers_connected, peers_deadline, peers_due
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
from device.core.role import ButtonName, Role
from device.core.signals import Call, Light, Phrase
from doorbell.link import Delivery
from doorbell.wire import (
    AlarmKind,
    ClockState,
    Desired,
    Event,
    EventType,
    Neighbour,
    Panel,
    PanelAlarm,
    Ring,
    Stage,
    encode,
)
from tests.device.doubles import ALARM, OTHER, START, Bench, Published

LIMITS = PeerLimits()
NOW = 1_000_000
BELL, SECOND, PANEL = "bell-peng", "bell-zhao", "button-liu"
E1 = "01938f3c-0000-4000-8000-00000000000a"
E2 = "01938f3c-0000-4000-8000-00000000000b"
STRANGER = "01938f3c-0000-4000-8000-0000000000ff"
PRESSES = ((ALARM, NOW - 8_000), (OTHER, NOW - 2_000))


def said(kind: EventType, *, id_: str = E1, alarm: str | None = ALARM, age_ms: int = 20, **more: Any) -> Event:
    return Event(id=id_, type=kind, at=START, age_ms=age_ms, clock=ClockState.SYNCED, alarm=alarm, **more)


def shown(stage: Stage) -> PanelAlarm:
    return PanelAlarm(id=ALARM, stage=stage, since=START)


ACCEPT = said(EventType.ACCEPT, seq=5)
PROMISED = DirectWord(Promise(ALARM, BELL, NOW - 1_000, ACCEPT), ((BELL, 5),))
ARRIVED = replace(PROMISED, promise=replace(PROMISED.promise, arrived=True))  # type: ignore[type-var]


# --- the panel: promise -----------------------------------------------------------------------------------------------


def test_an_acceptance_of_a_press_without_receipt_is_a_promise_from_when_it_was_said() -> None:
    word, reason = hear_bell(NOTHING_SAID, BELL, ACCEPT, PRESSES, None, NOW, LIMITS)
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
    assert hear_bell(word, bell, event, PRESSES, alarm, NOW, LIMITS) == (word, reason)


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.ARRIVED])
def test_what_the_relay_knows_already_is_no_promise(stage: Stage) -> None:
    assert hear_bell(NOTHING_SAID, BELL, ACCEPT, (), shown(stage), NOW, LIMITS) == (NOTHING_SAID, "peer_relay_knows")
    word, reason = hear_bell(NOTHING_SAID, BELL, ACCEPT, (), shown(Stage.RINGING), NOW, LIMITS)
    assert (word.promise is not None, reason) == (True, None)


def test_a_promise_ends_by_time_unless_the_helper_is_there() -> None:
    assert PROMISED.promise is not None
    end = PROMISED.promise.since_ms + LIMITS.arrive_ms
    assert word_now(PROMISED, end - 1, LIMITS) == PROMISED
    assert word_now(PROMISED, end, LIMITS).promise is None
    assert word_now(ARRIVED, end + 10 * LIMITS.arrive_ms, LIMITS) == ARRIVED
    assert word_deadline(ARRIVED, LIMITS) is None


def test_handed_back_and_done_end_it_and_done_covers_the_presses_made_before_it_was_said() -> None:
    back, _ = hear_bell(PROMISED, BELL, said(EventType.DECLINE, id_=E2, seq=6), PRESSES, None, NOW, LIMITS)
    assert back.promise is None
    assert not back.over
    again, reason = hear_bell(back, BELL, ACCEPT, PRESSES, None, NOW, LIMITS)
    assert (again, reason) == (back, "peer_too_old")  # what it said before it handed back, heard late
    done, _ = hear_bell(PROMISED, BELL, said(EventType.DONE, id_=E2, seq=6, age_ms=5_000), PRESSES, None, NOW, LIMITS)
    assert done.promise is None
    assert done.over == {ALARM}  # the second press is newer than the word


def test_the_green_button_means_arrived_or_calls_off_what_was_told() -> None:
    assert hear_ok(PROMISED, PRESSES, NOW, LIMITS) == ARRIVED
    assert hear_ok(NOTHING_SAID, PRESSES, NOW, LIMITS).calm == {ALARM}  # the other was not told yet
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


KINDS = st.sampled_from([EventType.ACCEPT, EventType.DECLINE, EventType.DONE, EventType.HELP, EventType.OK])
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
                word, _ = hear_bell(word, bell, event, presses, None, now_ms, LIMITS)
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


# --- the bell: direct rings -------------------------------------------------------------------------------------------

CALLED: DirectRings = (DirectRing(PANEL, ALARM, NOW, 3, "柳奶奶", "3栋502", frozenset({ALARM})),)
ACCEPTED = answer_ring(CALLED, ALARM, EventType.ACCEPT, NOW)
TAKEN = (replace(CALLED[0], taken_by="赵强", taken_ms=NOW),)
RELAY_RING = Ring(alarm=ALARM, kind=AlarmKind.HELP, from_=PANEL, label="柳奶奶", raised_at=START, stage=Stage.RINGING)
KNOWN = Desired(rev=4, neighbours=(Neighbour(device=PANEL, label="柳奶奶", place="3栋502"),))


def hear(
    rings: DirectRings, event: Event, now_ms: int = NOW, *, sounding: bool = False
) -> tuple[DirectRings, str | None]:
    return hear_panel(rings, PANEL, event, KNOWN, now_ms, LIMITS, sounding=sounding)


def help_(id_: str = ALARM, seq: int = 3) -> Event:
    return said(EventType.HELP, id_=id_, alarm=None, seq=seq)


def test_a_call_rings_with_the_name_that_the_relay_once_told_and_without_one_if_it_never_did() -> None:
    assert hear((), help_()) == (CALLED, None)
    ((nameless,), _) = hear_panel((), PANEL, help_(), None, NOW, LIMITS, sounding=False)
    assert (nameless.label, nameless.place, nameless.calls) == ("", "", True)


def test_more_presses_are_the_same_call() -> None:
    ((ring,), _) = hear(CALLED, help_(OTHER, 4), NOW + 9_000)
    assert ring.presses == {ALARM, OTHER}
    assert (ring.alarm, ring.heard_ms, ring.seq) == (ALARM, NOW + 9_000, 4)


def test_what_the_relay_rings_already_is_not_rung_twice() -> None:
    assert hear((), help_(), sounding=True) == ((), "peer_relay_rings")


def test_a_call_ends_when_its_panel_is_silent_about_it_and_an_accepted_one_when_nobody_can_be_coming_any_more() -> None:
    assert keep_wanted(CALLED, NOW + LIMITS.forget_ms - 1, LIMITS) == CALLED
    assert keep_wanted(CALLED, NOW + LIMITS.forget_ms, LIMITS) == ()
    assert keep_wanted(ACCEPTED, NOW + LIMITS.arrive_ms - 1, LIMITS) == ACCEPTED
    assert keep_wanted(ACCEPTED, NOW + LIMITS.arrive_ms, LIMITS) == ()


def test_the_green_button_ends_a_call_but_not_one_from_after_it() -> None:
    ok = said(EventType.OK, id_=E2, alarm=None, seq=4)
    assert hear(CALLED, ok) == ((), None)
    assert hear(CALLED, said(EventType.OK, id_=E2, alarm=None, seq=2)) == (CALLED, "peer_of_no_ring")
    ((arrived,), _) = hear(ACCEPTED, ok)
    assert (arrived.arrived, arrived.accepted_ms) == (True, NOW)


def test_another_bells_acceptance_silences_and_its_hand_back_rings_at_once() -> None:
    word = said(EventType.ACCEPT, detail={"by": SECOND, "who": "赵强"})
    ((taken,), _) = hear(CALLED, word)
    assert (taken.calls, taken.taken_by) == (False, "赵强")
    ((back,), _) = hear((taken,), said(EventType.DECLINE, id_=E2, detail={"by": SECOND}))
    assert back.calls
    assert hear(CALLED, said(EventType.ACCEPT, alarm=STRANGER)) == (CALLED, "peer_of_no_ring")
    ((odd,), _) = hear(CALLED, said(EventType.ACCEPT, detail={"who": ["not", "a", "name"]}))
    assert odd.taken_by == ""


@pytest.mark.parametrize(
    ("rings", "event", "after_ms", "calls"),
    [
        (ACCEPTED, help_(), 500, False),
        (ACCEPTED, help_(OTHER, 4), 60_000, False),
        (ACCEPTED, help_(), LIMITS.arrive_ms - LIMITS.again_ms, True),
        (TAKEN, help_(), 9_000, False),
        (TAKEN, help_(), LIMITS.again_ms + LIMITS.after_ms, True),
        ((replace(ACCEPTED[0], arrived=True),), help_(), 60_000, False),
        ((replace(ACCEPTED[0], arrived=True),), help_(OTHER, 4), 60_000, True),
    ],
)
def test_a_panel_that_goes_on_calling_is_heard_when_nobody_can_be_coming(
    rings: DirectRings, event: Event, after_ms: int, calls: bool
) -> None:
    ((ring,), reason) = hear(rings, event, NOW + after_ms)
    assert (ring.calls, reason) == (calls, None)


def test_the_relays_ring_takes_its_place() -> None:
    assert merge_relay(CALLED, Desired(rev=5, rings=(RELAY_RING,)), news=False) == ()
    other = RELAY_RING.model_copy(update={"alarm": OTHER})
    assert merge_relay(CALLED, Desired(rev=5, rings=(other,)), news=True) == ()
    assert merge_relay(CALLED, Desired(rev=5, rings=(other,)), news=False) == CALLED  # the last word of a dead relay
    assert merge_relay(CALLED, Desired(rev=5), news=True) == CALLED
    assert ring_of(CALLED, BELL) is None


@pytest.mark.parametrize("kind", [EventType.DECLINE, EventType.DONE])
def test_declined_or_done_here_it_is_over_here(kind: EventType) -> None:
    assert answer_ring(CALLED, ALARM, kind, NOW) == ()
    assert answer_ring(CALLED, OTHER, kind, NOW) == CALLED


@given(
    steps=st.lists(
        st.tuples(KINDS, st.sampled_from([ALARM, OTHER, STRANGER]), st.integers(0, 9), st.integers(0, 700_000)),
        max_size=12,
    )
)
def test_one_ring_a_panel_whatever_it_says_and_a_press_that_is_told_again_always_has_one(
    steps: list[tuple[EventType, str, int, int]],
) -> None:
    rings: DirectRings = ()
    now_ms = NOW
    for kind, id_, seq, ms in steps:
        now_ms += ms
        rings = keep_wanted(rings, now_ms, LIMITS)
        alarm = None if kind in (EventType.HELP, EventType.OK) else id_
        rings, _ = hear(rings, said(kind, id_=id_, alarm=alarm, seq=seq), now_ms)
        assert len(rings) <= 1
        if kind is EventType.HELP:
            assert ring_of(rings, PANEL) is not None


# --- the time-table ---------------------------------------------------------------------------------------------------

TELLING = Telling(ALARM, (BELL,), NOW)


def test_told_after_5_s_and_again_every_10_s_and_never_without_a_line() -> None:
    state = peers_connected(PeerState(), NOW - 60_000, LIMITS, up=True)
    told: list[int] = []
    for ms in range(0, 40_000, 100):
        state, due = peers_due(state, [TELLING], NOW + ms, LIMITS)
        told += [ms] * len(due)
    assert told == [5_000, 15_000, 25_000, 35_000]
    assert peers_deadline(state) == NOW + 45_000
    down = peers_connected(state, NOW + 40_000, LIMITS, up=False)
    assert peers_due(down, [TELLING], NOW + 90_000, LIMITS)[1] == ()
    assert peers_deadline(down) is None


def test_after_a_connect_the_relay_has_its_time_first() -> None:
    state = peers_connected(PeerState(), NOW + 60_000, LIMITS, up=True)
    state, due = peers_due(state, [TELLING], NOW + 60_000, LIMITS)
    assert (due, peers_deadline(state)) == ((), NOW + 62_000)
    assert peers_due(state, [TELLING], NOW + 62_000, LIMITS)[1] == (TELLING,)


def test_nobody_to_tell_is_no_deadline_and_what_is_not_wanted_any_more_is_forgotten() -> None:
    state = peers_connected(PeerState(), NOW - 60_000, LIMITS, up=True)
    state, due = peers_due(state, [replace(TELLING, to=())], NOW + 9_000, LIMITS)
    assert (due, peers_deadline(state)) == ((), None)
    state, _ = peers_due(state, [TELLING], NOW + 9_000, LIMITS)
    assert peers_due(state, [], NOW + 9_100, LIMITS)[0].due == ()


def test_whoever_still_asks_is_told_sooner_but_not_in_a_loop() -> None:
    state = replace(PeerState(open_ms=NOW), due=((ALARM, NOW + 10_000), (OTHER, NOW + 10_000)))
    assert peers_asked(state, {ALARM}, NOW + 100, LIMITS).due == ((ALARM, NOW + 2_000), (OTHER, NOW + 10_000))
    assert peers_asked(state, {ALARM}, NOW + 9_000, LIMITS).due == ((ALARM, NOW + 9_000), (OTHER, NOW + 10_000))


# --- both, with their shells ------------------------------------------------------------------------------------------


def told(bench: Bench) -> list[tuple[str, bytes]]:
    return [(one.topic, one.payload) for one in bench.trail if isinstance(one, Published) and "/peer/" in one.topic]


def test_a_panel_tells_its_press_to_every_peer_after_its_commit_until_the_receipt() -> None:
    bench = Bench()
    bench.connect()
    bench.desire(panel=Panel(), peers=(BELL, SECOND))
    bench.press(ButtonName.HELP)
    (event,) = bench.events()
    bench.advance(4_700)
    assert told(bench) == []
    bench.advance(200)
    assert [topic for topic, _ in told(bench)] == [f"doorbell/v1/west-lake/dev-1/peer/{one}" for one in (BELL, SECOND)]
    assert all(b'"age_ms":5000' in payload for _, payload in told(bench))
    bench.advance(10_000)
    assert len(told(bench)) == 4
    bench.desire(stored=(event.id,), panel=Panel(alarm=PanelAlarm(id=event.id, stage=Stage.RECEIVED, since=START)))
    bench.advance(60_000)
    assert len(told(bench)) == 4


def ringing_bell() -> Bench:
    bench = Bench(role=Role.BELL)
    bench.connect()
    bench.desire(peers=(PANEL,), neighbours=KNOWN.neighbours)
    bench.deliver_raw(f"doorbell/v1/west-lake/{PANEL}/peer/dev-1", encode(help_()))
    return bench


def test_a_bell_rings_for_a_peer_and_its_answer_is_committed_before_the_panel_is_told() -> None:
    bench = ringing_bell()
    assert bench.sound.calls == (Call(ALARM, "柳奶奶", "3栋502"),)
    assert bench.reports()[-1].ringing == (ALARM,)
    bench.forget()
    bench.down(ButtonName.ANSWER)
    bench.advance(25)
    ((topic, payload),) = told(bench)
    assert topic == f"doorbell/v1/west-lake/dev-1/peer/{PANEL}"
    kinds = [
        one[0] if isinstance(one, tuple) else one.topic for one in bench.trail if isinstance(one, (tuple, Published))
    ]
    assert kinds.index("commit") < kinds.index(topic)
    assert (b'"type":"accept"' in payload, bench.runtime.snapshot().light) == (True, Light.MINE)
    assert [words.phrase for words in bench.sound.spoken] == [Phrase.GO]


@pytest.mark.parametrize(
    ("topic", "payload", "retained", "reason"),
    [
        (f"doorbell/v1/west-lake/{PANEL}/peer/dev-1", b"{}", False, "peer_invalid"),
        (f"doorbell/v1/west-lake/{PANEL}/peer/dev-2", encode(help_()), False, "peer_bad_topic"),
        (f"doorbell/v1/east-lake/{PANEL}/peer/dev-1", encode(help_()), False, "peer_bad_topic"),
        (f"doorbell/v1/west-lake/{PANEL}/peer/dev-1", encode(help_()), True, "peer_retained"),
        ("doorbell/v1/west-lake/button-stranger/peer/dev-1", encode(help_()), False, "not_a_peer"),
    ],
)
def test_rubbish_strangers_and_what_a_broker_kept_ring_nothing(
    topic: str, payload: bytes, retained: bool, reason: str
) -> None:
    bench = Bench(role=Role.BELL)
    bench.connect()
    bench.desire(peers=(PANEL,))
    bench.turn(Delivery(topic, payload, bench.generation, mid=77, qos=1, retained=retained))
    assert bench.sound.calls == ()
    assert bench.runtime.counters[reason] == 1
    assert bench.link.acked[-1].mid == 77


@pytest.mark.parametrize(("first", "then"), list(product(["relay", "peer"], ["relay", "peer"])))
def test_by_whichever_way_it_comes_and_however_often_the_chime_goes_on_as_one(first: str, then: str) -> None:
    ring = RELAY_RING.model_copy(update={"place": "3栋502"})
    bench = Bench(role=Role.BELL)
    bench.connect()
    bench.desire(peers=(PANEL,), neighbours=KNOWN.neighbours)
    for way in (first, then):
        if way == "relay":
            bench.desire(peers=(PANEL,), neighbours=KNOWN.neighbours, rings=(ring,))
        else:
            bench.deliver_raw(f"doorbell/v1/west-lake/{PANEL}/peer/dev-1", encode(help_()))
    assert bench.sound.calls == (Call(ALARM, "柳奶奶", "3栋502"),)
    started = [report.ringing for report in bench.reports()]
    assert started.count(()) == started.index((ALARM,))  # once it sounds it is never silent in between
