"""From the press to whoever comes: steps, deaf bells, restarts, clocks, edited policies."""

import pytest

from device.core.signals import Light
from relay.core.alarm import AlarmStage, Outcome
from relay.core.policy import Policy
from sim.schedule import Violation
from sim.stories import Story, story_register
from sim.world import policy_steps

VOLUNTEERS = ("bell-li", "bell-peng", "bell-zhao")
EVERYBODY = (*VOLUNTEERS, "bell-doctor", "bell-clerk")


def test_the_whole_default_escalation_until_somebody_accepts(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.advance(seconds=43)
    story.expect_ring("bell-peng")
    story.advance(seconds=2)
    story.expect_ring(*VOLUNTEERS)
    story.advance(seconds=43)
    story.expect_ring(*VOLUNTEERS)
    story.advance(seconds=2)
    story.expect_ring(*EVERYBODY)
    story.expect_told("step_started")
    story.advance(seconds=118)
    story.expect_ring(*EVERYBODY)
    story.advance(seconds=2)
    story.expect_told("step_started")
    story.advance(seconds=120)
    story.expect_told("step_repeated")
    assert story.alarm("liu").nobody_has_come
    story.accept("doctor")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    for bell in (*VOLUNTEERS, "bell-clerk"):
        story.expect_bell(bell, Light.TAKEN, who="王医生")
    story.expect_bell("bell-doctor", Light.MINE, who="王医生")
    story.expect_alarms(1)


def test_an_offline_bell_is_passed_over_at_once(story: Story) -> None:
    story.unplug("bell-peng")
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-li", "bell-zhao")
    story.plug_in("bell-peng")
    story.expect_ring(*VOLUNTEERS)
    story.accept("li")
    story.expect_panel("liu", "coming")
    story.expect_silence()


def test_a_bell_that_stays_silent_holds_nobody_up_for_more_than_5_s(story: Story) -> None:
    story.break_speaker("bell-peng")
    story.press("liu")
    story.expect_panel("liu", "heard", "received")
    story.expect_silence()
    story.advance(seconds=4)
    story.expect_silence()
    story.advance(seconds=1)
    story.expect_ring("bell-li", "bell-zhao")
    story.expect_panel("liu", "ringing")
    story.accept("zhao")
    story.expect_panel("liu", "coming")
    story.expect_silence()


def test_a_decline_calls_the_next_at_once_and_silences_only_the_one_who_cannot(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.decline("peng")
    story.expect_ring("bell-li", "bell-zhao")
    story.expect_panel("liu", "received", "ringing")
    story.advance(seconds=46)
    story.expect_ring("bell-li", "bell-zhao", "bell-doctor", "bell-clerk")
    story.expect_told("step_started")
    story.accept("li")
    story.expect_panel("liu", "coming")
    story.expect_silence()


def test_a_restart_of_the_relay_keeps_the_deadline(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.advance(seconds=20)
    story.relay_dies(for_s=10)
    story.advance(seconds=22)
    story.expect_ring("bell-peng")
    story.advance(seconds=2)
    story.expect_ring(*VOLUNTEERS)
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()


def test_a_deadline_that_passed_while_the_relay_was_down_is_kept_as_soon_as_it_is_up(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.relay_dies(for_s=60)
    story.advance(seconds=59)
    story.expect_ring("bell-peng")
    story.advance(seconds=2)
    story.expect_ring(*VOLUNTEERS)
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()


@pytest.mark.parametrize("hours", [5.0, -5.0])
def test_a_clock_that_is_set_moves_no_deadline_and_spoils_no_answer(story: Story, hours: float) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.advance(seconds=60)
    story.expect_ring(*VOLUNTEERS)
    story.clock_steps(hours=hours)
    story.advance(seconds=26)
    story.expect_ring(*VOLUNTEERS)
    story.advance(seconds=3)
    story.expect_ring(*EVERYBODY)
    story.expect_told("step_started")
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    story.advance(seconds=300)
    story.done("peng")
    story.expect_panel("liu", "closed")
    assert story.alarm("liu").outcome is Outcome.HELPED


def test_an_edited_policy_changes_no_alarm_that_runs(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.edit_policy("liu", Policy("hasty", policy_steps(("volunteer:3", 5), ("volunteer:2", 60))))
    story.advance(seconds=40)
    story.expect_ring("bell-peng")
    story.advance(seconds=4)
    story.expect_ring(*VOLUNTEERS)
    story.ok("liu")
    story.expect_panel("liu", "closed")
    story.expect_silence()
    story.advance(seconds=10)
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-zhao")
    story.advance(seconds=5)
    story.expect_ring("bell-li", "bell-zhao")
    story.ok("liu")
    story.expect_panel("liu", "closed")
    story.expect_silence()


def test_the_light_says_whether_a_press_would_be_heard(story: Story) -> None:
    story.expect_light("liu", Light.COVERED)
    story.expect_light("sun", Light.THIN)
    story.unplug("bell-li")
    story.expect_light("liu", Light.COVERED)
    story.expect_light("sun", Light.UNCOVERED)
    story.unplug("bell-peng")
    story.expect_light("liu", Light.THIN)
    story.unplug("bell-zhao")
    story.expect_light("liu", Light.UNCOVERED)
    story.plug_in("bell-zhao")
    story.expect_light("liu", Light.THIN)
    story.unplug("panel-liu")
    story.expect_light("liu", Light.OFFLINE)


def test_a_press_survives_the_death_of_the_panel(story: Story) -> None:
    story.unplug("panel-liu")
    story.press("liu")
    story.expect_panel("liu", "heard")
    story.advance(seconds=10)
    story.expect_panel("liu", "unreachable")
    story.device_dies("panel-liu", for_s=20)
    story.advance(seconds=31)
    story.expect_panel("liu", "heard", "unreachable")
    story.plug_in("panel-liu")
    story.expect_panel("liu", "received", "ringing")
    story.expect_ring("bell-peng")
    assert story.alarm("liu").raised_at < story.alarm("liu").since
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    story.expect_alarms(1)


def test_an_unexpected_ring_fails_a_story() -> None:
    """The harness itself: what nobody expects is an error at the next act."""
    story = Story(story_register())
    story.press("liu")
    with pytest.raises(Violation, match="nobody expected"):
        story.advance(seconds=1)
    story.expect_panel("liu", "heard", "received", "ringing")
    with pytest.raises(Violation, match="nobody expected"):
        story.ok("liu")
    with pytest.raises(Violation, match="sound"):
        story.expect_silence()
    story.expect_ring("bell-peng")
    assert story.alarm("liu").stage is AlarmStage.RINGING
    with pytest.raises(Violation, match="still rings"):
        story.end()
