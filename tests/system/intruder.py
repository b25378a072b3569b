"""Somebody at a broker's TLS port: with any certificate or none, and packets made by hand."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.system.processes import WITHIN_S
from tests.system.stranger import CONNACK, PUBACK, packet, sized

HOST = "127.0.0.1"
SUBACK, PINGRESP, PUBLISH = 0x90, 0xD0, 0x30
REFUSED = 0x80


@dataclass(frozen=True, slots=True)
class Papers:
    """What somebody shows: a chain with its key, or nothing; and whom they trust."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, folder: Path) -> Papers:
        """What ``doorbell-relay authority issue`` has written."""
        return cls(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")

    def context(self) -> ssl.SSLContext:
        """For a client; as weak as somebody may be who wants to get in."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


class Intruder:
    """A connection to the TLS port. ``OSError`` (``EOFError`` for a plain end) wherever the broker cuts it."""

    def __init__(self, port: int, context: ssl.SSLContext | None, host: str = HOST) -> None:
        self._raw = socket.create_connection((host, port), timeout=WITHIN_S)
        self._mid = 0
        self._heard: list[tuple[str, bytes]] = []
        try:
            self.sock = context.wrap_socket(self._raw, server_hostname=host) if context is not None else self._raw
        except OSError:
            self._raw.close()
            raise
        self._reader = self.sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._reader.close()
        self.sock.close()

    def connect(
        self, client_id: str, *, user: str | None = None, will: str | None = None, clean: bool = True, level: int = 4
    ) -> int:
        """The CONNACK's return code."""
        self.sock.sendall(connect_packet(client_id, user=user, will=will, clean=clean, level=level))
        kind, body = self.read()
        assert kind == CONNACK, kind
        return body[1]

    def say(self, topic: str | bytes, payload: bytes = b"intruder", *, retain: bool = False) -> bool:
        """Publish with QoS 1; whether it was acknowledged, which is not yet being heard."""
        self._mid += 1
        self.sock.sendall(publish_packet(topic, payload, self._mid, retain=retain))
        try:
            return self._await(PUBACK) is not None
        except (OSError, EOFError):
            return False

    def listen(self, topic: str) -> int:
        """Subscribe with QoS 1; what was granted, ``REFUSED`` if nothing or if the broker cuts the connection."""
        self._mid += 1
        self.sock.sendall(packet(0x82, self._mid.to_bytes(2, "big") + sized(topic.encode()) + b"\x01"))
        try:
            return self._await(SUBACK)[2]
        except (OSError, EOFError):
            return REFUSED

    def heard(self) -> list[tuple[str, bytes]]:
        """Everything that was delivered until now."""
        with suppress(OSError, EOFError):
            self.sock.sendall(b"\xc0\x00")
            self._await(PINGRESP)
        return self._heard

    def send(self, raw: bytes) -> None:
        """Bytes as they are; nothing is raised if nobody takes them."""
        with suppress(OSError):
            self.sock.sendall(raw)

    def await_cut(self) -> None:
        """Until the broker ends the connection."""
        with suppress(OSError):
            while self.sock.recv(4096):
                pass

    def vanish(self) -> None:
        """End the connection without a word."""
        self._raw.close()
        self.sock.shutdown(socket.SHUT_RDWR)

    def read(self) -> tuple[int, bytes]:
        """One packet."""
        head = self._reader.read(1)
        if not head:
            raise EOFError
        size = shift = 0
        while True:
            (digit,) = self._reader.read(1)
            size |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return head[0] & 0xF0, self._reader.read(size)

    def _await(self, wanted: int) -> bytes:
        while True:
            kind, body = self.read()
            if kind == PUBLISH:
                length = int.from_bytes(body[:2], "big")
                self._heard.append((body[2 : 2 + length].decode(), body[2 + length :]))
            elif kind == wanted:
                return body


def connect_packet(
    client_id: str, *, user: str | None = None, will: str | None = None, clean: bool = True, level: int = 4
) -> bytes:
    """A CONNECT; with ``user`` a password too, with ``will`` a retained one of QoS 1."""
    flags = (2 if clean else 0) | (0xC0 if user is not None else 0) | (0x2C if will is not None else 0)
    body = sized(b"MQTT") + bytes([level, flags]) + b"\x00\x3c" + sized(client_id.encode())
    if will is not None:
        body += sized(will.encode()) + sized(b"intruder")
    if user is not None:
        body += sized(user.encode()) + sized(b"password")
    return packet(0x10, body)


def publish_packet(topic: str | bytes, payload: bytes, mid: int, *, retain: bool = False) -> bytes:
    """A PUBLISH of QoS 1."""
    raw = topic.encode() if isinstance(topic, str) else topic
    return packet(0x33 if retain else 0x32, sized(raw) + mid.to_bytes(2, "big") + payload)
