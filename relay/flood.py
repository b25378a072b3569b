"""How many events of one device are taken in: brokers have no such limit, and one device must not hold up the others.

Presses for help have a limit of their own, so that nothing else that is said in a device's name can hold one up. What
is over the limit is acknowledged to the broker and forgotten. Nothing is lost by it: a device that keeps the contract
sends an event again until it has the relay's receipt, and never has more than 16 on their way. Births and wills have
the same limit: each may be a line of the journal. Of those over it the newest is taken a little later.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from doorbell.link import Delivery

BURST = 256
"""Events of a device at once: sixteen times what one may have on its way, for copies that the broker has kept."""
PER_S = 16.0
"""And then a second. A week's outbox is through in minutes; of a device that is out of its mind 1.4 million a day are
kept, and not four hundred."""
_log = structlog.get_logger("relay")


@dataclass(frozen=True, slots=True)
class Flood:
    """What is over its device's limit, to be acknowledged to the broker and forgotten: an event has no receipt."""

    deliveries: tuple[Delivery, ...]


class FloodGate:
    """Two buckets of ``burst`` tokens for each device, filled at ``per_s``. Times are monotonic seconds."""

    def __init__(self, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst = burst
        self._per_s = per_s
        self._buckets: dict[tuple[str, bool], _Bucket] = {}
        self._swept_s = 0.0

    def lets_in(self, topic: str, now_s: float, *, press: bool = False) -> bool:
        """Take a token of whoever speaks there, if there is one. What is refused is logged once, until it is calm.

        ``press``: it may be one for help.
        """
        bucket = self._buckets.get((topic, press))
        if bucket is None:
            self._forget(now_s)
            bucket = self._buckets[topic, press] = _Bucket(self._burst, now_s)
        bucket.tokens = min(self._burst, bucket.tokens + max(0.0, now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            bucket.told = bucket.told and bucket.tokens < self._burst - 1
            return True
        if not bucket.told:
            bucket.told = True
            _log.warning("device.floods", topic=topic, burst=self._burst, per_s=self._per_s)
        return False

    def _forget(self, now_s: float) -> None:
        """Forget whoever has been quiet until the bucket was full again; looked at no more often than that takes, so
        that a burst of a whole city costs each press nothing."""
        full_after_s = self._burst / self._per_s
        if now_s - self._swept_s > full_after_s:
            self._swept_s = now_s
            self._buckets = {one: kept for one, kept in self._buckets.items() if now_s - kept.at_s < full_after_s}


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float
    told: bool = False
