"""The two packets of which the traffic consists, PUBLISH and PUBACK, read and written without paho.

paho needs some 30 µs for each packet: three calls to read it; a lock, a condition and an object of its own for every
message. With one press read and two states published that was half of what a press cost the relay. So these two are
taken out of the stream here, with QoS 0 and 1. Whatever else comes, and whatever cannot be read, is paho's, which ends
the connection where it must. The bytes are those of MQTT 3.1.1, sections 2.2, 3.3 and 3.4.
"""

from __future__ import annotations

from collections import deque

from doorbell.wire import MAX_PAYLOAD_BYTES

PUBLISH, PUBACK = 0x30, 0x40
FIRST_MID, LAST_MID = 1_000, 65_535
"""Message ids of what is published here. Those below are paho's: a SUBSCRIBE, and the few words of presence."""

Arrived = tuple[str, bytes, int, int, bool]
"""Topic, payload, message id (0 with QoS 0), QoS and whether the broker had kept it."""


class PacketSorter:
    """Takes a stream apart: ours into ``arrived`` and ``acknowledged``, the rest is returned. For one thread."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.acknowledged: list[int] = []
        self._begun = bytearray()
        self._missing = 0
        """Of the packet that has begun, at least so many bytes have not come."""

    def sort(self, data: bytes) -> bytes:
        """Sort what has come; returns paho's part: whole packets, and everything that is none."""
        if self._begun:
            self._begun += data
            self._missing -= len(data)
            if self._missing > 0:
                return b""
            data = bytes(self._begun)
            self._begun.clear()
        size, start, others = len(data), 0, []
        while start < size:
            body, end = _bounds(data, start, size)
            if end > size:
                self._begun += data[start:]
                self._missing = end - size
                break
            if not self._is_ours(data, start, body, end):
                others.append(data[start:end])
            start = end
        return b"".join(others)

    def _is_ours(self, data: bytes, start: int, body: int, end: int) -> bool:
        head = data[start]
        if head & 0xF0 == PUBLISH and end - body > 2:
            qos = head >> 1 & 3
            topic_end = body + 2 + (data[body] << 8 | data[body + 1])
            payload = topic_end + 2 if qos else topic_end
            if qos > 1 or payload > end or topic_end == body + 2:
                return False
            mid = data[topic_end] << 8 | data[topic_end + 1] if qos else 0
            topic = data[body + 2 : topic_end].decode("utf-8", "backslashreplace")
            # A byte more than allowed is enough to be refused for; the queue must not hold a stranger's megabytes.
            kept = data[payload : min(end, payload + MAX_PAYLOAD_BYTES + 1)]
            self.arrived.append((topic, kept, mid, qos, bool(head & 1)))
            return True
        if head == PUBACK and end - body == 2 and (mid := data[body] << 8 | data[body + 1]) >= FIRST_MID:
            self.acknowledged.append(mid)
            return True
        return False


def _bounds(data: bytes, start: int, size: int) -> tuple[int, int]:
    """Where the body of a packet begins and where it ends; an end beyond ``size`` says how much must come at least.

    A length of more than four bytes is none: then everything is one packet, for paho to refuse.
    """
    length = shift = 0
    for at in range(start + 1, start + 5):
        if at >= size:
            return at, size + 1
        byte = data[at]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at + 1, at + 1 + length
        shift += 7
    return start + 5, size


class Outbox:
    """What is published and acknowledged, as bytes that wait for the link's thread, and what the broker still owes.

    ``publish`` and ``ack`` are for the program's main thread, the rest for the link's.
    """

    def __init__(self, max_unacked: int) -> None:
        self.waiting: deque[bytes] = deque()
        self._max_unacked = max_unacked
        self._unacked: set[int] = set()
        self._mid = FIRST_MID - 1

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> bool:
        """Queue a PUBLISH; False if ``max_unacked`` of QoS 1 are on their way."""
        name = topic.encode()
        if not qos:
            mid = b""
        elif len(self._unacked) >= self._max_unacked:
            return False
        else:
            mid = self._next_mid().to_bytes(2, "big")
        length = _length(2 + len(name) + len(mid) + len(payload))
        head = PUBLISH | qos << 1 | retain
        self.waiting.append(b"%c%b%b%b%b%b" % (head, length, len(name).to_bytes(2, "big"), name, mid, payload))
        return True

    def ack(self, mid: int) -> None:
        """Queue a PUBACK."""
        self.waiting.append(b"\x40\x02%b" % mid.to_bytes(2, "big"))

    def unacked(self) -> list[int]:
        """What the broker has not acknowledged."""
        return sorted(self._unacked)

    def settled(self, mids: list[int]) -> None:
        """The broker has acknowledged these."""
        self._unacked.difference_update(mids)

    def _next_mid(self) -> int:
        mid = self._mid
        while True:
            mid = mid + 1 if mid < LAST_MID else FIRST_MID
            if mid not in self._unacked:
                self._mid = mid
                self._unacked.add(mid)
                return mid


def _length(size: int) -> bytes:
    """The remaining length of a packet: seven bits a byte, the lowest first."""
    out = bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)
