"""Waiting for a condition of another thread or process, with a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Return as soon as the condition holds; fail if it does not within the bound."""
    pause, deadline = threading.Event(), time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.005)
