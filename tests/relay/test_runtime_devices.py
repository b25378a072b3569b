"""Devices: who is there, what sounds, which revision they have, and answers that come before their press."""

from dataclasses import replace
from itertools import pairwise

import pytest

from doorbell.link import LinkUp
from doorbell.wire import Coverage
from relay.core.alarm import AlarmStage
from relay.ports import Batch
from relay.telling import REPAIR_FIRST_MS, REPAIR_MAX_MS
from relay.watch import SETTLE_MS
from tests.relay.doubles import DOCTOR, PANEL, PENG, WANG, House, neighbourhood, uid


def published(house: House, device: str) -> int:
    return sum(entry == ("publish", device) for entry in house.trace)


# ---------------------------------------------------------------------------------------------------------------------
# What sounds


def test_the_panel_says_ringing_only_while_a_called_bell_reports_that_it_sounds() -> None:
    house = House()
    house.press(1)
    assert house.panel() == ("received", None)
    house.hear(house.report(PENG, 1))
    assert house.panel() == ("ringing", None)
    house.hear(house.report(PENG))
    assert house.panel() == ("received", None)
    assert house.journal() == ["raised", "step_started", "sounding", "silent"]


def test_a_bell_that_goes_offline_sounds_no_more() -> None:
    house = House()
    house.press(1)
    house.hear(house.report(PENG, 1))
    house.hear(house.online(PENG, "offline"))
    assert house.panel() == ("received", None)


def test_a_bell_that_falls_silent_for_too_long_sounds_no_more() -> None:
    house = House()
    house.hear(house.event(WANG, "test", 50))
    house.press(1)
    house.hear(house.report(PENG, 1, next_in_s=4))
    house.advance(9_999)
    assert house.panel() == ("ringing", None)
    house.advance(1)
    assert house.panel() == ("received", None)
    assert house.rings(WANG) == [(uid(1), "ringing")], "the step is deaf, the next starts at once"


@pytest.mark.parametrize("stranger", [PANEL, "button-chen", DOCTOR], ids=["panel", "other-panel", "not-called"])
def test_a_stranger_that_claims_to_ring_does_not_comfort_the_elder(stranger: str) -> None:
    """Any device that reported an alarm's id made the panel say `ringing`."""
    house = House()
    house.press(1)
    house.hear(house.report(stranger, 1))
    assert house.panel() == ("received", None)
    house.advance(5_000)
    assert "step_deaf" in house.journal()


def test_a_volunteer_whom_the_panel_rang_directly_counts_before_the_relay_calls() -> None:
    house = House()
    house.hear(house.report(WANG, 1))
    house.press(1)
    assert house.panel() == ("ringing", None)


def test_a_bell_that_rings_by_the_id_of_a_later_press_rings_the_alarm() -> None:
    """The second press reached the bell directly, the first did not: its sound was counted to no alarm."""
    house = House()
    house.press(1)
    house.hear(house.report(PENG, 2))
    assert house.panel() == ("received", None)
    house.press(2)
    assert house.panel() == ("ringing", None)
    house.hear(house.report(PENG))
    assert house.panel() == ("received", None)


# ---------------------------------------------------------------------------------------------------------------------
# Who is there


def coverage(house: House) -> Coverage:
    panel = house.shown(PANEL).panel
    assert panel is not None
    return panel.coverage


def test_coverage_follows_the_bells_of_the_volunteers() -> None:
    house = House()
    assert coverage(house) is Coverage.COVERED
    house.hear(house.online(WANG, "offline"))
    assert coverage(house) is Coverage.THIN
    house.hear(house.online(PENG, "offline"))
    assert coverage(house) is Coverage.UNCOVERED
    house.hear(house.report(PENG))
    assert coverage(house) is Coverage.THIN
    lines = house.journal(alarm=None)
    assert lines[-3:] == ["device_offline", "device_offline", "device_online"]


def test_a_retained_report_does_not_bring_a_dead_bell_back() -> None:
    """At a start the will may come first and the bell's last report after it: the dead bell was online, and rang."""
    house = House(settled=False)
    house.hear(LinkUp(1), house.report(PANEL))
    house.press(1)
    house.hear(house.online(PENG, "offline", retained=True), house.report(PENG, 1, retained=True))
    assert house.panel() == ("received", None)
    assert house.rings(WANG) == [(uid(1), "ringing")], "nobody waits for a dead bell"
    house.hear(house.report(PENG, 1))
    assert house.panel() == ("ringing", None), "a live report is a sign of life, even after a will"


