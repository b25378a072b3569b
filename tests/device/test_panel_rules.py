"""Rules of the panel that one event in one state does not show: what bells have said, what is told on, and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from device.core.effects import Ignored, Play, Tell
from device.core.outbox import Happened
from device.core.panel import (
    MAX_TOLD_PRESSES,
    PanelLimits,
    PanelStage,
    PanelState,
    advance_panel,
    panel_deadline,
    panel_light,
    panel_tellings,
    with_presses,
)
from device.core.peer import Telling
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    DesiredApplied,
    LinkChanged,
    PeerSaid,
    RoleEffect,
    RoleInput,
    TimePassed,
)
from device.core.signals import Light, Phrase, Tone, Words
from doorbell.wire import Coverage, Desired, EventType, Neighbour, Panel, PanelAlarm, Stage
from tests.device.direct import BELL, E1, E2, NOW, SECOND, STRANGER, said
from tests.device.doubles import ALARM, OTHER, START

LIMITS = PanelLimits()
NAMES = ((BELL, "彭小平"), (SECOND, "赵强"))
UP = PanelState(link_up=True, coverage=Coverage.COVERED, names=NAMES, rev=4)
CALLING = replace(UP, unreceipted=((ALARM, NOW - 8_000),), stage=PanelStage.HEARD)
ACCEPT = said(EventType.ACCEPT, seq=5)


def tell(state: PanelState, *events: RoleInput, now_ms: int = NOW) -> tuple[PanelState, tuple[RoleEffect, ...]]:
    """The state after these events and what the last of them brought."""
    effects: tuple[RoleEffect, ...] = ()
    for event in events:
        state, effects = advance_panel(state, event, now_ms, LIMITS)
    return state, effects


def desired(
    stage: Stage | None, *stored: str, rev: int = 5, id_: str = ALARM, who: str | None = None
) -> DesiredApplied:
    alarm = None if stage is None else PanelAlarm(id=id_, stage=stage, since=START, who=who)
    neighbours = tuple(Neighbour(device=bell, label=name) for bell, name in NAMES)
    return DesiredApplied(
        Desired(
            rev=rev, stored=stored, peers=(BELL, SECOND), neighbours=neighbours,
            panel=Panel(alarm=alarm, coverage=Coverage.COVERED),
        )
    )  # fmt: skip


COMING = tell(CALLING, PeerSaid(BELL, ACCEPT, 0))[0]

# --- the elder's own buttons ------------------------------------------------------------------------------------------


def test_presses_that_are_found_on_the_disk_stand_beside_those_made_meanwhile() -> None:
    assert with_presses(CALLING, [OTHER, E2], NOW).unreceipted == ((ALARM, NOW - 8_000), (OTHER, NOW), (E2, NOW))


@pytest.mark.parametrize(("link_up", "phrase"), [(True, Phrase.HEARD), (False, Phrase.HEARD_OFFLINE)])
def test_the_answer_to_a_press_says_whether_it_will_take_longer(phrase: Phrase, *, link_up: bool) -> None:
    _, effects = tell(replace(UP, link_up=link_up), ButtonDown(ButtonName.HELP, NOW, ALARM))
    assert effects == (Happened(ALARM, EventType.HELP, NOW), Play(Tone.HEARD, Words(phrase)))


@pytest.mark.parametrize(
    ("event", "ignored"),
    [
        (ButtonDown(ButtonName.ANSWER, NOW, E1), Ignored("no_such_button", "answer")),
        (ButtonHeld(ButtonName.HELP, NOW, E1), Ignored("hold_means_nothing")),
        (ChimeStarted(ALARM), Ignored("panel_has_no_chime")),
    ],
)
def test_what_a_panel_cannot_use_is_named_for_a_technician(event: RoleInput, ignored: Ignored) -> None:
    assert tell(CALLING, event) == (CALLING, (ignored,))


def test_a_daily_ok_is_told_to_no_bell() -> None:
    """Only one that takes a call back is; the sign of life is the relay's alone."""
    state, _ = tell(UP, ButtonDown(ButtonName.OK, NOW, E1))
    assert panel_tellings(state, (BELL,)) == ()


def test_every_ok_that_took_a_call_back_is_told_until_the_relay_has_it() -> None:
    state, _ = tell(
        CALLING,
        ButtonDown(ButtonName.OK, NOW, E1),
        ButtonDown(ButtonName.HELP, NOW + 1_000, OTHER),
        ButtonDown(ButtonName.OK, NOW + 2_000, E2),
    )
    ok1, ok2 = (Telling(E1, (BELL,), NOW, at_once=True), Telling(E2, (BELL,), NOW + 2_000, at_once=True))
    assert panel_tellings(state, (BELL,)) == (ok1, ok2), "and no bell is called for what was taken back"
    state, _ = tell(state, desired(Stage.RINGING, E1))
    assert panel_tellings(state, (BELL,)) == (ok2,)


def test_a_panel_that_has_just_started_has_no_line_until_it_is_told_so() -> None:
    assert panel_light(PanelState()) is Light.OFFLINE
    _, effects = tell(PanelState(), ButtonDown(ButtonName.HELP, NOW, ALARM))
    assert effects[-1] == Play(Tone.HEARD, Words(Phrase.HEARD_OFFLINE))


