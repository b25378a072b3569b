"""The office of the demo: a web address on loopback that takes the relay's webhook, as a group chat's bot would."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sim.demo_sightings import OfficeMessage

MAX_BODY = 64 * 1024
"""A notice is a few hundred bytes."""


class Office:
    """Listens from ``start`` to ``stop`` on a free port; hands every message to ``on_message`` on its own thread."""

    def __init__(self, on_message: Callable[[OfficeMessage], None]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(on_message))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="office", daemon=True)

    @property
    def url(self) -> str:
        """What stands in the register."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/office"

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def _handler(on_message: Callable[[OfficeMessage], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = _read(self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY)))
            if message is not None:
                on_message(message)
            self.send_response(200 if message is not None else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Nothing: the message itself is shown."""

    return Handler


def _read(body: bytes) -> OfficeMessage | None:
    try:
        notice = json.loads(body)
        return OfficeMessage(str(notice["occasion"]), str(notice["alarm"]), str(notice["text"]))
    except (ValueError, KeyError, TypeError):
        return None