def test_a_retained_report_of_a_bell_that_is_online_counts() -> None:
    house = House(settled=False)
    house.press(1)
    house.hear(LinkUp(1), house.report(PENG, 1, retained=True), house.online(PENG, retained=True))
    assert house.panel() == ("ringing", None)
    house.hear(house.online(PENG, "offline", retained=True))
    assert house.panel() == ("received", None)


def test_silence_means_absence_only_once_the_retained_messages_are_in() -> None:
    house = House(settled=False)
    house.press(1)
    house.hear(LinkUp(1))
    assert house.journal() == ["raised", "step_started"]
    house.advance(SETTLE_MS - 1)
    assert house.journal() == ["raised", "step_started"]
    house.advance(1)
    assert house.journal()[2:] == ["step_deaf", "step_started"] * 2
    assert coverage(house) is Coverage.UNCOVERED


# ---------------------------------------------------------------------------------------------------------------------
# Revisions


def test_what_is_not_reported_is_published_again_after_5_s_then_less_and_less_often() -> None:
    house = House()
    house.press(1)
    house.trace.clear()
    times: list[int] = []
    start = house.clock.mono_ms
    while house.clock.mono_ms - start < 200_000:
        seen = published(house, PANEL)
        house.advance(1_000)
        if published(house, PANEL) > seen:
            times.append((house.clock.mono_ms - start) // 1_000)
    assert times[0] == REPAIR_FIRST_MS // 1_000
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) <= REPAIR_MAX_MS // 1_000
    assert house.relay.counts["desired.repaired"] >= 4


def test_a_reported_revision_ends_the_repair() -> None:
    house = House()
    house.press(1)
    house.hear(house.report(PANEL))
    house.trace.clear()
    house.advance(20_000)
    assert published(house, PANEL) == 0


def test_nothing_is_repeated_to_a_device_that_is_offline_until_it_comes_back() -> None:
    house = House()
    house.press(1)
    house.hear(house.online(PANEL, "offline"))
    house.trace.clear()
    house.advance(30_000)
    assert published(house, PANEL) == 0
    house.hear(house.report(PANEL, rev=1))
    assert published(house, PANEL) == 1


def test_a_device_ahead_of_the_database_is_overtaken() -> None:
    """A database restored from a back-up is behind: a device ignores lower revisions, and would be deaf for ever."""
    house = House()
    house.press(1)
    house.hear(house.report(PENG, rev=900))
    assert house.shown(PENG).rev == 901
    assert house.store.twins[PENG].rev == 901
    house.hear(house.report(PENG, rev=901))
    house.hear(house.event(PANEL, "ok", 2, seq=2))
    house.advance(1_000)
    house.press(3)
    assert house.shown(PENG).rev > 901


def test_a_device_that_is_absurdly_far_ahead_drives_no_revision_out_of_the_contract() -> None:
    """2**53 - 1 made the relay say 2**53, which every reader refuses: the bell was deaf for good."""
    house = House()
    house.hear(house.report(PENG, rev=2**53 - 1))
    house.press(1)
    assert house.rings(PENG) == [(uid(1), "ringing")]
    assert house.shown(PENG).rev < 100


def test_a_device_without_a_twin_is_told_at_its_first_report() -> None:
    house = House(settled=False)
    house.hear(LinkUp(1), house.report(PENG, rev=0))
    assert house.shown(PENG).rev == 1
    assert house.shown(PENG).rings == ()


# ---------------------------------------------------------------------------------------------------------------------
# Early answers


def test_an_acceptance_that_comes_before_its_press_is_applied_when_the_press_comes() -> None:
    house = House()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    assert house.shown(PENG).stored == (uid(2),)
    assert house.store.events[uid(2)].verdict == "early"
    house.advance(7_000)
    house.press(1, age_ms=9_000)
    assert house.panel() == ("accepted", "彭小平")
    assert house.store.events[uid(2)].verdict == "applied"
    assert house.relay.book.by_id[uid(1)].helpers[0].accepted_at == house.store.events[uid(2)].at


