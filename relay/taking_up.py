"""A running relay takes its renewed certificate up by itself: it connects again with it, in an idle moment.

The link reads its files at every connect, so a new certificate would be used by the next one anyway. But that may be
months away, and whether the new one is good must be seen while the old one still is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from doorbell.broker_order import Need
from relay.looker import Looker

LOOK_S = 10.0
PATIENCE_S = 86_400.0
"""A town that is never idle for a day: a gap of some milliseconds is better than a certificate nobody has tried."""
REASON = "our certificate was renewed"


class Renewable(Protocol):
    """The part of a link that is needed."""

    def shows_outdated(self) -> bool:
        """Whether our certificate was renewed since this connection was made."""
        ...

    def reconnect(self, reason: str) -> None:
        """Leave in good order and connect again."""
        ...


class TakeUp(Looker):
    """Looks every ``LOOK_S``, on a thread that may read files.

    ``need``: what the connection is needed for. ``waiting``: inputs that wait for the relay's loop, by lane.
    """

    def __init__(
        self,
        link: Renewable,
        need: Callable[[], Need],
        waiting: Callable[[], Mapping[str, int]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("take-up")
        self._link = link
        self._need = need
        self._waiting = waiting
        self._monotonic = monotonic
        self._since_s: float | None = None

    def look(self) -> float:
        """See ``Looker``."""
        if not self._link.shows_outdated():
            self._since_s = None
            return LOOK_S
        now_s = self._monotonic()
        if self._since_s is None:
            self._since_s = now_s
        idle = self._need() is Need.NONE and not any(self._waiting().values())
        if idle or now_s - self._since_s >= PATIENCE_S:
            structlog.get_logger("relay.certificates").info("certificate.taken_up", idle=idle)
            self._link.reconnect(REASON)
        return LOOK_S

    def crashed(self) -> float:
        """See ``Looker``."""
        structlog.get_logger("relay.certificates").error("certificate.take_up_crashed", exc_info=True)
        return LOOK_S
