"""What the link brought in: parsed, or refused with a reason and remembered, so that repeats fill no table."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from doorbell.errors import PeerError
from doorbell.link import Delivery
from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    Address,
    Channel,
    Event,
    Presence,
    Reported,
    Topics,
    decode,
    decode_presence,
)
from relay.ports import RejectedRow

REMEMBERED = 4_096
"""Rejected messages recognised when they come again; a device that nobody registered sends the same for ever."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A delivery that parsed."""

    delivery: Delivery
    address: Address
    message: Event | Reported | Presence


@dataclass(frozen=True, slots=True)
class Unusable:
    """A delivery that did not."""

    delivery: Delivery
    reason: str
    detail: str


def read_delivery(topics: Topics, delivery: Delivery) -> Heard | Unusable:
    """Parse a delivery; whatever is wrong with it is the sender's fault and becomes a reason, never an exception."""
    try:
        address = topics.parse(delivery.topic)
        match address.channel:
            case Channel.EVENT:
                return Heard(delivery, address, decode(Event, delivery.payload))
            case Channel.REPORTED:
                return Heard(delivery, address, decode(Reported, delivery.payload))
            case Channel.ONLINE:
                return Heard(delivery, address, decode_presence(delivery.payload))
            case _:
                return Unusable(delivery, "not_for_relay", address.channel.value)
    except PeerError as error:
        return Unusable(delivery, error.reason, error.detail)


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
