"""The story sees what is there, and above all what is not: each sign that is missing, late or too early fails it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from relay.texts import Language
from sim.demo_plot import DOCTOR, FIRST, OTHER_PANEL, PANEL, SECOND, Gesture, plot
from sim.demo_sightings import DesiredView, DeviceView, JournalLine, OfficeMessage, Seen
from sim.demo_story import Story, StoryResult, story_json
from tests.sim.demo_stage import LANGUAGE, Moment, PaperStage, panel


def play(stage: PaperStage) -> StoryResult:
    return Story(stage, LANGUAGE, lambda step: None, near_s=0.0).play()


def first_failure(stage: PaperStage) -> tuple[str, str]:
    result = play(stage)
    assert not result.ok
    return next((step.name, step.why) for step in result.steps if not step.ok)


def without(unwanted: Callable[[Seen], bool]) -> PaperStage:
    return PaperStage(lambda moment: None if unwanted(moment[1]) else moment)


def shows(device: str, stage: str) -> Callable[[Seen], bool]:
    return lambda seen: isinstance(seen, DeviceView) and (seen.device, seen.stage) == (device, stage)


def notes(kind: str, **facts: object) -> Callable[[Seen], bool]:
    return lambda seen: (
        isinstance(seen, JournalLine) and seen.type == kind and all(seen.data.get(key) == facts[key] for key in facts)
    )


def test_a_story_that_was_seen_is_ok_and_presses_in_order() -> None:
    stage = PaperStage()
    result = play(stage)
    assert [(step.name, step.why) for step in result.steps if not step.ok] == []
    assert stage.gestures == [
        Gesture(PANEL, "help"),
        Gesture(DOCTOR, "answer"),
        Gesture(PANEL, "ok"),
        Gesture(DOCTOR, "answer", hold=True),
    ]
    assert result.press_to_ring_ms == 50
    assert [step.name for step in result.steps][: len(plot(LANGUAGE))] == [step.name for step in plot(LANGUAGE)]


@pytest.mark.parametrize(
    ("unwanted", "step"),
    [
        (lambda seen: isinstance(seen, DeviceView) and seen.device == FIRST and seen.rev == 1, "at_rest"),
        (shows(PANEL, "heard"), "pressed"),
        (lambda seen: shows(PANEL, "received")(seen) or shows(PANEL, "ringing")(seen), "received"),
        (notes("raised"), "received"),
        (notes("step_started", step=1), "first_bell"),
        (shows(FIRST, "ringing"), "first_bell"),
        (shows(PANEL, "ringing"), "panel_ringing"),
        (notes("sounding", bells=[FIRST]), "panel_ringing"),
        (notes("step_started", step=2), "second_bell"),
        (shows(SECOND, "ringing"), "second_bell"),
        (notes("step_started", step=3), "alliance_bell"),
        (shows(DOCTOR, "ringing"), "alliance_bell"),
        (lambda seen: isinstance(seen, OfficeMessage), "office_told"),
        (notes("accepted"), "accepted"),
        (shows(DOCTOR, "mine"), "accepted"),
        (shows(PANEL, "coming"), "panel_coming"),
        (lambda seen: isinstance(seen, DesiredView), "panel_coming"),
        (shows(FIRST, "taken"), "bells_quiet"),
        (shows(SECOND, "taken"), "bells_quiet"),
        (notes("arrived"), "arrived"),
        (shows(PANEL, "arrived"), "arrived"),
        (notes("closed"), "done"),
        (shows(PANEL, "closed"), "done"),
        (lambda seen: isinstance(seen, DeviceView) and (seen.device, seen.rev) == (SECOND, 4), "at_rest_again"),
        (notes("sounding", bells=[SECOND]), "journal"),
        (notes("sounding", bells=[DOCTOR]), "journal"),
    ],
)
def test_each_sign_that_is_missing_fails_its_step(unwanted: Callable[[Seen], bool], step: str) -> None:
    assert first_failure(without(unwanted))[0] == step


def test_a_stage_that_was_overtaken_on_its_way_to_the_panel_is_no_failure() -> None:
    """Under load a panel hears of received and ringing at once, and shows the second only."""
    assert play(without(shows(PANEL, "received"))).ok


def test_what_comes_after_a_failure_is_not_reached_and_nothing_more_is_pressed() -> None:
    stage = without(shows(DOCTOR, "ringing"))
    result = play(stage)
    assert [step.name for step in result.steps if step.why == "not reached"] == [
        "office_told",
        "accepted",
        "panel_coming",
        "bells_quiet",
        "arrived",
        "done",
        "at_rest_again",
    ]
    assert stage.gestures == [Gesture(PANEL, "help")]


def shifted(wanted: Callable[[Seen], bool], by_s: float) -> PaperStage:
    return PaperStage(lambda moment: (moment[0] + by_s, moment[1]) if wanted(moment[1]) else moment)


@pytest.mark.parametrize(("by_s", "ok"), [(-1.0, False), (0.0, True), (1.5, True), (2.5, False)])
def test_the_second_bell_must_ring_when_the_policy_says_so(by_s: float, ok: bool) -> None:
    step = next(step for step in play(shifted(shows(SECOND, "ringing"), by_s)).steps if step.name == "second_bell")
    assert step.ok is ok
    assert ok or "due 5000 ms" in step.why


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("海大夫", "not seen: Names"), (None, "not seen: Names")],
)
def test_a_panel_that_names_somebody_else_is_not_the_acceptance(wrong: str | None, why: str) -> None:
    def rename(moment: Moment) -> Moment:
        match moment:
            case (at_s, DesiredView() as desired):
                return at_s, replace(desired, who=wrong)
            case _:
                return moment

    name, said = first_failure(PaperStage(rename))
    assert name == "panel_coming"
    assert why in said


def test_coming_before_anybody_has_accepted_is_false_comfort() -> None:
    stage = PaperStage()
    stage.chronicle.add(panel("coming", 1), 99.0)
    stage.chronicle.add(panel("idle", 1), 99.5)
    assert first_failure(stage)[0] == "no_false_comfort"


def test_an_alarm_in_the_other_house_is_noticed() -> None:
    stage = PaperStage()
    stage.chronicle.add(panel("heard", 1, OTHER_PANEL), 99.0)
    stage.chronicle.add(panel("idle", 1, OTHER_PANEL), 99.5)
    assert first_failure(stage)[0] == "others_untouched"


def test_a_wait_that_was_not_kept_in_the_journal_is_noticed() -> None:
    def late(moment: Moment) -> Moment:
        match moment:
            case (at_s, JournalLine(type="step_started", data={"step": 3}) as told):
                return at_s, replace(told, at=told.at.replace(second=59))
            case _:
                return moment

    name, why = first_failure(PaperStage(late))
    assert name == "journal"
    assert "the policy says 5 s" in why


def test_a_second_alarm_of_one_press_is_noticed() -> None:
    def twice(moment: Moment) -> Moment:
        match moment:
            case (at_s, JournalLine(type="closed") as told):
                return at_s, replace(told, alarm="22222222-2222-4222-8222-222222222222")
            case _:
                return moment

    assert first_failure(PaperStage(twice)) == ("journal", "2 alarms of one press")


def test_a_program_that_has_ended_fails_the_story_with_its_last_words() -> None:
    stage = PaperStage()
    stage.broken = "bell-zhang was ended by SIGKILL"
    assert first_failure(stage) == ("at_rest", "bell-zhang was ended by SIGKILL")


def test_a_device_that_cannot_be_pressed_fails_the_story() -> None:
    class Deaf(PaperStage):
        def gesture(self, gesture: Gesture) -> None:
            raise ConnectionRefusedError("nobody there")

    assert first_failure(Deaf()) == ("pressed", "panel-liu cannot be reached: nobody there")


@pytest.mark.parametrize("language", list(Language))
def test_the_story_for_programs_has_every_step_and_both_languages(language: Language) -> None:
    stage = PaperStage()
    told = json.loads(json.dumps(story_json(play(stage), stage.policy, language)))
    assert told["ok"] is True
    assert {"name", "expected", "seen_at_ms", "ok", "why"} == set(told["steps"][0])
    assert told["press_to_ring_ms"] == 50
    assert told["policy"] == {"waits_s": [5, 5, 12, 12], "arrive_wait_s": 60}
    assert told["timeline"][0] == {
        "at_ms": 0,
        "type": "raised",
        "zh": "柳奶奶 按下求助按钮",
        "en": "the help button of Grandma Liu was pressed",
    }
