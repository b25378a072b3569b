"""A device's control line as the demo uses it: a finger on its buttons, an eye on its light and its sound."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from sim.demo_sightings import DeviceView, Seen, read_view

PRESS_MS = 150
"""How long a finger rests on a button."""
HOLD_MS = 3_300
"""A hold counts from 3,000 ms on."""
ANSWER_S = 10.0
"""How long to wait for an answer beyond the time of the press itself; a daemon answers within milliseconds."""
RETRY_S = 0.05
LAMP_S = 0.08
"""How often a lamp is looked at: the fastest pattern changes every 80 ms."""

Add = Callable[[Seen, float | None], None]


class PinsLine:
    """The control line at ``path``. Between ``start`` and ``stop`` every change of the device's state goes to ``add``,
    with the monotonic second at which the device says it happened; a line that breaks shows a device without link."""

    def __init__(self, device: str, path: Path, add: Add) -> None:
        self.device = device
        self.path = path
        self._add = add
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def press(self, pin: str) -> None:
        """Down and up. Returns when it is up again. Raises ``OSError`` if the device does not answer or refuses."""
        self._move(pin, PRESS_MS)

    def hold(self, pin: str) -> None:
        """Down for long enough to count as a hold."""
        self._move(pin, HOLD_MS)

    def start(self) -> None:
        """Begin to watch; the daemon may still be starting."""
        self._begin(self._watch)

    def watch_lamp(self) -> None:
        """Look at the lamp's pin itself, again and again, so that its blinking can be shown."""
        self._begin(self._look)

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        for sock in list(self._open):
            with suppress(OSError):  # it has ended by itself
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(ANSWER_S)

    def _move(self, pin: str, ms: int) -> None:
        with self._conversation(ms / 1000 + ANSWER_S) as (sock, lines):
            answer = _ask(sock, lines, {"do": "press", "pin": pin, "ms": ms})
        if not answer.get("ok"):
            raise OSError(str(answer.get("error", "refused")))

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._insist, args=(work,), name=f"eye-{self.device}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _insist(self, work: Callable[[], None]) -> None:
        """Again and again, for the daemon may not be there yet, or not any more."""
        while not self._stopping.is_set():
            with suppress(OSError, ValueError, KeyError):
                work()
            self._stopping.wait(RETRY_S)

    def _watch(self) -> None:
        seen = False
        try:
            with self._conversation(None) as (sock, lines):
                _send(sock, {"do": "watch"})
                for line in lines:
                    self._take(json.loads(line))
                    seen = True
        finally:
            if seen and not self._stopping.is_set():
                self._add(DeviceView(self.device), None)

    def _look(self) -> None:
        with self._conversation(ANSWER_S) as (sock, lines):
            while not self._stopping.wait(LAMP_S):
                self._take(_ask(sock, lines, {"do": "state"}))

    def _take(self, state: dict[str, Any]) -> None:
        if state.get("device"):
            self._add(read_view(state), int(state["mono_ms"]) / 1000)

    @contextmanager
    def _conversation(self, timeout_s: float | None) -> Iterator[tuple[socket.socket, BufferedReader]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(str(self.path))
            self._open.add(sock)
            try:
                if self._stopping.is_set():
                    raise ConnectionAbortedError("stopping")
                with sock.makefile("rb") as lines:
                    yield sock, lines
            finally:
                self._open.discard(sock)


def _send(sock: socket.socket, request: dict[str, Any]) -> None:
    sock.sendall(json.dumps(request).encode() + b"\n")


def _ask(sock: socket.socket, lines: BufferedReader, request: dict[str, Any]) -> dict[str, Any]:
    _send(sock, request)
    line = lines.readline()
    if not line:
        raise ConnectionResetError("the device has closed its control line")
    answer: dict[str, Any] = json.loads(line)
    return answer
