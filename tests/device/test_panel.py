"""The panel core: every state by every event, and never more comfort than is committed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from device.core.effects import Ignored, Play
from device.core.outbox import Happened
from device.core.panel import PanelLimits, PanelStage, PanelState, advance_panel, panel_deadline, panel_light
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    ChimeStopped,
    DesiredApplied,
    LinkChanged,
    RoleInput,
    TimePassed,
)
from device.core.signals import Light, Phrase, Tone, Words
from doorbell.wire import Coverage, Desired, EventType, Panel, PanelAlarm, Stage
from tests.device.doubles import ALARM, OTHER, START

LIMITS = PanelLimits()
NOW = 100_000
PRESS = "01938f3c-0000-4000-8000-00000000000a"


def alarm(stage: Stage) -> PanelAlarm:
    return PanelAlarm(id=ALARM, stage=stage, since=START)


def desired(stage: Stage | None, *stored: str) -> DesiredApplied:
    shown = None if stage is None else alarm(stage)
    return DesiredApplied(Desired(rev=1, stored=stored, panel=Panel(alarm=shown, coverage=Coverage.COVERED)))


UP = PanelState(link_up=True, coverage=Coverage.COVERED)
STATES: dict[str, PanelState] = {
    "idle": UP,
    "heard": replace(UP, unreceipted=((PRESS, NOW - 1_000),), stage=PanelStage.HEARD),
    "unreachable": replace(UP, link_up=False, unreceipted=((PRESS, NOW - 20_000),), stage=PanelStage.UNREACHABLE),
    "received": replace(UP, alarm=alarm(Stage.RECEIVED), stage=PanelStage.RECEIVED),
    "ringing": replace(UP, alarm=alarm(Stage.RINGING), stage=PanelStage.RINGING),
    "coming": replace(UP, alarm=alarm(Stage.ACCEPTED), stage=PanelStage.COMING),
    "arrived": replace(UP, alarm=alarm(Stage.ARRIVED), stage=PanelStage.ARRIVED),
    "closed": replace(UP, closed_until_ms=NOW + 3_000, stage=PanelStage.CLOSED),
    "coming_pressed_again": replace(
        UP, alarm=alarm(Stage.ACCEPTED), unreceipted=((PRESS, NOW - 1_000),), stage=PanelStage.HEARD
    ),
}
EVENTS: dict[str, RoleInput] = {
    "help": ButtonDown(ButtonName.HELP, NOW - 20, OTHER),
    "ok": ButtonDown(ButtonName.OK, NOW - 20, OTHER),
    "wrong_button": ButtonDown(ButtonName.ANSWER, NOW - 20, OTHER),
    "hold": ButtonHeld(ButtonName.HELP, NOW, OTHER),
    "receipt": desired(Stage.RECEIVED, PRESS),
    "no_receipt": desired(None),
    "ringing": desired(Stage.RINGING, PRESS),
    "accepted": desired(Stage.ACCEPTED, PRESS),
    "accepted_without_receipt": desired(Stage.ACCEPTED),
    "arrived": desired(Stage.ARRIVED, PRESS),
    "gone": desired(None, PRESS),
    "link_up": LinkChanged(up=True),
    "link_down": LinkChanged(up=False),
    "chime_started": ChimeStarted(ALARM),
    "chime_stopped": ChimeStopped(ALARM),
    "time": TimePassed(),
}
SAME = None
# What the stage is after the event; SAME where it does not change. "closed" after "gone" only where something was open.
TABLE: dict[str, dict[str, str | None]] = {
    "idle": {"help": "heard", "receipt": "received", "ringing": "ringing", "accepted": "coming",
             "accepted_without_receipt": "coming", "arrived": "arrived"},
    "heard": {"receipt": "received", "ringing": "ringing", "accepted": "coming", "arrived": "arrived",
              "gone": "closed"},
    "unreachable": {"receipt": "received", "ringing": "ringing", "accepted": "coming", "arrived": "arrived",
                    "gone": "closed"},
    "received": {"help": "heard", "no_receipt": "closed", "ringing": "ringing", "accepted": "coming",
                 "accepted_without_receipt": "coming", "arrived": "arrived", "gone": "closed"},
    "ringing": {"help": "heard", "receipt": "received", "no_receipt": "closed", "accepted": "coming",
                "accepted_without_receipt": "coming", "arrived": "arrived", "gone": "closed"},
    "coming": {"help": "heard", "receipt": "received", "no_receipt": "closed", "ringing": "ringing",
               "arrived": "arrived", "gone": "closed"},
    "arrived": {"help": "heard", "receipt": "received", "no_receipt": "closed", "ringing": "ringing",
                "accepted": "coming", "accepted_without_receipt": "coming", "gone": "closed"},
    "closed": {"help": "heard", "receipt": "received", "ringing": "ringing", "accepted": "coming",
               "accepted_without_receipt": "coming", "arrived": "arrived"},
    "coming_pressed_again": {"receipt": "received", "ringing": "ringing", "accepted": "coming", "arrived": "arrived",
                             "gone": "closed"},
}  # fmt: skip


@pytest.mark.parametrize(("before", "what"), list(product(STATES, EVENTS)))
def test_every_state_by_every_event(before: str, what: str) -> None:
    state = STATES[before]
    after, effects = advance_panel(state, EVENTS[what], NOW, LIMITS)
    assert after.stage.value == (TABLE[before].get(what) or state.stage.value)
    events = [one for one in effects if isinstance(one, Happened)]
    ignored = [one.reason for one in effects if isinstance(one, Ignored)]
    tones = [one.tone for one in effects if isinstance(one, Play)]
    match what:
        case "help":
            assert events == [Happened(OTHER, EventType.HELP, NOW - 20)]
            assert tones == [Tone.HEARD]
            assert after.unreceipted[-1] == (OTHER, NOW - 20)
        case "ok":
            assert events == [Happened(OTHER, EventType.OK, NOW - 20)]
            assert tones == [Tone.HEARD]
        case "wrong_button" | "hold" | "chime_started" | "chime_stopped":
            assert (len(ignored), events, tones, after) == (1, [], [], state)
        case _:
            assert (ignored, events) == ([], [])
            assert tones == ([] if after.stage is state.stage else [Tone(after.stage.value)])


@pytest.mark.parametrize("before", STATES)
def test_comfort_is_never_more_than_desired_says(before: str) -> None:
    """``coming`` and ``arrived`` need a desired alarm that says so, and no press that it may not know."""
    for event in EVENTS.values():
        after, _ = advance_panel(STATES[before], event, NOW, LIMITS)
        if after.stage in (PanelStage.COMING, PanelStage.ARRIVED):
            assert after.alarm is not None
            assert after.alarm.stage in (Stage.ACCEPTED, Stage.ARRIVED)
            assert not after.unreceipted


def test_a_coming_that_was_desired_stays_while_the_link_is_down_until_a_new_press_contradicts_it() -> None:
    state, _ = advance_panel(STATES["coming"], LinkChanged(up=False), NOW, LIMITS)
    assert state.stage is PanelStage.COMING
    state, _ = advance_panel(state, ButtonDown(ButtonName.HELP, NOW, OTHER), NOW, LIMITS)
    assert state.stage is PanelStage.HEARD
    assert panel_deadline(state, LIMITS) == NOW + 10_000
    state, effects = advance_panel(state, TimePassed(), NOW + 10_000, LIMITS)
    assert state.stage is PanelStage.UNREACHABLE
    assert effects == (Play(Tone.UNREACHABLE, Words(Phrase.UNREACHABLE)),)


def test_coming_ends_15_min_after_the_last_word_of_the_relay_while_the_link_is_down() -> None:
    state, _ = advance_panel(UP, desired(Stage.ACCEPTED), NOW, LIMITS)
    assert panel_deadline(state, LIMITS) is None  # with the link up the relay sees to it
    end = NOW + 15 * 60_000
    assert advance_panel(state, TimePassed(), end, LIMITS)[0].stage is PanelStage.COMING
    state, _ = advance_panel(state, LinkChanged(up=False), NOW + 60_000, LIMITS)
    assert panel_deadline(state, LIMITS) == end
    state, _ = advance_panel(state, TimePassed(), end - 1, LIMITS)
    assert state.stage is PanelStage.COMING
    state, effects = advance_panel(state, TimePassed(), end, LIMITS)
    assert (state.stage, panel_light(state)) == (PanelStage.UNREACHABLE, Light.UNREACHABLE)
    assert effects == (Play(Tone.UNREACHABLE, Words(Phrase.UNREACHABLE)),)
    assert panel_deadline(state, LIMITS) == end + 60_000  # then she is told again that it goes on trying
    state, _ = advance_panel(state, LinkChanged(up=True), end + 1, LIMITS)
    assert state.stage is PanelStage.COMING
    state, _ = advance_panel(state, desired(Stage.ACCEPTED), end + 2, LIMITS)
    state, _ = advance_panel(state, LinkChanged(up=False), end + 3, LIMITS)
    assert (state.stage, panel_deadline(state, LIMITS)) == (PanelStage.COMING, end + 2 + 15 * 60_000)


def test_the_end_is_shown_for_a_while_then_rest() -> None:
    state, effects = advance_panel(STATES["arrived"], desired(None), NOW, LIMITS)
    assert effects == (Play(Tone.CLOSED, Words(Phrase.CLOSED)),)
    assert panel_deadline(state, LIMITS) == NOW + 5_000
    state, effects = advance_panel(state, TimePassed(), NOW + 5_000, LIMITS)
    assert (state.stage, effects, panel_deadline(state, LIMITS)) == (PanelStage.IDLE, (), None)


@pytest.mark.parametrize(
    ("state", "light"),
    [
        (UP, Light.COVERED),
        (replace(UP, coverage=Coverage.THIN), Light.THIN),
        (replace(UP, coverage=Coverage.UNCOVERED), Light.UNCOVERED),
        (replace(UP, coverage=None), Light.UNCOVERED),
        (replace(UP, link_up=False), Light.OFFLINE),
        (replace(STATES["coming"], link_up=False), Light.COMING),
    ],
)
def test_the_light_at_rest_says_whether_a_press_would_be_heard(state: PanelState, light: Light) -> None:
    assert panel_light(state) is light
