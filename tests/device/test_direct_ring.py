"""What a bell makes of a panel's call, when each is told, and both with their shells."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.direct_ring import (
    MAX_DIRECT_PRESSES,
    DirectRing,
    DirectRings,
    answer_ring,
    hear_panel,
    keep_wanted,
    merge_relay,
    ring_of,
    rings_deadline,
)
from device.core.peer import PeerState, Telling, peers_asked, peers_connected, peers_deadline, peers_due
from device.core.role import ButtonName, Role
from device.core.signals import Call, Light, Phrase
from doorbell.link import Delivery
from doorbell.wire import (
    AlarmKind,
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
from tests.device.direct import BELL, E2, KINDS, LIMITS, NOW, PANEL, SECOND, STRANGER, said
from tests.device.doubles import ALARM, OTHER, START, Bench, Published

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


def test_it_rings_again_under_the_newest_press_though_an_older_one_is_told_again() -> None:
    ring = replace(ACCEPTED[0], alarm=OTHER, presses=frozenset({ALARM, OTHER}))
    ((again,), _) = hear((ring,), help_(ALARM, 3), NOW + LIMITS.arrive_ms)
    assert (again.calls, again.alarm) == (True, OTHER)


def test_the_relays_ring_takes_its_place() -> None:
    assert merge_relay(CALLED, Desired(rev=5, rings=(RELAY_RING,)), news=False) == ()
    other = RELAY_RING.model_copy(update={"alarm": OTHER})
    assert merge_relay(CALLED, Desired(rev=5, rings=(other,)), news=True) == ()
    assert merge_relay(CALLED, Desired(rev=5, rings=(other,)), news=False) == CALLED  # the last word of a dead relay
    assert merge_relay(CALLED, Desired(rev=5), news=True) == CALLED
    assert ring_of(CALLED, BELL) is None


CHENS = DirectRing("button-chen", STRANGER, NOW - 5_000, 9, "陈爷爷", "", frozenset({STRANGER}))


def test_each_panel_has_a_call_of_its_own() -> None:
    assert hear((CHENS,), help_())[0] == (CHENS, *CALLED)
    ((first, ring), _) = hear((CHENS, *CALLED), help_(OTHER, 4), NOW + 9_000)
    assert (first, ring.seq) == (CHENS, 4)
    assert hear((CHENS, *CALLED), said(EventType.OK, id_=E2, alarm=None, seq=4))[0] == (CHENS,)
    neighbours = (Neighbour(device="button-chen", label="陈爷爷"), *KNOWN.neighbours)
    ((ring,), _) = hear_panel((), PANEL, help_(), Desired(rev=1, neighbours=neighbours), NOW, LIMITS, sounding=False)
    assert ring.label == "柳奶奶"


def test_the_first_call_that_ends_is_the_first_looked_at() -> None:
    rings = (*CALLED, CHENS)
    assert rings_deadline(rings, LIMITS) == CHENS.heard_ms + LIMITS.forget_ms
    assert rings_deadline((), LIMITS) is None
    assert keep_wanted(rings, CHENS.heard_ms + LIMITS.forget_ms, LIMITS) == CALLED


@pytest.mark.parametrize(
    "word",
    [
        said(EventType.ACCEPT, detail={"by": SECOND, "who": "赵强"}),
        said(EventType.DECLINE, id_=E2, detail={"by": SECOND}),
        help_(),
    ],
)
def test_a_call_lives_on_as_long_as_its_panel_speaks_of_it(word: Event) -> None:
    ((ring,), reason) = hear(TAKEN, word, NOW + 9_000)
    assert (ring.heard_ms, reason) == (NOW + 9_000, None)


def test_another_who_goes_after_an_own_acceptance_has_it_and_is_believed_from_then_on() -> None:
    word = said(EventType.ACCEPT, detail={"who": "赵" * 50})
    ((ring,), _) = hear(ACCEPTED, word, NOW + 9_000)
    assert (ring.accepted_ms, ring.taken_by, ring.taken_ms) == (None, "赵" * 40, NOW + 9_000)
    assert hear((ring,), help_(), NOW + 9_000 + LIMITS.again_ms)[0][0].calls is False


def test_the_highest_count_of_a_panel_is_kept_whatever_comes_late_or_without_one() -> None:
    for seq, kept in [(2, 3), (3, 3), (4, 4), (None, 3)]:
        event = said(EventType.HELP, id_=OTHER, alarm=None, seq=seq)
        assert hear(CALLED, event)[0][0].seq == kept
    uncounted = (replace(CALLED[0], seq=None),)
    assert hear(uncounted, help_(OTHER, 1))[0][0].seq == 1


def test_an_ok_that_cannot_be_told_from_one_before_the_press_ends_nothing_only_if_it_is_older() -> None:
    for seq, rings in [(2, CALLED), (3, ()), (4, ()), (None, ())]:
        assert hear(CALLED, said(EventType.OK, id_=E2, alarm=None, seq=seq))[0] == rings


def test_more_presses_than_are_remembered_are_the_same_call_all_the_same() -> None:
    ids = [f"01938f3c-0000-4000-8000-{number:012x}" for number in range(MAX_DIRECT_PRESSES + 5)]
    rings: DirectRings = ()
    for seq, id_ in enumerate(ids, start=1):
        (rings, _) = hear(rings, help_(id_, seq))
    (ring,) = rings
    assert (ring.presses, ring.seq) == (frozenset(ids[:MAX_DIRECT_PRESSES]), len(ids))


def test_a_call_anew_goes_by_the_name_of_its_new_press_and_by_the_old_one_if_none_is_new() -> None:
    """An answer names what it answers: the relay knows a press by its own id."""
    arrived = (replace(ACCEPTED[0], arrived=True),)
    ((anew,), _) = hear(arrived, help_(OTHER, 4), NOW + 60_000)
    assert (anew.alarm, anew.arrived, anew.calls) == (OTHER, False, True)
    ((again,), _) = hear(ACCEPTED, help_(), NOW + LIMITS.arrive_ms)
    assert (again.alarm, again.calls) == (ALARM, True)


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
    urgent = Telling(E2, (BELL,), NOW + 9_000, at_once=True)
    assert peers_due(state, [replace(TELLING, to=()), urgent], NOW + 9_000, LIMITS)[1] == (urgent,)
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


@pytest.mark.parametrize(
    ("synced", "waited_s", "called"),
    [(True, 25, True), (True, 0, False), (False, 25, True), (False, 0, True)],
    ids=["waited", "just said", "waited, no clock", "just said, no clock"],
)
def test_a_done_that_waited_in_the_broker_keeps_no_later_press_from_the_bells(
    synced: bool, waited_s: int, called: bool
) -> None:
    bench = Bench()
    bench.clock.is_synced = synced
    bench.connect()
    bench.desire(panel=Panel(), peers=(BELL,))
    bench.press(ButtonName.HELP)
    bench.advance(6_000)
    first = bench.events()[0]
    says = f"doorbell/v1/west-lake/{BELL}/peer/dev-1"
    accept = said(EventType.ACCEPT, alarm=first.id, seq=5)
    bench.deliver_raw(says, encode(accept.model_copy(update={"at": bench.clock.wall()})))
    bench.disconnect()
    bench.advance(20_000)
    bench.press(ButtonName.HELP)
    bench.connect()
    done = said(EventType.DONE, id_=E2, alarm=first.id, seq=6)
    at = bench.clock.wall() - timedelta(seconds=waited_s, milliseconds=20)
    bench.deliver_raw(says, encode(done.model_copy(update={"at": at})))
    bench.forget()
    bench.advance(6_000)
    helps = [payload for _, payload in told(bench) if b'"type":"help"' in payload]
    assert bool(helps) is called
    assert not any(first.id.encode() in payload for payload in helps)
