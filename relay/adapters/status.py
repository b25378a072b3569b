"""A very small HTTP listener for an operator's programs: GET of a few fixed pages, and nothing else.

It has threads of its own and shares no lock with the relay's loop. Whoever connects has ``REQUEST_S`` to ask and as
long to take the answer, ``MAX_CLIENTS`` may do so at a time, and more are turned away at once: a client that dribbles,
hangs or floods costs itself a page, and no press a millisecond of waiting. It speaks no TLS and asks for no password:
bound to another address than loopback it belongs behind a proxy that does.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import structlog

REQUEST_S = 5.0
"""For a request, and again for its answer; Prometheus itself gives up after 10 s by default."""
MAX_CLIENTS = 8
MAX_HEAD_BYTES = 8 * 1024
_END = b"\r\n\r\n"

_log = structlog.get_logger("relay.status")


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """A page."""

    status: HTTPStatus
    content_type: str
    body: bytes


Page = Callable[[str], StatusAnswer]
"""Makes a page; it is given the request's ``Accept`` header. Called on one of the listener's threads."""


class StatusListener:
    """Serves ``pages`` by path. ``port`` 0 takes a free one; ``address`` has what was taken.

    Raises ``OSError`` if the address cannot be listened at.
    """

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._room = threading.BoundedSemaphore(MAX_CLIENTS)
        self._closed = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=MAX_CLIENTS)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more; pages that are being written are left to themselves."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._socket.close()
        self._thread.join(timeout=1.0)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:  # closed; or no descriptor is left, which passes
                self._closed.wait(0.5)
                continue
            if not self._room.acquire(blocking=False):
                client.close()
                continue
            try:
                threading.Thread(target=self._serve, args=(client,), name="status-client", daemon=True).start()
            except RuntimeError:  # the machine has no thread left
                client.close()
                self._room.release()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, suppress(OSError):
                head = _read_head(client)
                if head is not None:
                    client.settimeout(REQUEST_S)  # of the whole answer, as sendall counts it
                    client.sendall(self._answer(head))
        finally:
            self._room.release()

    def _answer(self, head: bytes) -> bytes:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(_plain(HTTPStatus.BAD_REQUEST))
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _response(_plain(HTTPStatus.METHOD_NOT_ALLOWED), extra="Allow: GET, HEAD\r\n")
        page = self._pages.get(target.partition("?")[0])
        accept = next((line[7:].strip() for line in lines[1:] if line[:7].lower() == "accept:"), "")
        return _response(_plain(HTTPStatus.NOT_FOUND) if page is None else _make(page, accept), bare=method == "HEAD")


def _make(page: Page, accept: str) -> StatusAnswer:
    try:
        return page(accept)
    except Exception:  # noqa: BLE001 - a page that cannot be made is a bug of ours, and the relay must go on ringing
        _log.error("status.crashed", exc_info=True)
        return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _read_head(client: socket.socket) -> bytes | None:
    """The request's head; None if it does not come in time, whole and of a decent size. A body is not read."""
    until, head = time.monotonic() + REQUEST_S, b""
    while _END not in head:
        left_s = until - time.monotonic()
        if left_s <= 0 or len(head) > MAX_HEAD_BYTES:
            return None
        client.settimeout(left_s)
        part = client.recv(4096)
        if not part:
            return None
        head += part
    return head.partition(_END)[0]


def _plain(status: HTTPStatus) -> StatusAnswer:
    return StatusAnswer(status, "text/plain; charset=utf-8", f"{status.value} {status.phrase}\n".encode())


def _response(answer: StatusAnswer, *, bare: bool = False, extra: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + (b"" if bare else answer.body)
