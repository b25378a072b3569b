"""What is said to a listening relay or device by programs: the status pages, the control line, the answer of a hook."""

from __future__ import annotations

import io
import json
import re
import threading
from http import HTTPStatus
from random import Random
from typing import Any, Self

from device.adapters import control
from device.core.role import ButtonName
from relay.adapters import status
from relay.adapters.notify import _judge
from tests.fuzz.mutate import mutate_json
from tests.fuzz.subject import Subject, holds, same, scratch

_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z ]+\r\n(?:[A-Za-z-]+: [^\r\n]*\r\n)+\r\n", re.DOTALL)


class _Wire:
    """A connection that brings what it has in pieces of one size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = io.BytesIO(data)
        self._size = size
        self.said = b""

    def recv(self, limit: int, flags: int = 0) -> bytes:
        return b"" if flags else self._data.read(min(limit, self._size))

    def settimeout(self, _seconds: float | None) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        self.said += data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def status_pages() -> Subject:
    """First byte: the size of the pieces; the rest is what a client sends to the relay's HTTP listener."""
    listener = status.StatusListener.__new__(status.StatusListener)
    listener._pages = {
        "/metrics": lambda accept: status.StatusAnswer(HTTPStatus.OK, "text/plain", accept.encode("latin-1")),
        "/healthz": lambda _accept: status.StatusAnswer(HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n"),
    }
    listener._room = threading.BoundedSemaphore(1)

    def run(data: bytes) -> str:
        size, text = (data[0] % 61 + 1, data[1:]) if data else (1, b"")
        wire: Any = _Wire(text, size)
        holds("room for a client", listener._room.acquire(blocking=False))
        listener._serve(wire)
        if not wire.said:
            return "no answer"
        head = _ANSWER.match(wire.said)
        holds(f"an answer, not {wire.said[:80]!r}", head is not None)
        assert head is not None
        lengths = re.findall(rb"Content-Length: (\d+)\r\n", head[0])
        same("one length", len(lengths), 1)
        body = wire.said[head.end() :]
        holds("the length", not body or int(lengths[0]) == len(body))
        holds("no answer of a crash", int(head[1]) < 500)
        return head[1].decode()

    def seeds() -> list[bytes]:
        lines: tuple[bytes, ...] = (b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=0.0.4\r\n\r\n",)
        lines += (b"HEAD /healthz?x=1 HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        return [b"\x3c" + line for line in lines] + [b"\x00" + lines[0], b"\x05GET  /x HTTP/1.1\r\n\r\n"]

    words = (
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"Accept:",
        b"HTTP/1.",
        b"/metrics",
        b"/healthz",
        b" ",
        b"GET ",
        b"HEAD ",
        b"%00",
        b"\xff",
    )
    return Subject(run, seeds, words, max_len=9_000)


def control_line() -> Subject:
    """First byte: real or mock pins; the rest are the lines of a client of a device's control socket."""
    folder = scratch()
    moved: list[tuple[ButtonName, bool]] = []
    control._LOOK_S = 0.0

    class Now(threading.Event):
        """Time passes at once."""

        def wait(self, timeout: float | None = None) -> bool:
            return self.is_set()

    def serve(name: str, drive: Any) -> control.ControlServer:
        server = control.ControlServer(
            folder / name,
            pins=(ButtonName.HELP, ButtonName.OK),
            drive=drive,
            complete=lambda state: {**state, "mono_ms": 1},
            asks={"selftest": lambda request: {"asked": sorted(map(str, request))}},
        )
        server._closing = Now()
        return server

    servers = (serve("real", None), serve("mock", lambda pin, down: moved.append((pin, down))))

    def run(data: bytes) -> str:
        kind, lines = (data[0] % 2, data[1:]) if data else (0, b"")
        moved.clear()
        wire: Any = _Wire(b"", 1)
        out = io.BytesIO()
        servers[kind].serve(wire, io.BytesIO(lines), out)
        answers = [json.loads(line) for line in out.getvalue().splitlines()]
        holds("each answered", all(isinstance(one.get("ok"), bool) for one in answers))
        holds("no press on real pins", kind == 1 or not moved)
        holds("nobody waits", not servers[kind]._watchers)
        refused = sum(not one["ok"] for one in answers)
        return f"{min(len(answers), 3)} answers, {min(refused, 3)} refused, {min(len(moved), 2)} moves"

    def seeds() -> list[bytes]:
        one = [
            b'{"do": "state"}\n',
            b'{"do": "watch"}\n',
            b'{"do": "press", "pin": "help", "ms": 150}\n',
            b'{"do": "selftest"}\n',
        ]
        one += [b'{"do": "down", "pin": "ok"}\n{"do": "up", "pin": "ok"}\n', b"[]\n", b'{"do": "press", "ms": true}\n']
        return [bytes([kind]) + text for kind in (0, 1) for text in (*one, b"".join(one))]

    def change(random: Random, data: bytes) -> bytes:
        return mutate_json(random, data, 1) + b"\n"

    words = (
        b'{"do": "',
        b"press",
        b"watch",
        b"state",
        b"selftest",
        b'"pin": ',
        b'"ms": ',
        b"\n",
        b"\\ud800",
        b"[[[[",
        b"600000",
    )
    return Subject(run, seeds, words, change, max_len=5_000)


def hook_answer() -> Subject:
    """Two bytes: the status; the rest is what somebody's server answers to a notice."""

    def run(data: bytes) -> str:
        code = 100 + int.from_bytes(data[:2], "big") % 500
        judged = _judge("n", code, data[2:])
        holds("well only where it is", not judged.ok or 200 <= code < 300)
        json.dumps(judged.detail)
        return f"{judged.ok} {judged.retryable}"

    def seeds() -> list[bytes]:
        answers = (
            b'{"errcode": 0}',
            b'{"errcode": 45009, "errmsg": "freq"}',
            b'{"code": 19001}',
            b"",
            b"<html>",
            b"[1]",
        )
        return [(code - 100).to_bytes(2, "big") + answer for code in (200, 404, 429, 503) for answer in answers]

    def change(random: Random, data: bytes) -> bytes:
        return mutate_json(random, data, 2)

    return Subject(run, seeds, (b'"errcode": ', b'"code": ', b"{", b"[" * 40, b"1" * 400), change)
