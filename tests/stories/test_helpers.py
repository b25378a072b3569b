"""After the press: pressing again, mistakes, who is coming, who has arrived, and that it is done."""

import pytest

from device.core.signals import Light
from doorbell.wire import AlarmKind
from relay.core.alarm import AlarmStage, HelperState, Outcome
from sim.stories import Story

VOLUNTEERS = ("bell-li", "bell-peng", "bell-zhao")
EVERYBODY = (*VOLUNTEERS, "bell-doctor", "bell-clerk")


@pytest.fixture
def rung(story: Story) -> Story:
    """Liu has pressed, and Peng's bell sounds."""
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    return story


@pytest.fixture
def accepted(rung: Story) -> Story:
    """Peng is coming."""
    rung.advance(seconds=5)
    rung.accept("peng")
    rung.expect_panel("liu", "coming")
    rung.expect_silence()
    rung.expect_bell("bell-peng", Light.MINE, who="彭小平")
    return rung


@pytest.fixture
def arrived(accepted: Story) -> Story:
    """Peng is there, and has pressed the green button."""
    accepted.advance(seconds=240)
    accepted.ok("liu")
    accepted.expect_panel("liu", "arrived")
    return accepted


def test_accepted_and_nobody_arrives_rings_again_with_the_first_helper_still_listed(accepted: Story) -> None:
    accepted.advance(seconds=598)
    accepted.expect_silence()
    accepted.advance(seconds=2)
    accepted.expect_ring(*VOLUNTEERS)
    accepted.expect_panel("liu", "received", "ringing")
    (helper,) = accepted.alarm("liu").helpers
    assert (helper.person, helper.state) == ("peng", HelperState.LATE)
    accepted.accept("zhao")
    accepted.expect_panel("liu", "coming")
    accepted.expect_silence()
    assert [helper.person for helper in accepted.alarm("liu").helpers] == ["peng", "zhao"]


def test_pressing_again_is_counted_and_calls_nobody_twice(rung: Story) -> None:
    rung.advance(seconds=61)
    rung.expect_ring(*VOLUNTEERS)
    rung.press("liu")
    rung.expect_panel("liu", "heard", "ringing")
    rung.expect_ring(*VOLUNTEERS)
    assert rung.alarm("liu").presses == 2
    rung.expect_alarms(1)
    rung.accept("peng")
    rung.expect_panel("liu", "coming")
    rung.expect_silence()


def test_three_presses_within_a_minute_call_everybody(rung: Story) -> None:
    rung.press("liu")
    rung.expect_panel("liu", "heard", "ringing")
    rung.expect_ring("bell-peng")
    rung.advance(seconds=20)
    rung.press("liu")
    rung.expect_panel("liu", "heard", "ringing")
    rung.expect_ring(*EVERYBODY)
    rung.expect_told("step_started")
    rung.expect_alarms(1)
    rung.accept("clerk")
    rung.expect_panel("liu", "coming")
    rung.expect_silence()


def test_no_gesture_on_the_help_button_stops_help(rung: Story) -> None:
    rung.press("liu", hold_s=20)
    rung.expect_panel("liu", "heard", "ringing")
    rung.expect_ring("bell-peng")
    assert rung.alarm("liu").stage is AlarmStage.RINGING
    rung.ok("liu")
    rung.expect_panel("liu", "closed")
    rung.expect_silence()


def test_a_press_while_somebody_is_coming_takes_nothing_back(accepted: Story) -> None:
    accepted.press("liu")
    accepted.expect_panel("liu", "heard", "coming")
    accepted.expect_silence()
    assert accepted.alarm("liu").presses == 2


def test_a_press_after_the_arrival_rings_again(arrived: Story) -> None:
    arrived.advance(seconds=600)
    arrived.press("liu")
    arrived.expect_panel("liu", "heard", "received", "ringing")
    arrived.expect_ring("bell-peng")
    arrived.expect_alarms(1)
    arrived.accept("peng")
    arrived.expect_panel("liu", "coming")
    arrived.expect_silence()