def test_an_elder_whom_nobody_has_heard_is_told_every_minute_unless_all_that_she_called_for_is_taken_back() -> None:
    """One press that she took back must not silence what is said of the next."""
    state, _ = tell(CALLING, ButtonDown(ButtonName.OK, NOW, E1))
    state, effects = tell(state, TimePassed(), now_ms=NOW + 10_000)
    unreachable = Play(Tone.UNREACHABLE, Words(Phrase.UNREACHABLE))
    assert (state.stage, effects) == (PanelStage.UNREACHABLE, (unreachable,))
    state, effects = tell(state, TimePassed(), now_ms=NOW + 70_000)
    assert effects == ()
    state, _ = tell(state, ButtonDown(ButtonName.HELP, NOW + 71_000, OTHER), now_ms=NOW + 71_000)
    _, effects = tell(state, TimePassed(), now_ms=NOW + 130_000)
    assert effects == (unreachable,)


# --- what a bell says -------------------------------------------------------------------------------------------------


def passed_on(kind: EventType, who: str, **more: Any) -> Tell:
    return Tell(SECOND, said(kind, detail={"by": BELL, "who": who}, **more))


def test_who_comes_is_told_to_the_elder_by_name_and_to_the_other_bells_again_as_often_as_it_is_heard() -> None:
    state, effects = tell(CALLING, PeerSaid(BELL, ACCEPT, 0))
    assert effects == (
        passed_on(EventType.ACCEPT, "彭小平"),
        Play(Tone.COMING, Words(Phrase.COMING, who="彭小平")),
    )
    assert (state.stage, panel_tellings(state, (BELL, SECOND))) == (PanelStage.COMING, ())
    _, effects = tell(state, PeerSaid(BELL, ACCEPT, 0))
    assert effects == (Ignored("peer_repeated", "accept"), passed_on(EventType.ACCEPT, "彭小平"))


def test_a_bell_without_a_name_is_somebody() -> None:
    """A relay that knows no name of it, or a bell that has just been paired."""
    nameless = tell(CALLING, desired(None))[0]
    for state in (replace(nameless, names=()), replace(nameless, names=((BELL, ""),))):
        _, effects = tell(state, PeerSaid(BELL, ACCEPT, 0))
        assert effects == (Play(Tone.COMING, Words(Phrase.COMING)),)
    state, _ = tell(
        UP, DesiredApplied(Desired(rev=5, peers=(BELL, SECOND), panel=Panel(alarm=None, coverage=Coverage.THIN)))
    )
    assert state.names == ((BELL, ""), (SECOND, ""))
    _, effects = tell(replace(CALLING, names=((SECOND, "赵强"),)), PeerSaid(BELL, ACCEPT, 0))
    assert effects[0] == passed_on(EventType.ACCEPT, "")


def test_the_name_is_told_once_and_again_when_it_is_another() -> None:
    state, effects = tell(COMING, LinkChanged(up=False))
    assert effects == ()
    state, effects = tell(state, desired(Stage.ACCEPTED, ALARM, who="彭小平"))
    assert effects == ()
    state, effects = tell(state, desired(Stage.ACCEPTED, rev=6, who="赵强"))
    assert effects == (Play(Tone.COMING, Words(Phrase.COMING, who="赵强")),)
    _, effects = tell(state, desired(Stage.ACCEPTED, rev=7))
    assert effects == (), "somebody is coming all the same: without a name there is nothing to tell"


def test_a_helper_who_is_there_is_not_called_by_name() -> None:
    state, effects = tell(COMING, ButtonDown(ButtonName.OK, NOW, E1))
    assert (state.stage, effects[-1]) == (PanelStage.ARRIVED, Play(Tone.ARRIVED, Words(Phrase.ARRIVED)))


def test_the_relays_name_is_told_though_a_press_that_is_over_has_no_receipt_yet() -> None:
    """It was somebody without a name: the stage came from the relay, the name from a bell that had said nothing."""
    done = PeerSaid(BELL, said(EventType.DONE, id_=E2, seq=6), 0)
    state, _ = tell(COMING, done)
    state, effects = tell(
        state,
        DesiredApplied(
            Desired(
                rev=6,
                panel=Panel(
                    alarm=PanelAlarm(id=OTHER, stage=Stage.ACCEPTED, since=START, who="赵强"),
                    coverage=Coverage.COVERED,
                ),
            )
        ),
    )
    assert (state.unreceipted, effects) == (
        ((ALARM, NOW - 8_000),),
        (Play(Tone.COMING, Words(Phrase.COMING, who="赵强")),),
    )


def test_an_alarm_that_a_helper_has_finished_is_over_whatever_the_relay_said_before_it_went_away() -> None:
    state, _ = tell(UP, desired(Stage.RINGING), LinkChanged(up=False), PeerSaid(BELL, ACCEPT, 0))
    state, _ = tell(state, PeerSaid(BELL, said(EventType.DONE, id_=E2, seq=6), 0))
    assert state.stage is PanelStage.CLOSED
    assert tell(state, TimePassed(), now_ms=NOW + 5_000)[0].stage is PanelStage.IDLE


