"""Rules of the bell that one event in one state does not show: several alarms, panels that call, whoever goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from device.core.bell import (
    Answer,
    BellLimits,
    BellState,
    advance_bell,
    bell_deadline,
    bell_light,
    bell_tellings,
    wanted_calls,
    with_answers,
)
from device.core.direct_ring import DirectRing
from device.core.effects import Ignored, OutboxRow, Play
from device.core.outbox import Happened
from device.core.role import ButtonDown, ButtonHeld, ButtonName, ChimeStarted, DesiredApplied, PeerSaid, TimePassed
from device.core.signals import Light, Phrase, Tone, Words
from doorbell.wire import AlarmKind, ClockState, Desired, Event, EventType, Ring, Stage
from tests.device.direct import E1, E2, LIMITS, NOW, PANEL, said
from tests.device.doubles import ALARM, OTHER, START

BELL_LIMITS = BellLimits()
CHEN = "button-chen"
UP = BellState(link_up=True)
CALL = DirectRing(PANEL, ALARM, NOW, 3, "柳奶奶", "3栋502", frozenset({ALARM}))
ACCEPTED = replace(CALL, accepted_ms=NOW)
TAKEN = replace(CALL, taken_by="赵强", taken_ms=NOW)
PRESS = ButtonDown(ButtonName.ANSWER, NOW, E2)
DECLINE = ButtonDown(ButtonName.DECLINE, NOW, E2)
HOLD = ButtonHeld(ButtonName.ANSWER, NOW, E2)
DECIDED_MS = LIMITS.arrive_ms - LIMITS.again_ms


def ring(stage: Stage = Stage.RINGING, alarm: str = ALARM, **more: Any) -> Ring:
    fields = {"kind": AlarmKind.HELP, "from_": PANEL, "label": "柳奶奶", "raised_at": START, **more}
    return Ring(alarm=alarm, stage=stage, **fields)


def tell(state: BellState, event: Any, now_ms: int = NOW) -> tuple[BellState, tuple[Any, ...]]:
    return advance_bell(state, event, now_ms, BELL_LIMITS)


def help_(id_: str = ALARM, seq: int = 3) -> Event:
    return said(EventType.HELP, id_=id_, alarm=None, seq=seq)


def alarms(state: BellState) -> list[str]:
    return [call.alarm for call in wanted_calls(state)]


# --- what was answered ------------------------------------------------------------------------------------------------


def test_after_a_restart_only_answers_to_an_alarm_stand_beside_what_stood_already() -> None:
    def row(seq: int, kind: EventType, alarm: str | None, **detail: str) -> OutboxRow:
        return OutboxRow(seq, f"id-{seq}", kind, START, ClockState.SYNCED, "boot", 0, alarm, detail=detail or None)

    before = replace(UP, answers=(Answer(E1, EventType.DONE, OTHER),), accepted=(OTHER,))
    rows = [
        row(1, EventType.ACCEPT, ALARM, panel=PANEL),
        row(2, EventType.FAULT, ALARM),
        row(3, EventType.ACCEPT, None),
    ]
    state = with_answers(before, rows, 700)
    assert state.answers == (*before.answers, Answer("id-1", EventType.ACCEPT, ALARM, 700, PANEL, direct=True))
    assert state.accepted == (OTHER, ALARM)


def test_chimes_sound_beside_each_other() -> None:
    state, _ = tell(replace(UP, sounding=(ALARM,)), ChimeStarted(OTHER))
    assert state.sounding == (ALARM, OTHER)


@pytest.mark.parametrize(("event", "accepted"), [(PRESS, (OTHER, ALARM)), (DECLINE, (OTHER,))])
def test_the_newest_acceptance_is_last_and_each_stands_once(event: ButtonDown, accepted: tuple[str, ...]) -> None:
    """What a hold finishes is the last: whoever accepts an alarm again goes there now."""
    state, _ = tell(replace(UP, rings=(ring(),), accepted=(ALARM, OTHER)), event)
    assert state.accepted == accepted


def test_an_answer_is_to_the_panel_and_in_the_words_of_its_own_alarm() -> None:
    other = ring(Stage.ACCEPTED, OTHER, from_=CHEN, label="陈爷爷")
    called = DirectRing(CHEN, OTHER, NOW, taken_by="赵强", label="陈爷爷")
    state, effects = tell(replace(UP, rings=(other, ring()), direct=(called,)), PRESS)
    assert state.answers == (Answer(E2, EventType.ACCEPT, ALARM, NOW, PANEL, direct=False),)
    assert effects == (
        Happened(E2, EventType.ACCEPT, NOW, ALARM),
        Play(Tone.HEARD, Words(Phrase.GO, label="柳奶奶")),
    )
    state, effects = tell(replace(UP, direct=(called, CALL)), PRESS)
    assert state.answers == (Answer(E2, EventType.ACCEPT, ALARM, NOW, PANEL, direct=True),)
    assert effects == (
        Happened(E2, EventType.ACCEPT, NOW, ALARM, {"panel": PANEL}),
        Play(Tone.HEARD, Words(Phrase.GO, label="柳奶奶", place="3栋502")),
    )


def test_done_ends_a_direct_call_here_and_what_was_answered_before_stands_until_its_receipt() -> None:
    before = Answer(E1, EventType.DECLINE, OTHER)
    state, _ = tell(replace(UP, answers=(before,), accepted=(ALARM,), direct=(ACCEPTED,)), HOLD)
    assert state.answers == (before, Answer(E2, EventType.DONE, ALARM, NOW, PANEL, direct=True))
    assert state.direct == ()


def test_done_for_an_alarm_that_is_shown_no_more_is_told_to_no_panel() -> None:
    state, _ = tell(replace(UP, accepted=(ALARM,)), HOLD)
    assert state.answers == (Answer(E2, EventType.DONE, ALARM, NOW, "", direct=False),)


@pytest.mark.parametrize("call", [TAKEN, replace(ACCEPTED, arrived=True)])
def test_what_another_has_taken_or_the_elder_has_ended_cannot_be_handed_back(call: DirectRing) -> None:
    state, effects = tell(replace(UP, direct=(call,)), DECLINE)
    assert (state.answers, effects) == ((), (Ignored("nothing_rings"),))


def test_only_panels_of_ones_own_are_told() -> None:
    answer = Answer(E2, EventType.ACCEPT, ALARM, NOW, PANEL, direct=True)
    state = replace(UP, answers=(answer, replace(answer, alarm=OTHER, panel=CHEN)))
    assert [one.to for one in bell_tellings(state, (PANEL,))] == [(PANEL,)]


# --- a panel that calls -----------------------------------------------------------------------------------------------


def test_while_a_direct_answer_is_under_way_its_panels_other_press_rings_by_no_way() -> None:
    answered = replace(UP, answers=(Answer(E1, EventType.ACCEPT, ALARM, NOW, PANEL, direct=True),))
    assert alarms(replace(answered, rings=(ring(alarm=OTHER),))) == []
    assert alarms(replace(answered, rings=(ring(alarm=OTHER, from_=CHEN),))) == [OTHER]


@pytest.mark.parametrize(("ms", "rings"), [(10_000, False), (DECIDED_MS - 1, False), (DECIDED_MS, True)])
@pytest.mark.parametrize("kind", [EventType.DECLINE, EventType.DONE])
def test_who_has_declined_or_done_is_not_rung_for_the_same_press_until_somebody_should_have_come(
    kind: EventType, ms: int, *, rings: bool
) -> None:
    answered = replace(UP, answers=(Answer(E1, kind, ALARM, NOW, PANEL, direct=True),))
    state, effects = tell(answered, PeerSaid(PANEL, help_()), NOW + ms)
    assert bool(state.direct) is rings
    assert effects == (() if rings else (Ignored("already_answered", ALARM),))
    state, effects = tell(answered, PeerSaid(PANEL, help_(OTHER, 4)), NOW + ms)
    assert ([one.alarm for one in state.direct], effects) == ([OTHER], ()), "another press is another matter"


def test_an_acceptance_from_before_a_restart_stands_when_its_panel_calls_again() -> None:
    other = Answer(E2, EventType.ACCEPT, OTHER, NOW - 900)
    state = replace(UP, answers=(Answer(E1, EventType.ACCEPT, ALARM, NOW - 900), other), accepted=(ALARM,))
    state, effects = tell(state, PeerSaid(PANEL, help_()))
    assert effects == ()
    assert state.answers == (Answer(E1, EventType.ACCEPT, ALARM, NOW - 900, PANEL, direct=True), other)
    (call,) = state.direct
    assert (call.accepted_ms, bell_light(state)) == (NOW - 900, Light.MINE)
    again, _ = tell(state, PeerSaid(PANEL, help_()), NOW + DECIDED_MS)
    assert alarms(again) == [ALARM], "nobody has arrived since"


def test_a_press_that_the_relay_rings_here_already_is_not_rung_twice() -> None:
    heard = PeerSaid(PANEL, help_(OTHER))
    state, effects = tell(replace(UP, rings=(ring(),)), heard)
    assert (state.direct, effects) == ((), (Ignored("peer_relay_rings", EventType.HELP),))
    for rings in [(ring(from_=CHEN),), (ring(Stage.ACCEPTED),)]:
        state, effects = tell(replace(UP, rings=rings), heard)
        assert ([one.alarm for one in state.direct], effects) == ([OTHER], ())


def test_what_a_stranger_to_the_call_says_is_named() -> None:
    word = said(EventType.ACCEPT, alarm=OTHER)
    state, effects = tell(replace(UP, direct=(CALL,)), PeerSaid(PANEL, word))
    assert (state.direct, effects) == ((CALL,), (Ignored("peer_of_no_ring", EventType.ACCEPT),))


# --- what the relay says then -----------------------------------------------------------------------------------------


def desired(*rings: Ring, rev: int = 5) -> DesiredApplied:
    return DesiredApplied(Desired(rev=rev, rings=rings))


def test_the_relays_word_ends_a_direct_call_and_its_old_word_does_not() -> None:
    state = replace(UP, direct=(CALL,), desired=Desired(rev=5))
    assert tell(state, desired(ring(), rev=6))[0].direct == ()
    assert tell(state, desired(ring(alarm=OTHER), rev=6))[0].direct == ()
    assert tell(state, desired(ring(alarm=OTHER), rev=5))[0].direct == (CALL,), "a broker keeps a dead relay's last"


@pytest.mark.parametrize(("call", "accepted"), [(ACCEPTED, (ALARM,)), (CALL, ())])
def test_what_was_accepted_here_directly_stays_ones_own_until_it_calls_again(
    call: DirectRing, accepted: tuple[str, ...]
) -> None:
    state, _ = tell(replace(UP, direct=(call,), accepted=(ALARM,)), desired())
    assert state.accepted == accepted


def test_whoever_stops_ringing_because_another_goes_is_told_who() -> None:
    ringing = replace(UP, rings=(ring(), ring(alarm=OTHER)))
    taken = ring(Stage.ACCEPTED, who="赵强")
    state, effects = tell(ringing, desired(taken, ring(alarm=OTHER)))
    assert effects == (Play(Tone.NOTICE, Words(Phrase.TAKEN, "赵强", "柳奶奶")),)
    assert tell(state, desired(taken, ring(alarm=OTHER), rev=6))[1] == (), "once"
    assert tell(ringing, desired(ring(Stage.ARRIVED, who="赵强")))[1] == ()
    assert tell(ringing, desired(ring(alarm=OTHER)))[1] == (), "it has ended, and nobody goes"


def test_nobody_is_said_to_go_while_the_panel_calls_for_the_same_alarm_itself() -> None:
    state, _ = tell(replace(UP, rings=(ring(Stage.ACCEPTED, who="赵强"),)), PeerSaid(PANEL, help_()))
    assert alarms(state) == [ALARM]
    for event in (TimePassed(), PeerSaid(PANEL, help_())):
        state, effects = tell(state, event)
        assert (alarms(state), effects) == ([ALARM], ())


def test_nobody_is_said_to_go_when_a_relay_of_a_back_up_rings_for_the_panel_under_the_same_rev() -> None:
    """It rings on under another alarm's name; that the panel's own call is over is no word of anybody who goes."""
    state, _ = tell(replace(UP, direct=(CALL,)), DesiredApplied(Desired(rev=4)))
    assert alarms(state) == [ALARM]
    state, effects = tell(state, DesiredApplied(Desired(rev=4, rings=(ring(alarm=OTHER),))))
    assert (alarms(state), effects) == ([OTHER], ())


def test_a_bell_whose_panel_is_silent_says_nothing_of_it() -> None:
    state, effects = tell(replace(UP, direct=(CALL,)), TimePassed(), NOW + LIMITS.forget_ms)
    assert (state.direct, effects) == ((), ())


# --- the reminder -----------------------------------------------------------------------------------------------------


def test_whoever_has_accepted_is_reminded_every_quarter_of_an_hour() -> None:
    state, _ = tell(replace(UP, rings=(ring(),)), PRESS)
    for quarter in (1, 2):
        now_ms = NOW + quarter * 15 * 60_000
        assert bell_deadline(state, BELL_LIMITS) == now_ms
        assert tell(state, TimePassed(), now_ms - 1)[1] == ()
        state, effects = tell(state, TimePassed(), now_ms)
        assert effects == (Play(Tone.NOTICE, Words(Phrase.REMINDER, label="柳奶奶")),)


def test_nobody_is_reminded_while_another_alarm_rings() -> None:
    mine = replace(UP, rings=(ring(Stage.ACCEPTED, mine=True),), remind_ms=NOW)
    due, reminded = NOW + BELL_LIMITS.remind_ms, Play(Tone.NOTICE, Words(Phrase.REMINDER, label="柳奶奶"))
    state, effects = tell(mine, TimePassed())
    assert (state.remind_ms, effects) == (due, (reminded,))
    state, effects = tell(replace(mine, rings=(ring(alarm=OTHER), *mine.rings)), TimePassed())
    assert (state.remind_ms, effects) == (due, ()), "it is said the next time"


@pytest.mark.parametrize(("remind_ms", "first"), [(NOW + 1, NOW + 1), (NOW + 10**9, NOW + LIMITS.forget_ms)])
def test_a_bell_looks_again_when_the_first_thing_is_due(remind_ms: int, first: int) -> None:
    assert bell_deadline(replace(UP, direct=(CALL,), remind_ms=remind_ms), BELL_LIMITS) == first
    assert bell_deadline(replace(UP, remind_ms=remind_ms), BELL_LIMITS) == remind_ms
    assert bell_deadline(UP, BELL_LIMITS) is None
