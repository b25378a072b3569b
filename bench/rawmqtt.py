"""The smallest MQTT 3.1.1 client that can load a broker from one core: packets made by hand, no threads of its own.

Only for benchmarks: a load generator in paho would itself be what is measured. QoS 1 out (the PUBACKs are counted),
QoS 0 in.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ = 1, 2, 3, 4, 8, 9, 12


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def _ignore(_topic: bytes, _payload: bytes) -> None:
    return


def publish_packet(topic: str, payload: bytes, mid: int, *, retain: bool = False) -> bytes:
    """A QoS 1 PUBLISH."""
    body = _text(topic) + mid.to_bytes(2, "big") + payload
    return bytes([0x32 | retain]) + _length(len(body)) + body


def split_packets(buffer: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Take whole packets out of what has arrived: (kind, flags, body)."""
    start = 0
    while True:
        size = shift = 0
        at = start + 1
        while at < len(buffer):
            byte = buffer[at]
            size |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if not byte & 0x80:
                break
        else:
            break
        if at + size > len(buffer) or at == start + 1:
            break
        yield buffer[start] >> 4, buffer[start] & 0x0F, bytes(buffer[at : at + size])
        start = at + size
    del buffer[:start]


class RawClient:
    """A connected client; ``feed`` reads what has arrived, ``send`` writes what was packed."""

    def __init__(self, port: int, client_id: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pubacks = 0
        self._buffer = bytearray()
        body = _text("MQTT") + bytes([4, 2]) + (0).to_bytes(2, "big") + _text(client_id)
        self.sock.sendall(bytes([0x10]) + _length(len(body)) + body)
        self._until(CONNACK)

    def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 0 and wait for the SUBACK."""
        body = (1).to_bytes(2, "big") + _text(topic) + b"\x00"
        self.sock.sendall(bytes([0x82]) + _length(len(body)) + body)
        self._until(SUBACK)

    def send(self, packets: bytes) -> None:
        """Write packed packets."""
        self.sock.sendall(packets)

    def feed(self, timeout_s: float, on_message: Callable[[bytes, bytes], None]) -> bool:
        """Read once, for at most ``timeout_s``, and give every PUBLISH to ``on_message(topic, payload)``.

        False if nothing came.
        """
        self.sock.settimeout(max(timeout_s, 0.0001))
        try:
            data = self.sock.recv(1 << 18)
        except TimeoutError:
            return False
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._buffer += data
        for kind, flags, body in split_packets(self._buffer):
            if kind == PUBACK:
                self.pubacks += 1
            elif kind == PUBLISH:
                size = int.from_bytes(body[:2], "big")
                start = 2 + size + (2 if flags & 0x06 else 0)
                on_message(body[2 : 2 + size], body[start:])
        return True

    def drain(self, quiet_s: float = 0.3) -> None:
        """Read and throw away until nothing has come for ``quiet_s``."""
        last = time.perf_counter()
        while time.perf_counter() - last < quiet_s:
            if self.feed(0.05, _ignore):
                last = time.perf_counter()

    def close(self) -> None:
        """Disconnect."""
        self.sock.sendall(b"\xe0\x00")
        self.sock.close()

    def _until(self, wanted: int) -> None:
        self.sock.settimeout(10)
        while True:
            self._buffer += self.sock.recv(65536)
            for kind, _flags, body in split_packets(self._buffer):
                if kind == wanted:
                    if kind == CONNACK and body[1]:
                        raise ConnectionError(f"connection refused: {body[1]}")
                    return
