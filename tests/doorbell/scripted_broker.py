"""A broker that says exactly what the test tells it, packet by packet (MQTT 3.1.1), to see every byte of the link."""

import socket
import struct
from contextlib import closing
from types import TracebackType
from typing import Self

from doorbell.settings import MqttSettings
from tests.system.link_probe import WITHIN_S

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14


class Peer:
    """The broker's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(WITHIN_S)
        self.sock = sock

    def read(self) -> tuple[int, bytes]:
        """The next packet: its type and everything after the fixed header; ``(0, b"")`` at the end."""
        head = self.sock.recv(1)
        if not head:
            return 0, b""
        length, shift = 0, 0
        while True:
            byte = self.sock.recv(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        body = b""
        while len(body) < length:
            body += self.sock.recv(length - len(body))
        return head[0] >> 4, body

    def expect(self, kind: int) -> bytes:
        """The next packet must be of this type."""
        got, body = self.read()
        assert got == kind, f"packet type {got} instead of {kind}: {body!r}"
        return body

    def connack(self, code: int = 0) -> None:
        self.expect(CONNECT)
        self.sock.sendall(bytes([CONNACK << 4, 2, 0, code]))

    def suback(self, *codes: int) -> None:
        mid = self.expect(SUBSCRIBE)[:2]
        self.sock.sendall(bytes([SUBACK << 4, 2 + len(codes)]) + mid + bytes(codes))

    def publish(self, topic: bytes, payload: bytes, mid: int, *, retain: bool = False) -> None:
        body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", mid) + payload
        self.sock.sendall(bytes([PUBLISH << 4 | 2 | retain, len(body)]) + body)

    def expect_publish(self) -> tuple[str, bytes, int]:
        """Topic, payload and message id of the next packet, a PUBLISH of QoS 1."""
        body = self.expect(PUBLISH)
        size = int.from_bytes(body[:2], "big")
        return body[2 : 2 + size].decode(), body[4 + size :], int.from_bytes(body[2 + size : 4 + size], "big")

    def puback(self, mid: int) -> None:
        self.sock.sendall(bytes([PUBACK << 4, 2]) + mid.to_bytes(2, "big"))


class ScriptedBroker:
    """Listens on a free port of loopback; ``accept`` gives the next connection."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(WITHIN_S)
        self._peers: list[Peer] = []
        self.settings = MqttSettings(port=self._server.getsockname()[1], backoff_min_s=0.01, backoff_max_s=0.02)

    def accept(self) -> Peer:
        peer = Peer(self._server.accept()[0])
        self._peers.append(peer)
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self._server):
            for peer in self._peers:
                peer.sock.close()
