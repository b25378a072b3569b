"""Wall clocks that disagree, and repeats: found by the village (``doorbell-sim storm``)."""

from dataclasses import replace

import pytest

from doorbell.link import LinkUp
from relay.core.alarm import AlarmStage
from relay.ports import StoreError
from tests.relay.doubles import PANEL, PENG, WANG, House, uid

HOURS_MS = 3 * 3_600_000


def rung_house() -> House:
    """A house whose relay has been connected for a while; pressed, and Peng's bell sounds."""
    house = House()
    house.advance(120_000)
    house.press(1)
    house.hear(house.report(PENG, 1))
    return house


@pytest.mark.parametrize("step_ms", [HOURS_MS, -HOURS_MS])
def test_an_answer_counts_though_the_wall_clocks_differ_by_hours(step_ms: int) -> None:
    """It was taken as said hours ago, for ever: nobody could accept until somebody set the relay's clock right."""
    house = rung_house()
    house.clock.step(step_ms)
    bell_says = house.event(PENG, "accept", 2, alarm=1, at="2026-11-23T06:45:00.000Z")
    house.hear(bell_says)
    assert house.panel() == ("accepted", "彭小平")


def test_an_answer_that_waited_in_the_broker_for_hours_promises_nothing() -> None:
    house = rung_house()
    said = house.event(PENG, "accept", 2, alarm=1)
    house.clock.advance(HOURS_MS)
    house.hear(LinkUp(2), said)
    assert house.panel() == ("ringing", None)
    assert "accepted_late" in house.journal()


def test_what_waited_in_the_broker_is_dated_by_its_last_copy() -> None:
    """Without network time only the age tells when it was: the first copy made an old acceptance a fresh one."""
    house = rung_house()
    old = house.event(PENG, "accept", 2, alarm=1, clock="unsynced")
    house.clock.advance(700_000)
    sent_again = house.event(PENG, "accept", 2, alarm=1, clock="unsynced", age_ms=690_000)
    house.hear(LinkUp(2), old, sent_again)
    assert house.panel() == ("ringing", None)
    assert "accepted_late" in house.journal()


def test_a_copy_under_another_name_dates_nothing() -> None:
    house = rung_house()
    said = house.event(PENG, "accept", 2, alarm=1, clock="unsynced")
    house.hear(LinkUp(2), said, house.event(WANG, "accept", 2, alarm=1, clock="unsynced", age_ms=690_000))
    assert house.panel() == ("accepted", "彭小平")


def test_done_closes_after_the_clock_was_set_back() -> None:
    """It was older than the press for three hours, by a clock that had been wrong when the press came."""
    house = rung_house()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.clock.step(-HOURS_MS)
    house.advance(60_000)
    house.hear(house.event(PENG, "done", 3, alarm=1))
    assert uid(1) not in house.relay.book.by_id


def test_three_presses_call_everybody_after_the_clock_was_set_back() -> None:
    house = rung_house()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.clock.step(-HOURS_MS)
    house.hear()
    for number in (3, 4, 5):
        house.clock.advance(5_000)
        house.press(number)
    assert house.relay.book.by_id[uid(1)].stage is AlarmStage.RINGING


def test_an_event_heard_twice_in_one_turn_gets_one_receipt() -> None:
    """It got two, and a burst of repeats pushed other receipts out of the list."""
    house = rung_house()
    house.hear(house.event(PANEL, "help", 2), house.event(PANEL, "help", 2))
    assert house.shown(PANEL).stored == (uid(1), uid(2))


def test_an_answer_that_waited_for_the_database_is_as_old_as_it_is() -> None:
    """It counted as said when the database took it: after an hour with a full disk, somebody was shown as coming."""
    house = rung_house()
    said = replace(house.event(PENG, "accept", 2, alarm=1), arrived_s=house.clock.mono_ms / 1000)
    house.store.fail_reads = 1
    with pytest.raises(StoreError):
        house.relay.decide([said])
    house.clock.advance(HOURS_MS)
    house.hear(said)
    assert house.panel() == ("ringing", None)
    assert "accepted_late" in house.journal()
