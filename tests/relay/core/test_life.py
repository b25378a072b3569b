"""Rules of an alarm's life that one event does not show."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from doorbell.wire import AlarmKind
from relay.core.alarm import (
    MAX_HELPERS,
    Accepted,
    Alarm,
    AlarmStage,
    ClosedBy,
    Declined,
    Due,
    HelperState,
    NoteType,
    OkPressed,
    Outcome,
    Pressed,
)
from relay.core.life import raise_alarm
from relay.core.policy import DEAF_S, THREE_PRESSES_S
from relay.core.steps import Surroundings
from tests.relay.core.situations import SITUATIONS, Story, at
from tests.relay.doubles import BELLS, BOARD, CHAT, DOCTOR, OFFICE, PANEL, PENG, WANG, neighbourhood, steps, uid


def notes(story: Story) -> list[str]:
    return [note.type.value for note in story.last.notes]


# ---------------------------------------------------------------------------------------------------------------------
# Raising


def test_a_press_rings_the_first_volunteer() -> None:
    story = Story()
    alarm = story.alarm
    assert (alarm.stage, alarm.due, alarm.deadline, alarm.step_ends) == (
        AlarmStage.RINGING,
        Due.DEAF,
        at(DEAF_S),
        at(45),
    )
    assert (alarm.called, alarm.step_bells, alarm.presses, alarm.press_seqs) == ((PENG,), (PENG,), 1, ((PANEL, 10),))
    assert (alarm.id, alarm.household, alarm.source, alarm.raised_at) == (uid(1), "liu", PANEL, at(0))
    assert notes(story) == ["raised", "step_started"]
    assert dict(story.last.notes[0].data) == {"kind": "help", "source": PANEL, "late_ms": 0}
    assert story.last.notices == ()


@pytest.mark.parametrize(
    ("online", "step", "called"),
    [
        ((PENG, WANG), 0, (PENG,)),
        ((WANG,), 1, (PENG, WANG)),
        ((DOCTOR,), 2, (PENG, WANG, DOCTOR, OFFICE)),
        ((), 2, (PENG, WANG, DOCTOR, OFFICE)),
    ],
)
def test_steps_that_nobody_can_hear_are_passed_over_and_still_asked(
    online: tuple[str, ...], step: int, called: tuple[str, ...]
) -> None:
    story = Story(online=online)
    assert (story.alarm.step, story.alarm.called) == (step, called)
    assert notes(story).count("step_deaf") == step
    passed = [dict(note.data) for note in story.last.notes if note.type is NoteType.STEP_DEAF]
    assert passed == [{"step": 1, "bells": [PENG]}, {"step": 2, "bells": [PENG, WANG]}][:step]


def test_a_household_that_nobody_belongs_to_has_an_alarm_that_comes_back_for_ever() -> None:
    register = neighbourhood(without=BELLS, help_steps=steps(("volunteer:1", 45), ("volunteers", 45)))
    story = Story(register=register)
    assert (story.alarm.step, story.alarm.deadline, story.alarm.called) == (1, at(45), ())
    story.until(1_000)
    assert story.alarm.round == 22
    assert story.alarm.deadline == at(1_035)


def test_a_late_press_is_raised_now_with_the_time_at_which_it_happened() -> None:
    around = Surroundings(neighbourhood(), frozenset(BELLS))
    result = raise_alarm(
        alarm_id=uid(1),
        kind=AlarmKind.HELP,
        household="liu",
        source=PANEL,
        policy=around.register.policy_for("liu", AlarmKind.HELP),
        at=at(-7200),
        seq=None,
        around=around,
        now=at(0),
    )
    assert (result.alarm.raised_at, result.alarm.since, result.alarm.step_ends) == (at(-7200), at(0), at(45))
    assert dict(result.notes[0].data)["late_ms"] == 7_200_000


@pytest.mark.parametrize("wait_s", [3, DEAF_S])
def test_a_wait_no_longer_than_deafness_is_not_stretched_by_it(wait_s: int) -> None:
    story = Story(register=neighbourhood(help_steps=steps(("volunteer:1", wait_s), ("volunteers", 60))))
    assert (story.alarm.deadline, story.alarm.due) == (at(wait_s), Due.STEP)


def test_the_last_step_waits_its_time_though_nobody_hears_it() -> None:
    """After it comes only itself: cut short, it would call the same people every 5 s."""
    story = Story(register=neighbourhood(help_steps=steps(("volunteer:1", 45), ("volunteers", 60)))).until(5)
    assert (story.alarm.step, story.alarm.due, story.alarm.deadline) == (1, Due.STEP, at(65))


# ---------------------------------------------------------------------------------------------------------------------
# Presses


@pytest.mark.parametrize(("last", "everybody"), [(THREE_PRESSES_S, True), (THREE_PRESSES_S + 0.001, False)])
def test_three_presses_within_a_minute_call_everybody(last: float, everybody: bool) -> None:
    story = Story().at(1).sound(PENG).at(30).press(11).at(last).press(12)
    assert (story.alarm.step == 3) is everybody
    assert (set(story.alarm.called) == set(BELLS)) is everybody
    assert {notice.hook for notice in story.last.notices} == ({CHAT, BOARD} if everybody else set())


def test_three_presses_call_every_step_of_a_policy_whose_last_is_not_everyone() -> None:
    register = neighbourhood(help_steps=steps(("volunteer:1", 45), ("group:medical", 45), ("volunteers", 60)))
    story = Story(register=register).at(1).press().at(2).press()
    assert set(story.alarm.called) == {PENG, WANG, DOCTOR}
    assert [(n.hook, n.occasion) for n in story.last.notices] == [(CHAT, NoteType.ALL_CALLED)]


def test_three_presses_after_somebody_said_coming_ring_everybody_and_keep_the_helper_listed() -> None:
    story = SITUATIONS["three_pressed"]()
    alarm = story.alarm
    assert (alarm.stage, alarm.step, set(alarm.called)) == (AlarmStage.RINGING, 3, set(BELLS))
    assert [(h.person, h.state) for h in alarm.helpers] == [("peng", HelperState.COMING)]
    assert alarm.holder is None


def test_three_presses_tell_hooks_of_earlier_steps_again_only_after_somebody_had_accepted() -> None:
    """While it rings they have been told of this alarm as it is; an acceptance has told them that it is over."""
    policy = steps(("hook:board", 45), ("volunteers", 45), ("volunteers", 60))
    ringing = Story(register=neighbourhood(help_steps=policy)).until(46)
    for second in (47, 48):
        ringing.at(second).press()
    assert (ringing.alarm.step, ringing.last.notices) == (2, ())
    accepted = Story(register=neighbourhood(help_steps=policy)).until(46).at(47).accept("peng")
    for second in (48, 49, 50):
        accepted.at(second).press()
    assert (accepted.alarm.step, [(n.hook, n.occasion) for n in accepted.last.notices]) == (
        2,
        [(BOARD, NoteType.ALL_CALLED)],
    )


def test_three_presses_forget_nobody_who_was_called_before() -> None:
    """Also not a bell that the panel itself had rung."""
    story = (
        Story().at(5).happens(Accepted("chen", "bell-chen", at(5))).at(6).happens(Declined("chen", "bell-chen", at(6)))
    )
    for second in (7, 8, 9):
        story.at(second).press()
    assert set(story.alarm.called) == {*BELLS, "bell-chen"}


def test_three_presses_from_the_very_moment_of_the_acceptance_on_ring_again() -> None:
    story = Story().at(20).accept("peng")
    for second in (20, 21, 22):
        story.at(second).press()
    assert story.alarm.stage is AlarmStage.RINGING


def test_the_newest_press_of_each_panel_is_known_by_that_panels_own_count() -> None:
    story = Story().at(5).press(0, device="button-2").at(6).press(11)
    assert story.alarm.press_seqs == (("button-2", 0), (PANEL, 11))
    assert story.alarm.last_press_at == at(6)
    assert replace(story.alarm, recent_presses=()).last_press_at == at(0), "of the release that noted none"


def test_presses_from_before_the_acceptance_have_been_answered_by_it() -> None:
    story = Story().press(11).at(20).accept("peng").at(25).happens(Pressed(PANEL, at(5), 12))
    assert story.alarm.stage is AlarmStage.ACCEPTED
    stages = [story.at(second).press(second).alarm.stage.value for second in (30, 31, 32)]
    assert stages == ["accepted", "accepted", "ringing"]


def test_a_press_after_the_arrival_is_heard() -> None:
    story = SITUATIONS["arrived"]().press(50)
    assert (story.alarm.stage, story.alarm.step, story.alarm.step_bells) == (AlarmStage.RINGING, 0, (PENG,))
    assert [(h.person, h.state) for h in story.alarm.helpers] == [("peng", HelperState.ARRIVED)]


# ---------------------------------------------------------------------------------------------------------------------
# The green button


def test_an_ok_that_was_overtaken_by_a_press_stops_nothing_whatever_the_clocks_say() -> None:
    story = Story().at(10).press(12).at(20).ok(11)
    assert story.last.reason == "older_than_press"
    story.ok(13)
    assert story.alarm.outcome is Outcome.FALSE_ALARM


def test_an_ok_whose_count_is_a_presss_is_in_doubt_and_stops_nothing() -> None:
    story = Story().at(10).press(12).at(20).ok(12)
    assert (story.last.reason, story.alarm.stage) == ("older_than_press", AlarmStage.RINGING)


def test_the_ok_of_an_elder_whom_somebody_is_to_look_in_on_stops_nothing() -> None:
    around = Surroundings(neighbourhood(), frozenset(BELLS))
    story = Story()
    story.alarm = raise_alarm(
        alarm_id=uid(1), kind=AlarmKind.CHECKIN, household="liu", source=PANEL, at=at(0), seq=None, around=around,
        policy=around.register.policy_for("liu", AlarmKind.CHECKIN), now=at(0), ok_closes=False,
    ).alarm  # fmt: skip
    story.at(9).ok(11)
    assert (story.last.reason, story.alarm.stage) == ("somebody_looks_in", AlarmStage.RINGING)
    story.accept("peng").at(60).ok(12)
    assert story.alarm.stage is AlarmStage.ARRIVED


def test_an_alarm_that_a_release_without_look_ins_has_kept_is_closed_by_the_green_button() -> None:
    story, rows = Story(), TypeAdapter(Alarm)
    kept = rows.dump_python(story.alarm, mode="json")
    del kept["ok_closes"]
    story.alarm = rows.validate_python(kept)
    assert story.at(20).ok(11).alarm.outcome is Outcome.FALSE_ALARM


def test_the_journal_of_a_closing_has_no_free_text_in_which_a_name_could_be() -> None:
    story = Story().at(20).happens(ClosedBy(Outcome.CANCELLED, "office"))
    assert story.alarm.outcome is Outcome.CANCELLED
    assert [dict(note.data) for note in story.last.notes] == [{"outcome": "cancelled", "by": "office"}]


def test_without_a_count_the_times_decide_and_in_doubt_the_alarm_goes_on() -> None:
    story = Story().at(10).press().at(10).ok()
    assert story.last.reason == "older_than_press"
    story.at(10.001).ok()
    assert story.alarm.outcome is Outcome.FALSE_ALARM


def test_an_ok_from_before_a_press_of_its_own_panel_is_older_though_another_panel_has_pressed_too() -> None:
    """Only the panel that raised it was asked for its count; a slow line made the ok look newer, and help ended."""
    story = Story().at(60).press(7, device="button-2")
    story.at(90)
    story.happens(OkPressed("button-2", at(80), 6))
    assert story.last.reason == "older_than_press"
    story.happens(OkPressed("button-2", at(80), 8))
    assert story.alarm.outcome is Outcome.FALSE_ALARM


def test_the_counts_of_two_panels_are_not_compared() -> None:
    """The ok of the one, sent before the press of the other and counted higher, closed the alarm: a lost press."""
    story = Story().at(60).press(3, device="button-2")
    story.at(70)
    story.now = 50  # pressed at 50, heard at 70
    story.ok(11)
    assert story.last.reason == "older_than_press"
    story.at(80).press(20)
    story.at(75).ok(21)
    assert story.last.reason == "older_than_press"
    story.at(90).ok(22)
    assert story.alarm.outcome is Outcome.FALSE_ALARM


# ---------------------------------------------------------------------------------------------------------------------
# Helpers


def test_the_first_who_accepts_has_it_and_the_others_are_told() -> None:
    story = Story().at(5).accept("peng").accept("wang")
    assert story.last.reason == "taken"
    assert [h.person for h in story.alarm.helpers] == ["peng"]


def test_an_acceptance_holds_for_ten_minutes_from_when_it_was_said() -> None:
    story = Story().at(300).happens(Accepted("peng", PENG, at(100)))
    assert (story.alarm.stage, story.alarm.deadline) == (AlarmStage.ACCEPTED, at(700))


@pytest.mark.parametrize(("said", "stage"), [(0.001, AlarmStage.ACCEPTED), (0, AlarmStage.RINGING)])
def test_an_acceptance_whose_ten_minutes_are_over_comforts_nobody(said: float, stage: AlarmStage) -> None:
    story = Story().at(600).happens(Accepted("peng", PENG, at(said)))
    assert story.alarm.stage is stage
    assert [h.state for h in story.alarm.helpers] == [
        HelperState.COMING if stage is AlarmStage.ACCEPTED else HelperState.LATE
    ]


def test_somebody_who_declined_may_change_their_mind() -> None:
    story = Story().at(5).decline("peng").at(9).accept("peng")
    assert (story.alarm.stage, story.alarm.declined) == (AlarmStage.ACCEPTED, ())


def test_a_helper_stands_once_in_the_list_with_the_newest_word() -> None:
    story = Story().at(5).accept("peng").at(10).decline("peng").at(20).accept("peng")
    assert [(h.person, h.accepted_at, h.state) for h in story.alarm.helpers] == [("peng", at(20), HelperState.COMING)]


def test_whoever_came_before_stays_listed_beside_who_comes_now() -> None:
    """The journal has all of them, and the page of the alarm shows them: nobody wonders who has been asked."""
    story = Story().at(5).accept("peng").decline("peng").at(60).accept("wang")
    assert [(h.person, h.state) for h in story.at(90).ok(11).alarm.helpers] == [
        ("peng", HelperState.HANDED_BACK),
        ("wang", HelperState.ARRIVED),
    ]
    story = Story().at(5).accept("peng").decline("peng").at(60).accept("wang").until(660)
    assert [(h.person, h.state) for h in story.alarm.helpers] == [
        ("peng", HelperState.HANDED_BACK),
        ("wang", HelperState.LATE),
    ]


def test_however_many_helpers_gave_up_another_can_accept() -> None:
    """The fifty-first was refused: the alarm could never be answered again."""
    story = Story()
    for number in range(MAX_HELPERS + 5):
        person, bell = f"p{number}", f"bell-{number}"
        story.at(number).happens(Accepted(person, bell, at(number)))
        assert story.alarm.stage is AlarmStage.ACCEPTED
        story.happens(Declined(person, bell, at(number)))
    story.accept("peng")
    assert story.alarm.holder is not None
    assert story.alarm.holder.person == "peng"
    assert len(story.alarm.helpers) == MAX_HELPERS


def test_who_handed_back_cannot_say_that_it_is_done() -> None:
    """It closed the alarm while the bells of others still rang."""
    story = Story().at(5).accept("peng").at(10).decline("peng").at(15).done("peng")
    assert (story.last.reason, story.alarm.stage) == ("handed_back", AlarmStage.RINGING)


def test_a_helper_who_gives_up_after_three_presses_is_not_listed_as_coming() -> None:
    story = SITUATIONS["three_pressed"]().decline("peng")
    assert [h.state for h in story.alarm.helpers] == [HelperState.HANDED_BACK]
    assert story.done("peng").last.reason == "handed_back"


def test_a_helper_who_came_too_late_may_say_done() -> None:
    story = SITUATIONS["not_arrived"]().done("peng")
    assert story.alarm.outcome is Outcome.HELPED


def test_when_all_have_declined_they_are_asked_again_at_the_repetition() -> None:
    register = neighbourhood(help_steps=steps(("volunteers", 45), ("everyone", 120)), without=[DOCTOR, OFFICE])
    story = Story(register=register, online=(PENG, WANG)).at(5).decline("peng").at(6).decline("wang")
    assert (story.alarm.step, story.alarm.declined) == (1, ("peng", "wang"))
    story.until(126)
    assert (story.alarm.round, story.alarm.declined) == (1, ())


def test_while_somebody_else_can_answer_who_declined_is_left_alone() -> None:
    story = Story().at(5).decline("peng").until(2_000)
    assert story.alarm.round > 1
    assert story.alarm.declined == ("peng",)


@pytest.mark.parametrize("late_s", [0, 700])
def test_an_acceptance_from_before_a_refusal_of_the_same_bell_promises_nobody(late_s: int) -> None:
    """It was lost on its way and came again after the refusal: somebody was shown as coming who had said: I cannot."""
    story = Story().at(30)
    story.happens(Declined("peng", "bell-peng", at(20), 6))
    story.at(40 + late_s).happens(Accepted("peng", "bell-peng", at(10), 5))
    assert (story.last.reason, story.alarm.stage) == ("older_than_answer", AlarmStage.RINGING)
    story.happens(Accepted("peng", "bell-peng", at(40 + late_s), 7))
    assert story.alarm.stage is AlarmStage.ACCEPTED


def test_a_refusal_from_before_an_acceptance_of_the_same_bell_hands_nothing_back() -> None:
    story = Story().at(30)
    story.happens(Accepted("peng", "bell-peng", at(20), 6))
    story.happens(Declined("peng", "bell-peng", at(10), 5))
    assert (story.last.reason, story.alarm.stage) == ("older_than_answer", AlarmStage.ACCEPTED)
    story.happens(Declined("peng", "bell-peng-2", at(25), 2))
    assert story.alarm.stage is AlarmStage.RINGING, "two bells of one person count for themselves"
