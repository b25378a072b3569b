"""Fixtures of the system tests; tests/doorbell/conftest.py takes them too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.brokers import BROKERS, Broker, make_broker


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A running broker, once embedded and once Debian's mosquitto; ended with the test."""
    broker = make_broker(request.param, tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()
