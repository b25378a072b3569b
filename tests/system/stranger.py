"""Somebody at the broker who keeps to no contract: packets made by hand, for what a decent client would not send."""

import socket
import uuid
from collections.abc import Iterable
from typing import Self

from tests.system.processes import WITHIN_S

CONNACK, PUBACK = 0x20, 0x40
BATCH = 500
"""Packets sent before their acknowledgements are read: well under what a broker lets one client have in flight."""


class Stranger:
    """An MQTT 3.1.1 client of a port on loopback, ``with`` a clean session. Publishes with QoS 1 only.

    Each has an id of its own: the embedded broker lets one id return only after a second when it comes too often.
    """

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._sock.makefile("rb")
        self._mid = 0
        name = f"stranger-{uuid.uuid4()}".encode()
        self._sock.sendall(packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + sized(name)))
        assert self._read() == (CONNACK, b"\x00\x00")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._reader.close()
        self._sock.close()

    def say(self, topic: str | bytes, payload: bytes, *, retain: bool = False) -> bool:
        """Publish; True when the broker has it, False if the broker cut the connection for it."""
        return self.say_all([(topic, payload)], retain=retain) == 1

    def say_all(self, messages: Iterable[tuple[str | bytes, bytes]], *, retain: bool = False) -> int:
        """Publish all; how many the broker has acknowledged before it cut the connection, if it did."""
        waiting = [
            packet(0x33 if retain else 0x32, sized(_raw(topic)) + self._next_mid() + payload)
            for topic, payload in messages
        ]
        acknowledged = 0
        try:
            for start in range(0, len(waiting), BATCH):
                batch = waiting[start : start + BATCH]
                self._sock.sendall(b"".join(batch))
                for _ in batch:
                    assert self._read()[0] == PUBACK
                    acknowledged += 1
        except (ConnectionError, EOFError):
            pass
        return acknowledged

    def _next_mid(self) -> bytes:
        self._mid = self._mid % 65_535 + 1
        return self._mid.to_bytes(2, "big")

    def _read(self) -> tuple[int, bytes]:
        """One packet, all of which are small here."""
        head = self._reader.read(2)
        if len(head) < 2:
            raise EOFError
        return head[0] & 0xF0, self._reader.read(head[1])


def _raw(topic: str | bytes) -> bytes:
    return topic.encode() if isinstance(topic, str) else topic


def sized(raw: bytes) -> bytes:
    """A string of MQTT: its length before it."""
    return len(raw).to_bytes(2, "big") + raw


def packet(kind: int, body: bytes) -> bytes:
    """A packet with its fixed header."""
    size, head = len(body), bytearray([kind])
    while True:
        size, digit = divmod(size, 128)
        head.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(head) + body
