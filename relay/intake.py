"""What the link brought in: parsed, or refused with a reason and remembered, so that repeats fill no table."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from doorbell.errors import PeerError
from doorbell.ids import SLUG_PATTERN
from doorbell.link import Delivery
from doorbell.values import value
from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    Address,
    Channel,
    Desired,
    Event,
    Presence,
    Reported,
    Topics,
    decode,
    decode_presence,
)
from relay.ports import RejectedRow

WAITED_S = 1.0
"""What has waited here for less is as old as it says."""
REMEMBERED = 4_096
"""Rejected messages recognised when they come again; a device that nobody registered sends the same for ever."""
_ID = re.compile(SLUG_PATTERN)
LOGGED_A_MINUTE = 20
"""Rejected messages logged one by one; a flood of rubbish must not bury in the log what it could not stop."""
_MINUTE_MS = 60_000


@value(frozen=True, slots=True)
class Heard:
    """A delivery that parsed."""

    delivery: Delivery
    address: Address
    message: Event | Reported | Presence | Desired


@dataclass(frozen=True, slots=True)
class Unusable:
    """A delivery that did not."""

    delivery: Delivery
    reason: str
    detail: str
    community: str | None
    """Which its topic names; None if that is no topic of ours."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the inbox had to do because the relay does not keep up: reports still wait, or were not queued at all.

    ``superseded`` reports were overtaken by a newer one of the same device; ``shed`` ones are heartbeats that said
    nothing new, each still a sign of life. Both are to be acknowledged to the broker.
    """

    superseded: tuple[Delivery, ...] = ()
    shed: tuple[Delivery, ...] = ()
    waiting: int = 0


def read_delivery(topics: Topics, delivery: Delivery, now_s: float = 0.0) -> Heard | Unusable:
    """Parse a delivery; whatever is wrong with it is the sender's fault and becomes a reason, never an exception.

    ``now_s``: by the clock of ``Delivery.arrived_s``. An event that has waited in here, because the database refused,
    is older by that than its device could say: an acceptance of an hour ago would else promise who does not come.
    """
    community: str | None = None
    try:
        address = topics.parse(delivery.topic)
        community = address.community
        match address.channel:
            case Channel.EVENT:
                heard = Heard(delivery, address, decode(Event, delivery.payload))
                waited_s = now_s - delivery.arrived_s if delivery.arrived_s else 0.0
                return heard if waited_s < WAITED_S else grown_older(heard, round(waited_s * 1000))
            case Channel.REPORTED:
                return Heard(delivery, address, decode(Reported, delivery.payload))
            case Channel.ONLINE:
                return Heard(delivery, address, decode_presence(delivery.payload))
            case Channel.DESIRED:
                return Heard(delivery, address, decode(Desired, delivery.payload))
            case _:
                return Unusable(delivery, "not_for_relay", address.channel.value, community)
    except PeerError as error:
        return Unusable(delivery, error.reason, error.detail, community)


def grown_older(heard: Heard, by_ms: int) -> Heard:
    """The same, so much later; only events have an age."""
    event = heard.message
    if not isinstance(event, Event):
        return heard
    return replace(heard, message=event.model_copy(update={"age_ms": event.age_ms + by_ms}))


def latest_copies(read: Sequence[Any]) -> list[Any]:
    """The same, but the first of several copies of one event is replaced by the one that was sent last.

    What waited in a broker's queue while the relay was away counts that wait nowhere. A device whose clock is not
    synchronised can be dated by the age it tells alone, and of all copies the last tells it best: to within a pause of
    its outbox (36 s) instead of the whole absence, after which an old acceptance would pass for a fresh one.
    """
    last: dict[str, Heard] = {}
    events = [item for item in read if isinstance(item, Heard) and isinstance(item.message, Event)]
    if len({item.message.id for item in events}) == len(events):  # type: ignore[union-attr]  # all are Events
        return list(read)
    for item in events:
        if isinstance(item.message, Event):
            known = last.get(item.message.id)
            if known is None or item.message.age_ms >= known.message.age_ms:  # type: ignore[union-attr]  # an Event
                last[item.message.id] = item
    return [_dated(item, last) for item in read]


def _dated(item: Any, last: Mapping[str, Heard]) -> Any:
    if not isinstance(item, Heard) or not isinstance(item.message, Event):
        return item
    newest = last[item.message.id]
    return item if newest.address != item.address else replace(item, message=newest.message)


class RejectMemory:
    """Recognises a rejected message that comes again, by topic, reason and (for events) id or payload."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def row(self, delivery: Delivery, reason: str, detail: str, key: bytes, at: datetime) -> RejectedRow | None:
        """The row to keep for a technician, or None if the same was kept before."""
        topic = delivery.topic.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(b"\x00".join((topic, reason.encode(), key)), digest_size=16).digest()
        if digest in self._seen:
            self._seen.move_to_end(digest)
            return None
        self._seen[digest] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return RejectedRow(at, delivery.topic[:1000], delivery.payload[:MAX_PAYLOAD_BYTES], reason, detail[:500])


def ids_of(topic: str) -> str:
    """A topic for the log: every level that is no id or channel of ours becomes ``?``, for it may be anybody's name."""
    return "/".join(level if _ID.match(level) else "?" for level in topic[:200].split("/"))


class RejectLog:
    """Tells whoever reads the log what was rejected: the first of a minute one by one, the rest by their number.

    What the sender wrote is not in the log, which may travel; ``doorbell-relay rejected list`` shows it.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._fresh = self._count = self._lines = 0
        self._ends_ms: int | None = None

    def count(self) -> None:
        """A message was rejected, for the first time or again; ``tell`` follows in the same turn."""
        self._fresh += 1

    def tell(self, rows: Sequence[RejectedRow], mono_ms: int) -> None:
        """Once a turn: log those that were rejected for the first time, and the number of a minute that is over."""
        if self._ends_ms is not None and mono_ms >= self._ends_ms:
            if self._count > self._lines:
                self._log.warning("messages.rejected", count=self._count, unlogged=self._count - self._lines)
            self._count = self._lines = 0
            self._ends_ms = None
        self._count, self._fresh = self._count + self._fresh, 0
        for row in rows[: LOGGED_A_MINUTE - self._lines]:
            self._lines += 1
            self._log.warning("message.rejected", reason=row.reason, topic=ids_of(row.topic))
        if self._count and self._ends_ms is None:
            self._ends_ms = mono_ms + _MINUTE_MS
