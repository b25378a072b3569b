"""A broker's side of a conversation as a bad broker would hold it: each message twice, or one overtaken by the next.

Messages of one topic keep their order: that much MQTT demands of everything that calls itself a broker.

``Lies`` belongs to a line (``tests.system.lines``), and remembers what went over it: what was said once can be said
again by a stranger.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

_PUBLISH = 3
HELD_S = 0.4
"""A message that no other one follows is not held for longer."""


class Lie(Enum):
    """How a broker lies about what it has been told."""

    NONE = "none"
    TWICE = "twice"
    SWAPPED = "swapped"


@dataclass(slots=True)
class Lies:
    """What is done to the messages of all connections of a line, from now on; and all messages that it has seen."""

    lie: Lie = Lie.NONE
    told: int = 0
    """Messages said twice, or late."""
    history: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=4_000))
    """Topic and payload, oldest first."""


class Gossip:
    """One connection's stream of packets from the broker; ``pass_on`` in any pieces."""

    def __init__(self, lies: Lies) -> None:
        self._lies = lies
        self._rest = b""
        self._held = b""

    @property
    def holds(self) -> bool:
        """Whether a message waits for another to overtake it."""
        return bool(self._held)

    def pass_on(self, data: bytes) -> bytes:
        """What the other side gets to hear for it."""
        self._rest += data
        said = bytearray()
        while (size := _size(self._rest)) is not None and size <= len(self._rest):
            packet, self._rest = self._rest[:size], self._rest[size:]
            said += self._tell(packet)
        return bytes(said)

    def release(self) -> bytes:
        """The message that waits."""
        held, self._held = self._held, b""
        return held

    def _tell(self, packet: bytes) -> bytes:
        if packet[0] >> 4 != _PUBLISH:
            return packet
        self._lies.history.append(_message(packet))
        match self._lies.lie:
            case Lie.TWICE:
                self._lies.told += 1
                return packet + packet
            case Lie.SWAPPED if not self._held:
                self._held = packet
                return b""
            case _ if self._held and _message(packet)[0] == _message(self._held)[0]:
                return self.release() + packet
            case _ if self._held:
                self._lies.told += 1
                return packet + self.release()
            case _:
                return packet


def _size(data: bytes) -> int | None:
    """Of the packet at the beginning, its head included; None while that is not all there."""
    size = 0
    for place in range(1, min(len(data), 5)):
        size |= (data[place] & 0x7F) << 7 * (place - 1)
        if not data[place] & 0x80:
            return place + 1 + size
    return None


def _message(packet: bytes) -> tuple[str, bytes]:
    head = next(place for place in range(1, 5) if not packet[place] & 0x80) + 1
    size = int.from_bytes(packet[head : head + 2], "big")
    topic = packet[head + 2 : head + 2 + size].decode()
    return topic, packet[head + 2 + size + (2 if packet[0] & 0x06 else 0) :]
