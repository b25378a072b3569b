"""How long the link pauses between two tries."""

from __future__ import annotations

import queue

import pytest

from doorbell.broker_order import Need
from doorbell.link import LinkDown
from doorbell.settings import MqttSettings
from sim.broker import free_port
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
