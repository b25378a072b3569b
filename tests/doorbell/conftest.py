"""The brokers of the system tests, for the link's own tests."""

from tests.system.conftest import broker

__all__ = ["broker"]
