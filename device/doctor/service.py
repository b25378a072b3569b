"""The device's service, stopped for the hands-on part and started again whatever happens."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

UNIT = "doorbell-device.service"
NET_UNIT = "doorbell-doctor-net"
NET_MIN = 30
"""If the doctor itself is killed, systemd starts the device again so many minutes after it was stopped."""
_WITHIN_S = 60.0


class Service(Protocol):
    """The service manager, as far as a doctor needs it. A reason instead of None is a failure."""

    def is_active(self) -> bool:
        """Whether the device runs under the service manager."""
        ...

    def stop(self) -> str | None:
        """Stop it, and see to it that it does not stay so."""
        ...

    def start(self) -> str | None:
        """Start it."""
        ...


class SystemdService:
    """``systemctl``; nothing is active where there is no systemd."""

    def __init__(self, unit: str = UNIT) -> None:
        self._unit = unit

    def is_active(self) -> bool:
        """``systemctl is-active``."""
        return shutil.which("systemctl") is not None and _run("systemctl", "is-active", "--quiet", self._unit) is None

    def stop(self) -> str | None:
        """Stop it, with a timer of systemd's own that starts it again should we die: nobody may be left deaf."""
        if shutil.which("systemd-run") is not None:
            _run("systemd-run", "--quiet", "--collect", f"--unit={NET_UNIT}", f"--on-active={NET_MIN}min",
                 "systemctl", "start", self._unit)  # fmt: skip
        reason = _run("systemctl", "stop", self._unit)
        if reason is not None:
            self._drop_net()
        return reason

    def start(self) -> str | None:
        """Start it; it is running and armed when this returns None (Type=notify)."""
        reason = _run("systemctl", "start", self._unit)
        if reason is None:
            self._drop_net()
        return reason

    @staticmethod
    def _drop_net() -> None:
        _run("systemctl", "stop", f"{NET_UNIT}.timer")


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP (a terminal that is gone) become ``KeyboardInterrupt``, so that everything is undone."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def no_interrupt() -> Iterator[None]:
    """While the device is started again nothing stops us."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(*command: str) -> str | None:
    """None if it went well, else its last words."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1][-200:] if lines else f"{command[0]}: {done.returncode}"
