"""What looks at something beside the relay's loop, again and again, on a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Looker(ABC):
    """Looks from ``start`` to ``close``, ``first_s`` after the start and then as ``look`` says.

    A bug in it must not end it, for its silence would be taken for peace: it is told (``crashed``), and it goes on.
    """

    def __init__(self, name: str, *, first_s: float = 0.0) -> None:
        self._first_s = first_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; a look that runs is waited for, a second at the most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    @abstractmethod
    def look(self) -> float:
        """One look; returns how many seconds to wait before the next."""

    @abstractmethod
    def crashed(self) -> float:
        """A look has ended with the exception that is being handled; returns as ``look``."""

    def _run(self) -> None:
        wait_s = self._first_s
        while not self._stop.wait(wait_s):
            try:
                wait_s = self.look()
            except Exception:  # noqa: BLE001 - see the class
                wait_s = self.crashed()
