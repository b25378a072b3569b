"""Switches an output on and off in a pattern, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger("device.gpio")


class Blinker:
    """Plays a pattern of milliseconds (on, off, on, ...) on ``write`` until told otherwise. Starts dark."""

    def __init__(self, name: str, write: Callable[[bool], None]) -> None:
        self._write = write
        self._name = name
        self._changed = threading.Condition()
        self._pattern: tuple[int, ...] | None = None
        self._repeat = True
        self._steady = False
        self._turn = 0
        self._closing = False
        self._toggling = False
        self._thread = threading.Thread(target=self._run, name=f"blink-{name}", daemon=True)
        self._thread.start()

    def blink(
        self,
        pattern: tuple[int, ...] | None,
        *,
        steady: bool = False,
        repeat: bool = True,
        write: Callable[[bool], None] | None = None,
    ) -> None:
        """From now on this pattern; None: steadily on or off. ``repeat=False``: once, then off. ``write``: from now on
        through this one, another colour of the same light."""
        with self._changed:
            self._write = write or self._write
            self._pattern, self._steady, self._repeat = pattern, steady, repeat
            self._turn += 1
            self._toggling = False
            self._changed.notify_all()

    def toggling(self, wait_s: float = 0.0) -> bool:
        """Whether the line has really been switched by the present pattern, now or within ``wait_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: self._toggling, wait_s) and self._thread.is_alive()

    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Off, and the thread ends."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        try:
            while not self._closing:
                self._play()
            self._write(False)
        except Exception:  # noqa: BLE001 - the thread's end is seen by ``alive``, and the watchdog acts on it
            _log.exception("gpio.blinker_died", output=self._name)

    def _play(self) -> None:
        """One pattern, until it changes."""
        with self._changed:
            turn, pattern, steady, repeat, write = (
                self._turn, self._pattern, self._steady, self._repeat, self._write,
            )  # fmt: skip
        index = 0
        while True:
            over = pattern is None or (not repeat and index >= len(pattern))
            lit = steady if pattern is None else not over and index % 2 == 0
            write(lit)
            with self._changed:
                if self._turn == turn:
                    self._toggling = not over
                    self._changed.notify_all()
                wait_s = None if over or pattern is None else pattern[index % len(pattern)] / 1000
                if self._changed.wait_for(lambda: self._closing or self._turn != turn, wait_s):
                    return
            index += 1
