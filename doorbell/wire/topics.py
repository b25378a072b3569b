"""Topics of the wire contract: built and parsed here and nowhere else.

``{prefix}/{community}/{device}/event|reported|online|desired`` and ``{prefix}/{community}/{device}/peer/{other}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from doorbell.errors import PeerError, SetupError
from doorbell.ids import SLUG_PATTERN
from doorbell.values import value

DEFAULT_PREFIX = "doorbell/v1"
_SLUG = re.compile(SLUG_PATTERN)
_PREFIX = re.compile(r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\Z")


class Channel(StrEnum):
    """What a topic carries."""

    EVENT = "event"
    REPORTED = "reported"
    ONLINE = "online"
    DESIRED = "desired"
    PEER = "peer"


@value(frozen=True, slots=True)
class Address:
    """A parsed topic: who writes (or, for ``desired``, who reads), and for ``peer`` to whom."""

    community: str
    device: str
    channel: Channel
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics under one prefix (default ``doorbell/v1``). A wrong prefix is a ``SetupError``."""

    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        if len(self.prefix) > 100 or not _PREFIX.match(self.prefix):
            raise SetupError(
                f"topic prefix {self.prefix!r}: use letters, digits, '-', '_' and single '/' between them, at most 100"
            )

    def of(self, community: str, device: str, channel: Channel) -> str:
        """The topic of one channel of one device."""
        return f"{self.prefix}/{community}/{device}/{channel}"

    def peer(self, community: str, device: str, other: str) -> str:
        """The topic on which ``device`` speaks to ``other`` directly."""
        return f"{self.prefix}/{community}/{device}/peer/{other}"

    def all_of(self, community: str, channel: Channel) -> str:
        """The subscription filter of a relay for one channel of every device of a community."""
        return f"{self.prefix}/{community}/+/{channel}"

    def peers_of(self, community: str, other: str) -> str:
        """The subscription filter of device ``other`` for what its peers say to it."""
        return f"{self.prefix}/{community}/+/peer/{other}"

    def parse(self, topic: str) -> Address:
        """The address of a topic that arrived; a ``PeerError('bad_topic')`` if it is none of ours."""
        head, sep, tail = topic[: len(self.prefix)], topic[len(self.prefix) :][:1], topic[len(self.prefix) + 1 :]
        parts = tail.split("/")
        if head != self.prefix or sep != "/" or len(parts) not in (3, 4):
            raise PeerError("bad_topic", topic[:200])
        community, device, channel = parts[0], parts[1], parts[2]
        if not _SLUG.match(community) or not _SLUG.match(device) or channel not in _CHANNELS:
            raise PeerError("bad_topic", topic[:200])
        other = parts[3] if len(parts) == 4 else None
        if (channel == "peer") != (other is not None) or (other is not None and not _SLUG.match(other)):
            raise PeerError("bad_topic", topic[:200])
        return Address(community, device, _CHANNELS[channel], other)


_CHANNELS = {channel.value: channel for channel in Channel}
