"""Which broker the link tries or uses: the shell of ``doorbell.broker_order`` with clock, chance, questions and log.

Used on the link's thread only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import structlog

from doorbell.broker_order import (
    Asked,
    CameUp,
    Ended,
    Need,
    OrderEvent,
    OrderLimits,
    Refused,
    advance_order,
    new_order,
    try_within_s,
)
from doorbell.clock_doubt import ClockDoubt
from doorbell.connection import HANDSHAKE_MAX_S
from doorbell.dial import Knock
from doorbell.logs import LogOnce
from doorbell.settings import MqttSettings

URGENT_PAUSE_S = 3.0
"""The longest pause while something waits for its receipt: a press must not wait out a back-off."""

_log = structlog.get_logger("doorbell.mqtt")


class BrokerChoice:
    """``settings``: with its fallbacks. ``need``: asked before a return and in a pause, on the link's thread.
    ``doubt``, ``papers``: as the link's."""

    def __init__(
        self,
        settings: MqttSettings,
        need: Callable[[], Need],
        doubt: ClockDoubt | None,
        papers: Callable[[MqttSettings], MqttSettings],
    ) -> None:
        self.brokers = settings.brokers()
        self._need = need
        self._doubt = doubt
        self._papers = papers
        self._limits = OrderLimits(
            backoff_min_s=settings.backoff_min_s,
            backoff_max_s=settings.backoff_max_s,
            try_s=settings.connect_timeout_s,
            try_max_s=min(settings.keepalive_s, HANDSHAKE_MAX_S),
            return_s=settings.return_s,
            steady_s=settings.steady_s,
        )
        self._order = new_order(len(self.brokers), self._limits)
        self._random = random.Random()
        self._complaints = [LogOnce(_log) for _ in self.brokers]
        self._unanswered = LogOnce(_log)
        self._knock: Knock | None = None
        self._used: int | None = None
        self._ended_s = 0.0
        """When the last connection or try was over."""

    @property
    def current(self) -> MqttSettings:
        """The broker that is used, or tried next."""
        return self.brokers[self._order.current]

    def within_s(self) -> float | None:
        """How long the next try may take in all; None where there is no other broker to try."""
        return try_within_s(self._order, self._limits) if len(self.brokers) > 1 else None

    def pause_s(self) -> float:
        """Seconds until the next try; asked again and again in a pause, for a press may be made in it."""
        now_s, try_at_s = time.monotonic(), self._order.try_at_s
        if try_at_s > now_s and self._need() is Need.RECEIPT:
            try_at_s = min(try_at_s, self._ended_s + URGENT_PAUSE_S)
        return max(0.0, try_at_s - now_s)

    def refused(self, reason: str, *, tell: bool) -> None:
        """The try came to nothing. ``tell``: log it, once for each broker and reason."""
        if tell:
            broker = self.current
            complaint = self._complaints[self._order.current]
            complaint.warning("link.refused", reason=reason, host=broker.host, port=broker.port)
        self._advance(Refused())

    def came_up(self, generation: int) -> bool:
        """Connected and subscribed; True if it is another broker than the one before."""
        unlogged = sum(complaint.clear() for complaint in self._complaints)
        self._advance(CameUp())
        _log.info("link.up", generation=generation, broker=name_of(self.current), refusals_unlogged=unlogged)
        moved = self._used not in (None, self._order.current)
        self._used = self._order.current
        return moved

    def ended(self, *, silent: bool) -> None:
        """The connection is over, see ``broker_order.Ended``."""
        self._knock = None
        self._advance(Ended(silent=silent))

    def tend(self) -> str | None:
        """Ask the first broker when it is time; why to leave this one for it, or None to stay."""
        if self._knock is None:
            if self._order.ask_at_s is not None and time.monotonic() >= self._order.ask_at_s:
                self._knock = Knock(self._papers(self.brokers[0]), self._limits.try_s, self._doubt)
            return None
        if not self._knock.done():
            return None
        refusal, self._knock = self._knock.refusal, None
        first = name_of(self.brokers[0])
        if refusal is not None:
            self._unanswered.warning("link.first_does_not_answer", reason=refusal, broker=first)
            self._advance(Asked(answers=False))
            return None
        self._unanswered.clear()
        self._advance(Asked(answers=True, need=self._need()))
        return f"going back to the first broker: {first} answers again" if self._order.leaving else None

    def _advance(self, event: OrderEvent) -> None:
        now_s = time.monotonic()
        self._order = advance_order(self._order, event, now_s, self._random.random(), self._limits)
        if isinstance(event, Refused | Ended):
            self._ended_s = now_s


def name_of(broker: MqttSettings) -> str:
    """A broker in a line of the log."""
    return f"{broker.host}:{broker.port}"
