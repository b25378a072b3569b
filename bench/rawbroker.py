"""A socket that answers one MQTT client as a broker must, and hears its PUBLISH with nothing in between.

Only for benchmarks: no routing, no session, no retained message; whatever is published to it is given to the bench.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Self

from bench.rawmqtt import CONNECT, PINGREQ, PUBLISH, SUBSCRIBE, publish_packet, split_packets

_TIMEOUT_S = 30.0


class RawBroker:
    """Listens on a free port of 127.0.0.1 (``port``) for one client; ``feed`` serves it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TIMEOUT_S)
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        self._listener.close()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a QoS 1 PUBLISH; its PUBACK is not waited for."""
        self._connected().sendall(publish_packet(topic, payload, 1))

    def feed(self, timeout_s: float, on_message: Callable[[bytes, bytes], None]) -> bool:
        """Serve what arrives within ``timeout_s``; False if nothing did."""
        client = self._connected()
        client.settimeout(max(timeout_s, 0.0001))
        try:
            data = client.recv(1 << 16)
        except TimeoutError:
            return False
        if not data:
            raise ConnectionError("the client closed the connection")
        self._buffer += data
        for kind, flags, body in split_packets(self._buffer):
            match kind:
                case _ if kind == CONNECT:
                    client.sendall(b"\x20\x02\x00\x00")
                case _ if kind == SUBSCRIBE:
                    granted = _asked(body)
                    client.sendall(bytes([0x90, 2 + len(granted)]) + body[:2] + granted)
                case _ if kind == PINGREQ:
                    client.sendall(b"\xd0\x00")
                case _ if kind == PUBLISH:
                    size = int.from_bytes(body[:2], "big")
                    start = 2 + size
                    on_message(body[2:start], body[start + 2 :] if flags & 0x06 else body[start:])
                    if flags & 0x06:
                        client.sendall(b"\x40\x02" + body[start : start + 2])
        return True

    def _connected(self) -> socket.socket:
        if self._client is None:
            self._client, _ = self._listener.accept()
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._client


def _asked(body: bytes) -> bytes:
    """The QoS of each filter of a SUBSCRIBE."""
    asked, at = bytearray(), 2
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2], "big") + 1
        asked.append(body[at - 1])
    return bytes(asked)