def test_ok_while_it_rings_is_a_mistake_and_closes(rung: Story) -> None:
    rung.ok("liu")
    rung.expect_panel("liu", "closed")
    rung.expect_silence()
    assert rung.alarm("liu").outcome is Outcome.FALSE_ALARM
    rung.advance(seconds=200)
    rung.expect_alarms(1)


def test_after_a_mistake_somebody_looks_in_where_the_policy_says_so(story: Story) -> None:
    story.press("sun")
    story.expect_panel("sun", "heard", "received", "ringing")
    story.expect_ring("bell-li")
    story.ok("sun")
    story.expect_ring("bell-li")
    story.expect_panel("sun", "received", "ringing")
    assert story.alarm("sun").outcome is Outcome.FALSE_ALARM
    assert story.alarm("sun", AlarmKind.CHECKIN).stage is AlarmStage.RINGING
    story.ok("sun")  # a second green press used to call off the look-in as well
    assert story.alarm("sun", AlarmKind.CHECKIN).stage is AlarmStage.RINGING
    story.accept("li")
    story.expect_panel("sun", "coming")
    story.expect_silence()
    story.advance(seconds=300)
    story.ok("sun")
    story.expect_panel("sun", "arrived")
    story.done("li")
    story.expect_panel("sun", "closed")


def test_ok_with_no_alarm_is_a_sign_of_life(story: Story) -> None:
    story.ok("liu")
    story.expect_silence()
    story.expect_alarms(0)
    assert story.village.counts["journal.sign_of_life"] == 1


def test_ok_once_accepted_says_my_helper_is_here(arrived: Story) -> None:
    assert arrived.alarm("liu").stage is AlarmStage.ARRIVED
    arrived.advance(seconds=600)
    arrived.expect_silence()


def test_an_ok_from_before_the_press_stops_nothing(story: Story) -> None:
    """Both wait in the panel's outbox, and the press is sent first: the ok was the daily one."""
    story.unplug("panel-liu")
    story.ok("liu")
    story.advance(seconds=2)
    story.press("liu")
    story.expect_panel("liu", "heard")
    story.plug_in("panel-liu")
    story.expect_panel("liu", "received", "ringing")
    story.expect_ring("bell-peng")
    story.advance(seconds=1)
    assert story.alarm("liu").stage is AlarmStage.RINGING
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()


def test_handed_back_rings_at_the_next(accepted: Story) -> None:
    accepted.decline("peng")
    accepted.expect_panel("liu", "received", "ringing")
    accepted.expect_ring("bell-li", "bell-zhao")
    (helper,) = accepted.alarm("liu").helpers
    assert (helper.person, helper.state) == ("peng", HelperState.HANDED_BACK)
    accepted.accept("li")
    accepted.expect_panel("liu", "coming")
    accepted.expect_silence()


def test_of_two_who_accept_one_has_it_and_the_other_sees_who(rung: Story) -> None:
    rung.advance(seconds=46)
    rung.expect_ring(*VOLUNTEERS)
    rung.unplug("bell-li")
    rung.accept("li")
    rung.accept("peng")
    rung.expect_panel("liu", "coming")
    rung.expect_silence()
    rung.plug_in("bell-li")
    rung.expect_bell("bell-li", Light.TAKEN, who="彭小平")
    rung.expect_bell("bell-zhao", Light.TAKEN, who="彭小平")
    rung.expect_bell("bell-peng", Light.MINE, who="彭小平")
    assert [helper.person for helper in rung.alarm("liu").helpers] == ["peng"]


def test_done_closes_for_everybody(arrived: Story) -> None:
    arrived.advance(seconds=900)
    arrived.done("peng")
    arrived.expect_panel("liu", "closed")
    arrived.expect_silence()
    arrived.advance(seconds=6)
    arrived.expect_light("liu", Light.COVERED)
    assert arrived.alarm("liu").outcome is Outcome.HELPED
    for bell in EVERYBODY:
        arrived.expect_bell(bell, Light.READY)


def test_the_hold_of_the_press_that_accepted_does_not_finish_it(rung: Story) -> None:
    rung.done("peng")
    rung.expect_panel("liu", "coming")
    rung.expect_silence()
    assert rung.alarm("liu").stage is AlarmStage.ACCEPTED
