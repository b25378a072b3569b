"""The bell core: every state by every event; what sounds, what an answer does, what a hold means."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from device.core import bell
from device.core.bell import Answer, BellLimits, BellState, bell_light, wanted_calls, with_answers
from device.core.effects import Ignored, OutboxRow, Play
from device.core.outbox import Happened
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    ChimeStopped,
    DesiredApplied,
    LinkChanged,
    RoleEffect,
    RoleInput,
    TimePassed,
)
from device.core.signals import Light, Phrase, Tone, Words
from doorbell.wire import AlarmKind, ClockState, Desired, EventType, Ring, Stage
from tests.device.doubles import ALARM, OTHER, START

E1 = "01938f3c-0000-4000-8000-00000000000a"
E2 = "01938f3c-0000-4000-8000-00000000000b"
PHRASE_OF = {EventType.ACCEPT: Phrase.GO, EventType.DECLINE: Phrase.DECLINED, EventType.DONE: Phrase.DONE}


def heard(kind: EventType) -> Play:
    return Play(Tone.HEARD, Words(PHRASE_OF[kind], label="柳奶奶"))


def advance_bell(state: BellState, event: RoleInput, now_ms: int = 5_000) -> tuple[BellState, tuple[RoleEffect, ...]]:
    return bell.advance_bell(state, event, now_ms, BellLimits())


def ring(stage: Stage = Stage.RINGING, alarm: str = ALARM, **more: Any) -> Ring:
    fields = {"kind": AlarmKind.HELP, "from_": "button-liu", "label": "柳奶奶", "raised_at": START, **more}
    return Ring(alarm=alarm, stage=stage, **fields)


def wanted_alarms(state: BellState) -> tuple[str, ...]:
    return tuple(call.alarm for call in wanted_calls(state))


def desired(*rings: Ring, stored: tuple[str, ...] = ()) -> DesiredApplied:
    return DesiredApplied(Desired(rev=1, rings=rings, stored=stored))


UP = BellState(link_up=True)
RINGING = replace(UP, rings=(ring(),), sounding=(ALARM,))
ACCEPTING = replace(RINGING, answers=(Answer(E1, EventType.ACCEPT, ALARM),), accepted=(ALARM,), press_answered=True)
MINE = replace(UP, rings=(ring(Stage.ACCEPTED, mine=True),), accepted=(ALARM,))
STATES: dict[str, BellState] = {
    "idle": UP,
    "offline": BellState(),
    "ringing": RINGING,
    "two_ring": replace(UP, rings=(ring(), ring(alarm=OTHER)), sounding=(ALARM, OTHER)),
    "accepting": ACCEPTING,
    "mine": MINE,
    "mine_arrived": replace(MINE, rings=(ring(Stage.ARRIVED, mine=True),)),
    "taken": replace(UP, rings=(ring(Stage.ACCEPTED, who="彭小平"),)),
    "test": replace(UP, rings=(ring(kind=AlarmKind.TEST),)),
    "finishing": replace(MINE, answers=(Answer(E1, EventType.DONE, ALARM),)),
    "mine_and_another_rings": replace(UP, rings=(ring(alarm=OTHER), ring(Stage.ACCEPTED, mine=True))),
}
EVENTS: dict[str, RoleInput] = {
    "press": ButtonDown(ButtonName.ANSWER, 500, E2),
    "decline": ButtonDown(ButtonName.DECLINE, 500, E2),
    "hold": ButtonHeld(ButtonName.ANSWER, 3_500, E2),
    "hold_decline": ButtonHeld(ButtonName.DECLINE, 3_500, E2),
    "wrong_button": ButtonDown(ButtonName.HELP, 500, E2),
    "rings": desired(ring()),
    "silence": desired(),
    "receipt_and_mine": desired(ring(Stage.ACCEPTED, mine=True), stored=(E1,)),
    "receipt_but_rings": desired(ring(), stored=(E1,)),
    "link_up": LinkChanged(up=True),
    "link_down": LinkChanged(up=False),
    "chime_started": ChimeStarted(ALARM),
    "chime_stopped": ChimeStopped(ALARM),
    "time": TimePassed(),
}
ACCEPT, DECLINE, DONE = EventType.ACCEPT, EventType.DECLINE, EventType.DONE
# What is sent for which alarm; everything else sends nothing.
SENDS: dict[tuple[str, str], tuple[EventType, str]] = {
    ("ringing", "press"): (ACCEPT, ALARM),
    ("ringing", "decline"): (DECLINE, ALARM),
    ("two_ring", "press"): (ACCEPT, ALARM),
    ("two_ring", "decline"): (DECLINE, ALARM),
    ("mine", "decline"): (DECLINE, ALARM),
    ("mine", "hold"): (DONE, ALARM),
    ("mine_arrived", "hold"): (DONE, ALARM),
    ("mine_and_another_rings", "press"): (ACCEPT, OTHER),
    ("mine_and_another_rings", "decline"): (DECLINE, OTHER),
    ("mine_and_another_rings", "hold"): (DONE, ALARM),
}
IGNORED: dict[tuple[str, str], str] = {
    ("accepting", "press"): "already_answered",
    ("accepting", "decline"): "already_answered",
    ("finishing", "press"): "already_answered",
    ("finishing", "decline"): "already_answered",
    ("accepting", "hold"): "hold_of_an_answer",
}


@pytest.mark.parametrize(("before", "what"), list(product(STATES, EVENTS)))
def test_every_state_by_every_event(before: str, what: str) -> None:
    state, event = STATES[before], EVENTS[what]
    after, effects = advance_bell(state, event)
    sends = SENDS.get((before, what))
    if isinstance(event, ButtonDown | ButtonHeld):
        if sends is not None:
            kind, alarm = sends
            assert effects == (Happened(E2, kind, event.at_ms, alarm), heard(kind))
            assert Answer(E2, kind, alarm, event.at_ms, "button-liu") in after.answers
            assert alarm not in wanted_alarms(after)
        else:
            default = {"press": "nothing_rings", "decline": "nothing_rings", "hold": "nothing_to_finish"}
            reason = IGNORED.get((before, what)) or default.get(what, "gesture_means_nothing")
            assert [one.reason for one in effects if isinstance(one, Ignored)] == [reason]
            assert (len(effects), after.answers, after.rings) == (1, state.answers, state.rings)
        return
    match what:
        case "chime_started":
            assert ALARM in after.sounding
            assert effects == ((Ignored("already_sounding", ALARM),) if ALARM in state.sounding else ())
        case "chime_stopped":
            assert ALARM not in after.sounding
            assert effects == (() if ALARM in state.sounding else (Ignored("not_sounding", ALARM),))
        case "time":
            assert (replace(after, remind_ms=None), effects) == (state, ())
        case "link_up" | "link_down":
            assert (replace(after, remind_ms=None), effects) == (replace(state, link_up=what == "link_up"), ())
        case _:
            assert effects == ()
            assert after.sounding == state.sounding  # only the player says what sounds
            assert isinstance(event, DesiredApplied)
            assert after.rings == event.desired.rings


@pytest.mark.parametrize(
    ("state", "wanted", "light"),
    [
        ("idle", (), Light.READY),
        ("offline", (), Light.OFFLINE),
        ("ringing", (ALARM,), Light.RINGING),
        ("two_ring", (ALARM, OTHER), Light.RINGING),
        ("accepting", (), Light.ANSWERING),
        ("mine", (), Light.MINE),
        ("mine_arrived", (), Light.MINE),
        ("taken", (), Light.TAKEN),
        ("test", (), Light.READY),
        ("finishing", (), Light.ANSWERING),
        ("mine_and_another_rings", (OTHER,), Light.RINGING),
    ],
)
def test_what_should_sound_and_shine(state: str, wanted: tuple[str, ...], light: Light) -> None:
    assert (wanted_alarms(STATES[state]), bell_light(STATES[state])) == (wanted, light)


def test_a_desired_without_the_receipt_does_not_ring_again_one_with_it_does() -> None:
    state, _ = advance_bell(ACCEPTING, desired(ring(presses=3)))
    assert wanted_alarms(state) == ()
    state, _ = advance_bell(state, desired(ring(presses=3), stored=(E1,)))
    assert wanted_alarms(state) == (ALARM,)
    assert state.accepted == ()


def test_a_hold_after_the_accept_was_released_means_done() -> None:
    state, _ = advance_bell(ACCEPTING, desired(ring(Stage.ACCEPTED, mine=True), stored=(E1,)))
    state, effects = advance_bell(state, ButtonDown(ButtonName.ANSWER, 500, E2))
    assert effects == (Ignored("nothing_rings"),)
    _, effects = advance_bell(state, ButtonHeld(ButtonName.ANSWER, 3_500, E2))
    assert effects == (Happened(E2, DONE, 3_500, ALARM), heard(DONE))


def test_an_accept_that_the_relay_does_not_call_mine_can_still_be_finished_here() -> None:
    state, _ = advance_bell(ACCEPTING, desired(ring(Stage.ACCEPTED), stored=(E1,)))
    state, _ = advance_bell(state, ButtonDown(ButtonName.ANSWER, 500, E2))
    _, effects = advance_bell(state, ButtonHeld(ButtonName.ANSWER, 3_500, E2))
    assert effects == (Happened(E2, DONE, 3_500, ALARM), heard(DONE))


def test_answers_of_before_a_restart_are_taken_from_the_outbox() -> None:
    def row(seq: int, kind: EventType, alarm: str | None) -> OutboxRow:
        return OutboxRow(seq, f"id-{seq}", kind, START, ClockState.SYNCED, "boot", 0, alarm)

    state = with_answers(UP, [row(1, ACCEPT, ALARM), row(2, EventType.FAULT, None), row(3, DECLINE, OTHER)], 700)
    assert state.answers == (Answer("id-1", ACCEPT, ALARM, 700), Answer("id-3", DECLINE, OTHER, 700))
    assert state.accepted == (ALARM,)
