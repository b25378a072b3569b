"""A real HTTP server on this machine, for what the relay tells others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from relay.core.register import Hook

WAIT_S = 20
"""A bound, not a duration: reached only by a failure."""


@dataclass
class Told:
    """A request that the receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server: answers by path with what the test says; ``gate`` holds back the path ``/hang``."""

    port: int = 0
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    hanging: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}{path}"

    def hook(self, path: str, secret_file: str = "") -> Hook:
        """A hook of a register that leads here."""
        return Hook(path.strip("/") or "root", "xihu", f"{self.url(path)}?key=s3cret", secret_file)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path.partition("?")[0]
            state.told.append(Told(path, dict(self.headers), body))
            if path == "/hang":
                state.hanging.set()
                state.gate.wait(WAIT_S)
            status, answer = state.answers.get(path, (200, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()
