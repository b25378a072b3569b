"""When a step ends before its time, and what deadlines do: rules that one event does not show."""

from dataclasses import replace

import pytest

from relay.core.alarm import (
    AlarmStage,
    BellsChanged,
    ClockStepped,
    DeadlineLost,
    DeadlinePassed,
    Due,
    HookFailed,
    NoteType,
)
from relay.core.policy import DEAF_S
from relay.core.steps import Surroundings, due_wait_s
from tests.relay.core.situations import SITUATIONS, Story, at
from tests.relay.doubles import BOARD, CHAT, PENG, WANG, neighbourhood, steps


def notes(story: Story) -> list[str]:
    return [note.type.value for note in story.last.notes]


# ---------------------------------------------------------------------------------------------------------------------
# Deafness


def test_a_bell_that_falls_silent_has_5_s_to_sound_again() -> None:
    story = Story().at(1).sound(PENG).at(10).sound()
    assert (story.alarm.deadline, story.alarm.due) == (at(15), Due.DEAF)
    story.at(14).sound(PENG)
    assert (story.alarm.deadline, story.alarm.due) == (at(45), Due.STEP)


def test_a_bell_that_flickers_cannot_put_off_the_next_step() -> None:
    story = Story()
    for tick in range(1, 450):
        story.at(tick / 10).sound(*([PENG] if tick % 2 else []))
        assert story.alarm.deadline is not None
        assert story.alarm.deadline <= at(45)
        assert story.alarm.step == 0
    story.until(45)
    assert story.alarm.step == 1


def test_a_bell_of_another_step_does_not_make_this_one_heard() -> None:
    story = Story(online=(PENG,)).at(1).sound("bell-chen")
    assert (story.alarm.due, story.alarm.sounding) == (Due.DEAF, ("bell-chen",))


def test_before_all_is_known_silence_makes_no_step_deaf_and_puts_off_no_step() -> None:
    story = Story()
    story.around = Surroundings(story.around.register, story.around.online, settled=False)
    story.at(5).happens(DeadlinePassed())
    assert (story.alarm.step, story.alarm.due, story.alarm.deadline) == (0, Due.DEAF, at(10))
    story.at(42).happens(DeadlinePassed())
    assert (story.alarm.step, story.alarm.due, story.alarm.deadline) == (0, Due.STEP, at(45))


def test_silence_is_deafness_unless_the_relay_says_that_it_does_not_know_yet() -> None:
    story = Story()
    story.around = Surroundings(story.around.register, story.around.online)
    story.at(DEAF_S).happens(DeadlinePassed())
    assert story.alarm.step == 1


def test_a_step_whose_only_bell_goes_offline_ends_at_once() -> None:
    story = Story().at(1).sound(PENG).at(10)
    story.around = Surroundings(story.around.register, frozenset({WANG}))
    story.happens(BellsChanged(()))
    assert (story.alarm.step, story.alarm.called) == (1, (PENG, WANG))


def test_a_step_whose_hooks_have_all_failed_and_whose_bells_are_off_ends_at_once() -> None:
    register = neighbourhood(help_steps=steps(("hook:board hook:chat", 60), ("volunteers", 60)))
    story = Story(register=register)
    assert (story.alarm.due, story.alarm.step_hooks) == (Due.STEP, (BOARD, CHAT))
    story.at(3).happens(HookFailed(BOARD))
    assert story.alarm.step == 0
    story.at(4).happens(HookFailed(CHAT))
    assert story.alarm.step == 1
    assert notes(story) == ["hook_failed", "step_deaf", "step_started"]


def test_a_step_that_is_heard_after_all_is_not_cut_short_for_deafness() -> None:
    """No event leads there; a state that was stored by another release might."""
    story = Story()
    story.alarm = replace(story.alarm, sounding=(PENG,))
    story.at(DEAF_S).happens(DeadlinePassed())
    assert (story.alarm.step, story.alarm.due, story.alarm.deadline) == (0, Due.STEP, at(45))


def test_a_bell_that_falls_silent_as_its_step_ends_changes_nothing_of_the_end() -> None:
    story = Story().at(1).sound(PENG).at(45 - DEAF_S).sound()
    assert (story.alarm.deadline, story.alarm.due) == (at(45), Due.STEP)


