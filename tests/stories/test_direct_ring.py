"""While no relay answers: the panel calls its bells itself, the elder hears the truth, the relay hears all of it."""

import pytest

from device.core.role import ButtonName
from device.core.signals import Light, Phrase
from relay.core.alarm import AlarmStage, HelperState
from sim.stories import Story

VOLUNTEERS = ("bell-li", "bell-peng", "bell-zhao")


@pytest.fixture
def called(story: Story) -> Story:
    """The relay is down for two minutes; Liu has pressed, and her neighbours' bells sound."""
    story.relay_dies(for_s=120)
    story.press("liu")
    story.expect_panel("liu", "heard")
    story.expect_silence()
    story.advance(seconds=5)
    story.expect_ring(*VOLUNTEERS)
    return story


def come_back(story: Story, *, alarms: int = 1) -> None:
    """The relay is back, has heard all of it, and changes nothing that anybody sees or hears."""
    story.advance(seconds=150)
    story.expect_silence()
    story.expect_alarms(alarms)


@pytest.fixture
def promised(called: Story) -> Story:
    """Peng has accepted at his bell."""
    called.accept("peng")
    called.expect_panel("liu", "coming")
    called.expect_silence()
    return called


def test_the_bells_ring_within_6_s_of_a_press_that_no_relay_answers(story: Story) -> None:
    story.relay_dies(for_s=120)
    story.press("liu")  # ends 0.75 s after the finger went down
    story.expect_panel("liu", "heard")
    story.advance(seconds=4)
    story.expect_silence()
    story.advance(seconds=1)
    story.expect_ring(*VOLUNTEERS)
    story.accept("li")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    come_back(story)


def test_the_elder_is_told_the_name_and_the_other_bells_that_somebody_goes(promised: Story) -> None:
    assert promised.said("panel-liu")[-1] == (Phrase.COMING, "彭小平", "")
    assert promised.said("bell-peng")[-1] == (Phrase.GO, "", "柳奶奶")
    assert promised.said("bell-zhao")[-1] == (Phrase.TAKEN, "彭小平", "柳奶奶")
    promised.expect_light("liu", Light.COMING)
    promised.expect_bell("bell-peng", Light.MINE)
    promised.expect_bell("bell-li", Light.TAKEN)
    come_back(promised)


def test_the_relay_comes_back_to_one_alarm_with_the_times_at_which_it_happened(promised: Story) -> None:
    promised.advance(seconds=130)
    promised.expect_silence()  # nobody is rung a second time, and the panel says nothing anew
    promised.expect_alarms(1)
    alarm = promised.alarm("liu")
    assert (alarm.stage, [helper.person for helper in alarm.helpers]) == (AlarmStage.ACCEPTED, ["peng"])
    assert 5 < (alarm.helpers[0].accepted_at - alarm.raised_at).total_seconds() < 8
    promised.expect_bell("bell-peng", Light.MINE, who="彭小平")
    promised.ok("liu")
    promised.expect_panel("liu", "arrived")
    promised.done("peng")
    promised.expect_panel("liu", "closed")


def test_nobody_is_promised_before_a_person_has_said_so(called: Story) -> None:
    called.advance(seconds=5)
    called.expect_panel("liu", "unreachable")
    called.expect_ring(*VOLUNTEERS)
    called.advance(seconds=70)
    assert called.said("panel-liu").count((Phrase.UNREACHABLE, "", "")) == 2  # and once more each minute
    called.expect_ring(*VOLUNTEERS)
    called.advance(seconds=45)
    called.expect_panel("liu", "ringing")  # the relay is back, and hears at once what sounds
    called.expect_ring(*VOLUNTEERS)
    called.advance(seconds=26)
    called.expect_ring("bell-peng")  # its order counts
    called.expect_alarms(1)
    called.accept("peng")
    called.expect_panel("liu", "coming")
    called.expect_silence()