def test_the_end_is_shown_once_though_it_is_told_twice() -> None:
    """By a bell that does not count its words, so that nobody knows that it is the same one."""
    done = PeerSaid(BELL, said(EventType.DONE, id_=E2), 0)
    state, _ = tell(CALLING, PeerSaid(BELL, said(EventType.ACCEPT), 0), done)
    assert state.stage is PanelStage.CLOSED
    state, _ = tell(state, TimePassed(), now_ms=NOW + 5_000)
    state, effects = tell(state, done, now_ms=NOW + 6_000)
    assert (state.stage, effects) == (PanelStage.IDLE, ())


def test_a_hand_back_is_told_on_and_calls_again() -> None:
    state, effects = tell(COMING, PeerSaid(BELL, said(EventType.DECLINE, id_=E2, seq=6), 0))
    assert effects == (passed_on(EventType.DECLINE, "彭小平", id_=E2),)
    assert (state.stage, panel_tellings(state, (BELL,))) == (PanelStage.HEARD, (Telling(ALARM, (BELL,), NOW - 8_000),))


def test_what_is_done_is_told_to_no_other_bell_and_is_shown_as_the_end() -> None:
    state, effects = tell(COMING, PeerSaid(BELL, said(EventType.DONE, id_=E2, seq=6), 0))
    assert effects == (Play(Tone.CLOSED, Words(Phrase.CLOSED)),)
    assert (state.stage, panel_deadline(state, LIMITS)) == (PanelStage.CLOSED, NOW + 5_000)
    assert panel_tellings(state, (BELL, SECOND)) == ()
    assert tell(state, TimePassed(), now_ms=NOW + 5_000)[0].stage is PanelStage.IDLE


def test_what_a_bell_says_in_vain_is_named_and_told_to_nobody() -> None:
    assert tell(CALLING, PeerSaid(BELL, said(EventType.ACCEPT, alarm=STRANGER), 0)) == (
        CALLING,
        (Ignored("peer_of_no_press", "accept"),),
    )


# --- what the relay says ----------------------------------------------------------------------------------------------


def test_the_last_word_of_a_dead_relay_which_the_broker_says_again_ends_no_promise() -> None:
    """It was taken for news, and 40 s later the elder was told of nobody who comes."""
    state, _ = tell(UP, desired(Stage.RINGING, rev=5), LinkChanged(up=False), PeerSaid(BELL, ACCEPT, 0))
    state, _ = tell(state, LinkChanged(up=True), desired(Stage.RINGING, rev=5))
    state, effects = tell(state, TimePassed(), now_ms=NOW + 60_000)
    assert (state.stage, effects) == (PanelStage.COMING, ())
    state, _ = tell(state, desired(Stage.RINGING, rev=6), now_ms=NOW + 60_000)
    state, _ = tell(state, TimePassed(), now_ms=NOW + 99_999)
    assert state.stage is PanelStage.COMING
    state, effects = tell(state, TimePassed(), now_ms=NOW + 100_000)
    assert (state.stage, effects) == (PanelStage.RINGING, (Play(Tone.RINGING, Words(Phrase.RINGING)),))


def test_the_first_word_of_a_relay_is_news() -> None:
    """Also the first of all: with it the relay rules what a bell has said before."""
    state, _ = tell(PanelState(), ButtonDown(ButtonName.HELP, NOW, ALARM), PeerSaid(BELL, ACCEPT, 0))
    state, _ = tell(state, desired(Stage.ACCEPTED, ALARM, rev=1), desired(Stage.RINGING, rev=2))
    assert state.stage is PanelStage.RINGING


def test_a_panel_looks_again_at_the_first_thing_that_is_due() -> None:
    """The relay is back and rings: for 40 s a bell's word outweighs it; the end that is shown is over sooner."""
    state, _ = tell(replace(COMING, unreceipted=()), desired(Stage.RINGING, rev=5))
    assert panel_deadline(state, LIMITS) == NOW + 40_000
    state = replace(state, stage=PanelStage.CLOSED, closed_until_ms=NOW + 5_000)
    assert panel_deadline(state, LIMITS) == NOW + 5_000


def test_of_very_many_presses_the_bells_are_told_the_first_and_the_newest() -> None:
    """A wet contact and a day without a relay: 2,000 presses, each told again every 10 s, left no time for a finger."""
    presses = tuple((f"press-{n}", NOW - 100_000 + n) for n in range(2_000))
    for count in (1, MAX_TOLD_PRESSES, MAX_TOLD_PRESSES + 1, 2_000):
        told = [one.event_id for one in panel_tellings(replace(CALLING, unreceipted=presses[:count]), (BELL,))]
        assert told[0] == "press-0"
        assert told[-1] == f"press-{count - 1}"
        assert len(set(told)) == len(told) == min(count, MAX_TOLD_PRESSES)
        assert told[1:] == [event_id for event_id, _ in presses[:count][-len(told) :]][1:]
