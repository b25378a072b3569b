"""What was captured on the way and is published again by a device with rights changes nothing, a day later or after a
restart: an event is one event by its id, whenever and however often it comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doorbell.link import Delivery
from tests.relay.doubles import PANEL, PENG, House, uid

DAY_MS = 86_400_000


def told(house: House) -> tuple[object, ...]:
    """Everything that anybody is shown, and everything that is known of alarms."""
    return house.panel(), house.rings(PENG), house.journal(None), house.store.alarms(open_only=False)


def a_whole_alarm(house: House) -> list[Delivery]:
    """From the press to the end; what the devices said."""
    captured: list[Delivery] = []
    for device, said, number in ((PANEL, "help", 1), (PENG, "accept", 2), (PANEL, "ok", 3), (PENG, "done", 4)):
        captured.append(house.event(device, said, number, alarm=None if device == PANEL else 1))
        house.hear(captured[-1])
        house.advance(1_000)
    assert not house.store.alarms()
    return captured


@pytest.mark.parametrize("restarted", [False, True])
def test_a_captured_press_and_its_answers_raise_and_stop_nothing_a_day_later(restarted: bool) -> None:
    house = House()
    captured = a_whole_alarm(house)
    assert house.panel() is None
    house.clock.advance(DAY_MS)
    house.hear()
    if restarted:
        house.boot()
        house.advance(5_000)
    before = told(house)
    for number, delivery in enumerate(captured * 2):
        house.hear(replace(delivery, mid=9_000 + number))
    house.advance(5_000)
    assert told(house) == before
    assert house.relay.counts["event.duplicate"] == 2 * len(captured)


def test_a_captured_answer_does_not_answer_the_next_alarm() -> None:
    """It names the alarm of yesterday; the elder who presses today must not hear "coming"."""
    house = House()
    accepted = a_whole_alarm(house)[1]
    house.clock.advance(DAY_MS)
    house.hear()
    house.press(5)
    before = house.panel()
    assert before is not None
    house.hear(replace(accepted, mid=9_000))
    again = house.event(PENG, "accept", 6, alarm=1)  # the same words in a new envelope
    house.hear(again)
    assert house.panel() == before
    assert house.store.find_alarm(uid(5)) is not None