@pytest.mark.parametrize(
    ("situation", "wait_s"), [("fresh", 5), ("sounding", 45), ("third_step", 120), ("accepted", 600), ("arrived", 3600)]
)
def test_what_a_deadline_waits_for_at_the_longest(situation: str, wait_s: int) -> None:
    """A relay whose clock was wrong when it wrote a deadline trusts it no further than this."""
    assert due_wait_s(SITUATIONS[situation]().alarm) == wait_s


# ---------------------------------------------------------------------------------------------------------------------
# Deadlines


def test_overdue_is_told_again_and_again_and_each_time_under_another_key() -> None:
    story = SITUATIONS["arrived"]()
    keys = set()
    for _ in range(5):
        assert story.alarm.deadline is not None
        story.until((story.alarm.deadline - at(0)).total_seconds())
        keys |= {notice.key for notice in story.last.notices}
    assert len(keys) == 10
    assert story.alarm.stage is AlarmStage.ARRIVED


def test_overdue_is_told_to_whom_the_last_step_calls() -> None:
    policy = steps(("volunteers", 45), ("hook:chat", 45), ("hook:board", 60))
    story = Story(register=neighbourhood(help_steps=policy)).at(5).accept("peng").at(9).ok(11).until(9 + 3600)
    assert [(n.hook, n.occasion) for n in story.last.notices] == [(BOARD, NoteType.OVERDUE)]


def test_repetitions_go_on_for_ever_with_keys_of_their_own() -> None:
    story = Story()
    keys: list[str] = []
    for _ in range(200):
        assert story.alarm.deadline is not None
        story.until((story.alarm.deadline - at(0)).total_seconds())
        keys += [notice.key for notice in story.last.notices]
    assert story.alarm.nobody_has_come
    assert len(set(keys)) == len(keys) > 100


def lost(situation: str) -> Story:
    """An alarm whose deadline is gone: by a fault of ours, or a hand in the database."""
    story = SITUATIONS[situation]()
    story.alarm = replace(story.alarm, deadline=None, due=None, step_ends=None)
    return story


@pytest.mark.parametrize(("found", "stage"), [(619.999, AlarmStage.ACCEPTED), (620, AlarmStage.RINGING)])
def test_somebody_who_is_late_when_the_auditor_looks_is_waited_for_no_longer(found: float, stage: AlarmStage) -> None:
    """A deadline in the past would be no deadline: nobody would ever ring again."""
    story = lost("accepted").at(found).happens(DeadlineLost())
    assert story.alarm.stage is stage
    assert story.alarm.deadline is not None
    assert story.alarm.deadline > at(found)
    assert notes(story)[0] == "recovered"
    if stage is AlarmStage.ACCEPTED:
        assert (story.alarm.deadline, story.alarm.due) == (at(620), Due.ARRIVE)


def test_an_acceptance_without_a_helper_is_none_and_rings_again() -> None:
    """No event leads there; whatever did, somebody waits."""
    story = lost("accepted")
    story.alarm = replace(story.alarm, helpers=())
    story.happens(DeadlineLost())
    assert (story.alarm.stage, story.alarm.due) == (AlarmStage.RINGING, Due.DEAF)
    assert notes(story) == ["recovered", "step_started"]


def test_a_deadline_that_passes_as_the_auditor_looks_is_not_in_the_future() -> None:
    story = Story().at(1).sound(PENG).at(45).happens(DeadlineLost())
    assert (story.alarm.step, story.last.reason) == (1, "applied")


def test_a_clock_that_is_set_leaves_an_alarm_without_a_deadline_to_the_auditor() -> None:
    story = lost("accepted").happens(ClockStepped(1_000))
    assert (story.alarm.deadline, story.last.reason) == (None, "applied")


@pytest.mark.parametrize("delta_ms", [-86_400_000, -1, 1, 86_400_000])
def test_a_clock_that_is_set_keeps_every_wait(delta_ms: int) -> None:
    for name, situation in SITUATIONS.items():
        story = situation()
        before = story.alarm
        if not before.is_open:
            continue
        after = story.happens(ClockStepped(delta_ms)).alarm
        assert before.deadline is not None, name
        assert after.deadline is not None, name
        assert (after.deadline - before.deadline).total_seconds() * 1000 == delta_ms, name
