"""What a service manager and a program tell each other: readiness, watchdog, signals, exit codes.

The protocol is sd_notify(3): datagrams to the Unix socket that ``NOTIFY_SOCKET`` names. Without that variable (a
terminal, a test, another service manager) nothing is sent.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import FrameType

import structlog

_log = structlog.get_logger("doorbell.service")


class ExitCode(IntEnum):
    """How our programs end. A device's unit starts it again after each of them, ever more slowly: the file that is
    wrong today may be mended tomorrow, and nobody is there to type a command."""

    OK = 0
    """Stopped as asked."""
    SETUP = 2
    """A setting, file or argument is wrong: a person must repair it, a restart alone cannot."""
    UNAVAILABLE = 69
    """A child or neighbour that we cannot do without is gone (``EX_UNAVAILABLE`` of sysexits)."""
    BUG = 70
    """A rule of our own code is broken or a thread died (``EX_SOFTWARE``): start again."""
    FORCED = 130
    """A second signal came while stopping: ended at once, nothing tidied (128 + SIGINT, as shells say it)."""


class ServiceNotifier:
    """Speaks to systemd; every method does nothing where there is no systemd.

    A failing send is logged once and never raised: a press matters more than a status line. If it is the watchdog
    that cannot be told, systemd acts on its silence, which is what silence means.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # '@' stands for the zero byte of a Linux abstract socket; anything else must be an absolute path.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._usable = name.startswith(("@", "/"))
        self._complained = False
        self._interval_s = _watchdog_interval_s(environment)

    def ready(self, status: str = "") -> None:
        """The program does its work now (``Type=notify``); ``status`` is its line in ``systemctl status``."""
        self._send("READY=1" + (f"\nSTATUS={_one_line(status)}" if status else ""))

    def stopping(self) -> None:
        """The program has begun to stop."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Proof of life. Call it only when every thread that must live was seen alive in this turn."""
        self._send("WATCHDOG=1")

    def watchdog_interval_s(self) -> float | None:
        """How often ``watchdog`` must be called at least: half of ``WatchdogSec``; None without a watchdog."""
        return self._interval_s

    def _send(self, message: str) -> None:
        if not self._usable:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto(message.encode(), self._address)
        except OSError as error:
            if not self._complained:
                self._complained = True
                _log.warning("service.notify_failed", reason=error.strerror)


def _watchdog_interval_s(environment: Mapping[str, str]) -> float | None:
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for our parent
    try:
        limit_us = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 else None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def on_stop_signals(ask_to_stop: Callable[[], object]) -> None:
    """SIGTERM or SIGINT calls ``ask_to_stop`` (an ``Event.set``, a put that cannot block); a second one ends the
    process at once with ``ExitCode.FORCED``, for whoever presses Ctrl-C again because stopping hangs.

    Main thread only. ``ask_to_stop`` runs inside a signal handler: it must not take a lock that the main thread may
    hold, so no ``queue.Queue.put``; ``queue.SimpleQueue.put`` and ``threading.Event.set`` on an event that only
    other threads wait on are allowed.
    """
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.FORCED)
        asked = True
        ask_to_stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