def test_a_press_that_the_relay_answers_in_time_is_not_told_directly(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.advance(seconds=20)
    story.expect_ring("bell-peng")
    story.accept("peng")
    story.expect_panel("liu", "coming")
    assert "peer" not in story.channels()


def test_only_a_paired_panel_can_ring_a_bell(called: Story) -> None:
    called.expect_ring(*VOLUNTEERS)  # and neither the doctor's nor the clerk's
    village = called.village
    village.broker.inject(
        "doorbell/v1/west-lake/panel-liu/peer/bell-doctor",
        b'{"id":"01938f3c-0000-4000-8000-000000000009","type":"help","at":"2026-11-23T06:43:00Z","age_ms":0,"clock":"synced"}',
        retain=False,
    )
    called.advance(seconds=1)
    called.expect_ring(*VOLUNTEERS)
    assert village.devices["bell-doctor"].runtime is not None
    assert village.devices["bell-doctor"].runtime.counters["not_a_peer"] == 1
    called.accept("peng")
    called.expect_panel("liu", "coming")
    called.expect_silence()
    come_back(called)


def test_the_first_claim_wins_and_the_second_is_told_who_goes(called: Story) -> None:
    called.village.press("bell-li", ButtonName.ANSWER)
    called.accept("peng")
    called.expect_panel("liu", "coming")
    called.expect_silence()
    assert (Phrase.COMING, "李梅", "") in called.said("panel-liu")
    called.expect_bell("bell-peng", Light.TAKEN)
    called.advance(seconds=130)
    called.expect_alarms(1)
    assert [helper.person for helper in called.alarm("liu").helpers] == ["li"]
    called.expect_bell("bell-peng", Light.TAKEN, who="李梅")
    called.expect_silence()


def test_handed_back_it_rings_again(promised: Story) -> None:
    promised.decline("peng")
    promised.expect_panel("liu", "heard")
    promised.expect_ring("bell-li", "bell-zhao")
    promised.advance(seconds=11)
    promised.expect_panel("liu", "unreachable")
    promised.expect_ring("bell-li", "bell-zhao")
    promised.accept("zhao")
    promised.expect_panel("liu", "coming")
    promised.expect_silence()
    promised.advance(seconds=120)
    promised.expect_silence()
    alarm = promised.alarm("liu")
    assert {h.person: h.state for h in alarm.helpers}["zhao"] is HelperState.COMING
    promised.expect_alarms(1)


def test_accepted_directly_and_nobody_arrives_it_rings_again(story: Story) -> None:
    story.relay_dies(for_s=900)
    story.press("liu")
    story.expect_panel("liu", "heard")
    story.advance(seconds=5)
    story.expect_ring(*VOLUNTEERS)
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    story.advance(seconds=598)
    story.expect_silence()
    story.advance(seconds=12)
    story.expect_panel("liu", "unreachable")
    story.expect_ring(*VOLUNTEERS)
    story.accept("li")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    story.advance(seconds=330)
    story.expect_silence()
    story.expect_alarms(1)


def test_the_green_button_ends_a_direct_ring_that_was_a_mistake(called: Story) -> None:
    called.ok("liu")
    called.expect_silence()
    called.advance(seconds=6)
    called.expect_panel("liu", "unreachable")  # true: no relay has heard of any of it
    called.expect_silence()
    called.press("liu")  # and now it is none
    called.expect_panel("liu")
    called.advance(seconds=5)
    called.expect_ring(*VOLUNTEERS)
    called.accept("peng")
    called.expect_panel("liu", "coming")
    called.expect_silence()
    come_back(called, alarms=2)


def test_a_mistake_that_is_taken_back_at_once_rings_nobody(story: Story) -> None:
    """The neighbours were rung 5 s after a press that its own green button had taken back after 2 s."""
    story.relay_dies(for_s=120)
    story.press("liu")
    story.expect_panel("liu", "heard")
    story.ok("liu")
    story.advance(seconds=12)
    story.expect_silence()
    story.expect_panel("liu", "unreachable")  # true: no relay has heard of any of it
    story.advance(seconds=60)
    assert story.said("panel-liu").count((Phrase.UNREACHABLE, "", "")) == 1
    story.press("liu")
    story.expect_panel("liu")
    story.advance(seconds=5)
    story.expect_ring(*VOLUNTEERS)
    story.accept("li")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    come_back(story, alarms=2)


def test_arrived_and_done_are_told_directly_too(promised: Story) -> None:
    promised.ok("liu")
    promised.expect_panel("liu", "arrived")
    promised.done("peng")
    promised.expect_panel("liu", "closed")
    promised.advance(seconds=30)
    promised.expect_silence()
    promised.expect_light("liu", Light.COVERED)
    promised.advance(seconds=100)
    promised.expect_silence()
    promised.expect_alarms(1)
    assert promised.alarm("liu").stage is AlarmStage.CLOSED


def test_after_the_helper_had_arrived_a_press_calls_anew(promised: Story) -> None:
    promised.ok("liu")
    promised.expect_panel("liu", "arrived")
    promised.advance(seconds=20)
    promised.press("liu")
    promised.expect_panel("liu", "heard")
    promised.advance(seconds=5)
    promised.expect_ring(*VOLUNTEERS)
    promised.accept("zhao")
    promised.expect_panel("liu", "coming")
    promised.expect_silence()
    come_back(promised)


def test_a_bell_that_dies_in_between_rings_again_by_itself_and_remembers_its_word(called: Story) -> None:
    called.device_dies("bell-peng", for_s=3)
    called.advance(seconds=11)
    called.expect_panel("liu", "unreachable")
    called.expect_ring(*VOLUNTEERS)
    called.accept("peng")
    called.expect_panel("liu", "coming")
    called.expect_silence()
    called.device_dies("bell-peng", for_s=3)
    called.advance(seconds=30)
    called.expect_silence()
    come_back(called)


def test_a_panel_that_dies_hears_the_promise_again(promised: Story) -> None:
    promised.device_dies("panel-liu", for_s=2)
    promised.advance(seconds=13)
    promised.expect_panel("liu", "heard", "coming")
    promised.expect_silence()
    come_back(promised)


def test_the_relay_dies_while_it_rings_and_the_acceptance_still_reaches_the_elder(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.relay_dies(for_s=60)
    story.expect_ring("bell-peng")
    story.accept("peng")
    story.expect_silence()
    story.advance(seconds=5)
    story.expect_panel("liu", "coming")
    story.advance(seconds=70)
    story.expect_silence()
    alarm = story.alarm("liu")
    assert (alarm.stage, [helper.person for helper in alarm.helpers]) == (AlarmStage.ACCEPTED, ["peng"])
    story.expect_alarms(1)


def test_a_volunteer_who_does_not_say_done_is_reminded(story: Story) -> None:
    story.press("liu")
    story.expect_panel("liu", "heard", "received", "ringing")
    story.expect_ring("bell-peng")
    story.accept("peng")
    story.expect_panel("liu", "coming")
    story.expect_silence()
    story.ok("liu")
    story.expect_panel("liu", "arrived")
    story.advance(seconds=896)
    assert (Phrase.REMINDER, "彭小平", "柳奶奶") not in story.said("bell-peng")
    story.advance(seconds=5)
    assert story.said("bell-peng").count((Phrase.REMINDER, "彭小平", "柳奶奶")) == 1
    story.advance(seconds=900)
    assert story.said("bell-peng").count((Phrase.REMINDER, "彭小平", "柳奶奶")) == 2
    story.done("peng")
    story.expect_panel("liu", "closed")
    story.advance(seconds=1_000)
    assert story.said("bell-peng").count((Phrase.REMINDER, "彭小平", "柳奶奶")) == 2