def test_an_early_acceptance_survives_a_restart() -> None:
    house = House()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.boot()
    house.press(1)
    assert house.panel() == ("accepted", "彭小平")


def test_what_was_said_in_one_turn_is_heard_in_its_order_also_after_a_restart() -> None:
    """It came back in the order of random ids: whoever had handed the alarm back again was shown as coming."""
    house = House()
    accept = house.event(PENG, "accept", 9, alarm=1)
    house.clock.advance(2_000)
    house.hear(accept, house.event(PENG, "decline", 2, alarm=1))
    house.boot()
    house.clock.advance(1_000)
    house.press(1, age_ms=4_000)
    assert house.panel() == ("received", None)
    assert house.journal()[-3:] == ["accepted", "handed_back", "step_started"]


def test_an_acceptance_of_a_press_that_becomes_the_second_of_an_alarm_is_not_lost() -> None:
    """The bell had heard only the second press; its answer waited for ever for an alarm of that name."""
    house = House()
    house.hear(house.event(PENG, "accept", 3, alarm=2))
    house.press(1)
    assert house.panel() == ("received", None)
    house.press(2)
    assert house.panel() == ("accepted", "彭小平")
    assert house.store.events[uid(3)].verdict == "applied"
    assert house.store.early() == []


def test_an_answer_may_name_any_press_of_the_alarm_also_after_a_restart() -> None:
    house = House()
    house.press(1)
    house.press(2)
    house.boot()
    house.hear(house.event(PENG, "accept", 3, alarm=2))
    assert house.panel() == ("accepted", "彭小平")
    assert house.store.events[uid(3)].alarm == uid(1)


def test_an_early_answer_of_somebody_who_was_not_called_changes_nothing() -> None:
    house = House()
    house.hear(house.event(DOCTOR, "accept", 2, alarm=1))
    house.press(1)
    assert house.panel() == ("received", None)
    assert house.store.events[uid(2)].verdict == "not_called"


def test_an_early_answer_of_a_bell_that_was_removed_changes_nothing() -> None:
    house = House()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.store.replace_register(neighbourhood(without=[PENG]))
    house.advance(2_000)
    house.press(1)
    assert house.panel() == ("received", None)
    assert house.store.events[uid(2)].verdict == "unknown_device"


def test_an_early_answer_that_cannot_be_read_any_more_stops_no_press() -> None:
    """It ended the relay whenever the press came for which it had waited."""
    house = House()
    house.hear(house.event(PENG, "accept", 2, alarm=1), house.event(WANG, "accept", 3, alarm=1))
    house.store.commit(Batch(events=[replace(house.store.events.pop(uid(2)), body=b"spoilt")]))
    house.boot()
    house.press(1)
    assert house.panel() == ("accepted", "王芳")
    assert house.store.events[uid(2)].verdict == "unreadable"


def test_what_a_bell_said_last_holds_though_it_is_heard_first() -> None:
    house = House()
    house.press(1)
    accept = house.event(PENG, "accept", 2, alarm=1, seq=5)
    house.hear(house.event(PENG, "decline", 3, alarm=1, seq=6))
    house.hear(accept)
    assert house.panel() == ("received", None)
    assert house.store.events[uid(2)].verdict == "older_than_answer"
    house.boot()
    house.hear(house.event(PENG, "accept", 4, alarm=1, seq=4))
    assert house.store.events[uid(4)].verdict == "older_than_answer"


def test_an_answer_to_an_alarm_that_was_closed_long_ago_is_on_record_only() -> None:
    house = House()
    house.press(1, seq=1)
    house.hear(house.event(PANEL, "ok", 2, seq=2))
    house.hear(house.event(PENG, "accept", 3, alarm=1))
    assert house.store.events[uid(3)].verdict == "closed"
    assert house.shown(PENG).stored == (uid(3),)
    assert house.relay.book.by_id == {}


def test_an_answer_to_the_alarm_of_another_household_changes_nothing() -> None:
    house = House()
    house.press(1, device="button-chen")
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    alarm = house.relay.book.by_id[uid(1)]
    assert (alarm.stage, alarm.helpers) == (AlarmStage.RINGING, ())
    assert house.store.events[uid(2)].verdict == "not_called"
