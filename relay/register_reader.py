"""A new register is read beside the loop: a million devices take many seconds, and a press must not wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from relay.core.register import Register
from relay.ports import StoreError

INLINE_S = 0.05
"""So long the loop waits for the reading at once: a register of 2,000 devices is there, and comes into use in the same
turn; a press can wait for that."""

Loaded = tuple[int, Register]
"""A version and its register."""

_log = structlog.get_logger("relay")


class RegisterReader:
    """Reads with ``load``, on a thread of its own and a database connection that nobody else uses meanwhile."""

    def __init__(self, load: Callable[[], Loaded]) -> None:
        self._load = load
        self._reading: threading.Thread | None = None
        self._loaded: Loaded | None = None

    def __call__(self) -> Loaded | None:
        """The register, as it was when the reading began; None until it is there: ask again. For one thread."""
        if self._reading is None:
            self._reading = threading.Thread(target=self._read, name="register", daemon=True)
            self._reading.start()
            self._reading.join(INLINE_S)
        if self._reading.is_alive():
            return None
        self._reading = None
        loaded, self._loaded = self._loaded, None
        return loaded

    def _read(self) -> None:
        try:
            version, register = self._load()
        except StoreError as error:
            _log.warning("register.unread", reason=str(error))
            return
        self._loaded = (version, register.indexed())
