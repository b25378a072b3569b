"""A relay's word to itself: how it notices that the broker does not hear it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from doorbell.link import Delivery, LinkEvent, LinkUp
from doorbell.wire import Topics
from relay.echo import Echo


@dataclass
class Broker:
    """Gives back what it is told, when it is asked to."""

    said: list[Delivery] = field(default_factory=list)
    up: bool = True

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        assert (qos, retain) == (0, False), "nothing of this may be kept for later"
        if self.up:
            self.said.append(Delivery(topic, payload, 1, 0, 0))
        return self.up

    def ack(self, delivery: Delivery) -> None:
        raise AssertionError("there is nothing to acknowledge")


@pytest.fixture
def passed() -> list[LinkEvent]:
    return []


@pytest.fixture
def echo(passed: list[LinkEvent]) -> Echo:
    return Echo(Topics(), "relay-one", "now", passed.append)


def test_what_comes_back_is_heard_and_kept_from_the_relay_and_the_rest_is_passed_on(
    echo: Echo, passed: list[LinkEvent]
) -> None:
    broker = Broker()
    assert echo.silent_ms(0) == 0
    echo.say(broker, 1_000)
    assert echo.silent_ms(1_400) == 400
    echo.take(broker.said[0])
    assert echo.silent_ms(1_400) == 0
    press = Delivery("doorbell/v1/xihu/panel/event", b"{}", 1, 1, 1)
    for event in (LinkUp(1), press):
        echo.take(event)
    assert passed == [LinkUp(1), press]


def test_silence_counts_from_the_first_word_that_has_not_come_back(echo: Echo) -> None:
    """A broker that is slow, but answers, is not silent for longer than it is slow."""
    broker = Broker()
    for second in range(1, 20):
        echo.say(broker, second * 1_000)
        if second > 2:
            echo.take(broker.said[second - 3])
        assert echo.silent_ms(second * 1_000) <= 2_000
    assert echo.silent_ms(25_000) == 7_000


@pytest.mark.parametrize("up", [True, False])
def test_without_a_connection_and_on_a_dead_one_it_is_silent(echo: Echo, up: bool) -> None:
    broker = Broker(up=up)
    for second in range(1, 6):
        echo.say(broker, second * 1_000)
    assert echo.silent_ms(5_000) == 4_000


def test_a_word_of_an_earlier_process_is_none_of_ours(echo: Echo) -> None:
    before, broker = Broker(), Broker()
    Echo(Topics(), "relay-one", "earlier", print).say(before, 0)
    echo.say(broker, 1_000)
    echo.take(before.said[0])
    assert echo.silent_ms(3_000) == 2_000
