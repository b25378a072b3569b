"""How long the link pauses between two tries, and waits within one."""

from __future__ import annotations

import queue

import pytest

from doorbell.broker_choice import BrokerChoice
from doorbell.broker_order import Need
from doorbell.connection import HANDSHAKE_MAX_S
from doorbell.link import LinkDown
from doorbell.mqtt import as_the_settings_say, needs_nothing
from doorbell.settings import FallbackBroker, MqttSettings
from sim.broker import free_port
from tests.doorbell.scripted_broker import CONNECT, ScriptedBroker
from tests.system.link_probe import WITHIN_S, LinkProbe


def test_a_press_that_waits_does_not_wait_out_the_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is made in the middle of a pause. It used to be up to 30 s after the network was back."""
    monkeypatch.setattr("doorbell.broker_choice.URGENT_PAUSE_S", 0.1)
    monkeypatch.setattr("doorbell.mqtt.LOOK_S", 0.05)
    needs = [Need.NONE]
    settings = MqttSettings(port=free_port(), backoff_min_s=60, backoff_max_s=60)
    probe = LinkProbe(settings, need=lambda: needs[0])
    probe.expect_next(LinkDown)
    with pytest.raises(queue.Empty):
        probe.events.get(timeout=0.3)
    needs[0] = Need.RECEIPT
    for _ in range(3):
        probe.expect_next(LinkDown)
    needs[0] = Need.ALARM
    assert probe.link.stop(WITHIN_S) is True


def test_a_broker_that_says_nothing_is_left_within_a_minute_whatever_the_keepalive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A keepalive of an hour, to save a mobile line's traffic, was an hour at a broker that took the connection."""
    monkeypatch.setattr("doorbell.connection.HANDSHAKE_MAX_S", 0.2)
    with ScriptedBroker() as broker:
        probe = LinkProbe(broker.settings.model_copy(update={"keepalive_s": 3_600}))
        broker.accept().expect(CONNECT)
        assert "did not finish the handshake" in probe.expect_next(LinkDown).reason
        broker.accept().expect(CONNECT)
        probe.link.stop(0.2)


def test_with_fallbacks_too_no_try_takes_longer_than_a_minute() -> None:
    settings = MqttSettings(keepalive_s=3_600, fallback=(FallbackBroker(host="127.0.0.2"),))
    choice = BrokerChoice(settings, needs_nothing, None, as_the_settings_say)
    for _ in range(60):
        choice.refused("it does not answer", tell=False)
    assert choice.within_s() == HANDSHAKE_MAX_S
