"""A relay connects anew with its renewed certificate when nobody waits for it, and not later than in a day."""

from __future__ import annotations

import pytest

from doorbell.broker_order import Need
from relay.taking_up import PATIENCE_S, REASON, TakeUp


class Relay:
    """What is asked of a relay, and a link that was told to connect again."""

    def __init__(self) -> None:
        self.outdated, self.need, self.waiting, self.now_s = True, Need.NONE, 0, 50.0
        self.reasons: list[str] = []
        lengths = lambda: {"urgent": self.waiting, "reports": 0}  # noqa: E731
        self.take_up = TakeUp(self, lambda: self.need, lengths, lambda: self.now_s)

    def shows_outdated(self) -> bool:
        return self.outdated

    def reconnect(self, reason: str) -> None:
        self.reasons.append(reason)
        self.outdated = False


def test_an_idle_relay_takes_it_up_at_once_and_once() -> None:
    relay = Relay()
    for _ in range(3):
        relay.take_up.look()
    assert relay.reasons == [REASON]


def test_a_certificate_that_is_the_same_is_no_reason() -> None:
    relay = Relay()
    relay.outdated = False
    relay.take_up.look()
    assert relay.reasons == []


@pytest.mark.parametrize(("need", "waiting"), [(Need.RECEIPT, 0), (Need.NONE, 1)])
def test_a_relay_that_is_needed_waits_but_not_for_ever(need: Need, waiting: int) -> None:
    relay = Relay()
    relay.need, relay.waiting = need, waiting
    relay.take_up.look()
    relay.now_s += PATIENCE_S
    relay.take_up.look()
    assert relay.reasons == [REASON]
    again = Relay()
    again.need, again.waiting = need, waiting
    again.take_up.look()
    again.now_s += PATIENCE_S - 1
    again.take_up.look()
    assert again.reasons == []
    again.need, again.waiting = Need.NONE, 0
    again.take_up.look()
    assert again.reasons == [REASON]


def test_its_patience_begins_anew_with_each_renewal() -> None:
    relay = Relay()
    relay.take_up.look()
    relay.now_s += 2 * PATIENCE_S
    relay.take_up.look()
    relay.outdated, relay.waiting = True, 1
    relay.take_up.look()
    assert relay.reasons == [REASON]
