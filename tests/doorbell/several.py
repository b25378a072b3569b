"""Links with several brokers for tests, quick enough to wait for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from doorbell.settings import FallbackBroker, MqttSettings
from tests.system.link_probe import LinkProbe

ROOT = "doorbell/v1/west-lake"
ONLINE = f"{ROOT}/bell-peng/online"
RETURN_S = 0.2


def several(*ports: int, **more: Any) -> MqttSettings:
    """Brokers on loopback in this order; quick, and asking the first five times a second."""
    quick = {
        "backoff_min_s": 0.02,
        "backoff_max_s": 0.05,
        "return_s": RETURN_S,
        "steady_s": 0.0,
        "connect_timeout_s": 0.5,
        **more,
    }
    fallback = tuple(FallbackBroker(host="127.0.0.1", port=port) for port in ports[1:])
    return MqttSettings(port=ports[0], fallback=fallback).model_copy(update=quick)


@contextmanager
def linked(settings: MqttSettings, **more: Any) -> Iterator[LinkProbe]:
    probe = LinkProbe(settings, "bell-peng", presence_topic=ONLINE, **more)
    try:
        yield probe
    finally:
        probe.link.stop(1.0)


def port_of(probe: LinkProbe) -> int:
    """Where the link is connected."""
    connection = probe.link._up
    assert connection is not None
    return connection.settings.port
