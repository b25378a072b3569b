"""The control line of a device: a Unix socket, one JSON object a line, both ways.

Requests: ``{"do": "state"}``, ``{"do": "watch"}`` (the state now, and again after every change, until the client goes)
and what the daemon answers besides (``selftest``). On mock pins also ``{"do": "press", "pin": "help", "ms": 150}``
(down, then up; answered when it is up), ``{"do": "down", "pin": ...}``, ``{"do": "up", "pin": ...}``. Answers: ``{"ok":
true, ...}`` or ``{"ok": false, "error": "..."}`` with a ``reason`` where a program may want to know it; a state carries
``at`` (wall clock) and ``mono_ms``.

On mock pins whoever may open the socket may press: it is made for its owner only. On real pins nothing that is asked
here can press or move a line: a ``help`` that no finger has pressed must not exist. Its group may ask there.
"""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog

from device.core.role import ButtonName
from device.ports import UnavailableError
from doorbell.errors import PeerError, SetupError

MAX_LINE_BYTES = 4_096
MAX_CLIENTS = 32
MAX_PRESS_MS = 600_000
MAX_UNREAD = 1_000
"""Changes that a watcher may be behind; a slower one is cut off."""
_OFF_S = 0.05
"""How long a finger is off the button before a press is answered: a script that presses again at once would otherwise
go on with the same press, as a bouncing contact does (debounce: 20 ms)."""
_LOOK_S = 1.0
"""How often a watcher that is told nothing is looked at: a client that went must not keep its place."""
_MAX_SOCKET_PATH = 107
"""sun_path of unix(7), without its zero byte."""

REAL_PINS = "real_pins"
"""Why a press is refused where a finger must do it."""

State = dict[str, Any]

_log = structlog.get_logger("device.control")


class ControlError(SetupError):
    """Nobody answers, or what was asked is refused.

    ``reason``: ``nobody`` (no daemon listens there), ``forbidden`` (this user may not ask), ``silent`` (no answer in
    time), ``refused``, or the daemon's own word such as ``real_pins``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ControlServer:
    """Serves the control line on threads of its own.

    ``drive(pin, active)`` moves a line; None on real pins, where presses are refused. ``complete(state)`` adds to the
    state of the last turn what is read live. ``asks``: further requests by their ``do``, each answered on the asking
    client's thread; a ``ValueError`` is a refusal. ``mode``: who may open the socket.
    Raises ``SetupError`` if the path cannot be used, ``UnavailableError`` if another daemon listens there.
    """

    def __init__(
        self,
        path: Path,
        *,
        pins: tuple[ButtonName, ...],
        drive: Callable[[ButtonName, bool], None] | None,
        complete: Callable[[State], State],
        asks: Mapping[str, Callable[[State], State]] = MappingProxyType({}),
        mode: int = 0o600,
    ) -> None:
        _clear(path)
        self._path = path
        self._pins = {name.value: name for name in pins}
        self._drive = drive
        self._complete = complete
        self._asks = dict(asks)
        self._lock = threading.Lock()
        self._state: State = {}
        self._watchers: list[queue.Queue[State | None]] = []
        self._closing = threading.Event()
        self._clients = threading.BoundedSemaphore(MAX_CLIENTS)
        control = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if not control._clients.acquire(blocking=False):
                    self.wfile.write(_line({"ok": False, "error": f"more than {MAX_CLIENTS} clients"}))
                    return
                try:
                    with suppress(OSError):  # the client went: nobody left to tell
                        control.serve(self.connection, self.rfile, self.wfile)
                finally:
                    control._clients.release()

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = MAX_CLIENTS

            def handle_error(self, _request: Any, _address: Any) -> None:
                _log.exception("control.failed")  # ours; its client sees the conversation end

        try:
            self._server = Server(str(path), Handler)
        except OSError as error:
            raise SetupError(f"{path}: cannot listen there: {error.strerror}") from None
        path.chmod(mode)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def update(self, state: State) -> None:
        """The state after a turn; watchers are told if it has changed. ``at`` and ``mono_ms`` are no change."""
        with self._lock:
            if _bare(state) == _bare(self._state):
                return
            self._state = state
            for watcher in [*self._watchers]:
                try:
                    watcher.put_nowait(state)
                except queue.Full:
                    self._watchers.remove(watcher)
                    _log.warning("control.watcher_cut", behind=MAX_UNREAD)

    def close(self) -> None:
        """Stop listening, end the watchers, remove the socket."""
        self._closing.set()
        with self._lock:
            for watcher in self._watchers:
                with suppress(queue.Full):
                    watcher.put_nowait(None)
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)

    def serve(self, connection: socket.socket, reader: Any, writer: Any) -> None:
        """One client, until it goes."""
        while not self._closing.is_set():
            raw = reader.readline(MAX_LINE_BYTES + 1)
            if not raw:
                return
            for answer in self._answers(raw, connection):
                writer.write(_line(answer))
                writer.flush()
            if len(raw) > MAX_LINE_BYTES:
                return

    def _answers(self, raw: bytes, connection: socket.socket) -> Iterator[State]:
        try:
            if len(raw) > MAX_LINE_BYTES:
                raise PeerError("too_large", f"a line is at most {MAX_LINE_BYTES} bytes")
            request = json.loads(raw)
            if not isinstance(request, dict):
                raise PeerError("invalid", "a request is a JSON object")
            match request.get("do"):
                case "state":
                    yield {"ok": True, **self._now()}
                case "watch":
                    yield from self._watch(connection)
                case "press" | "down" | "up" as what:
                    yield self._move(what, request)
                case str(other) if other in self._asks:
                    yield {"ok": True, **self._asks[other](request)}
                case other:
                    known = ", ".join(("press", "down", "up", "state", "watch", *self._asks))
                    raise PeerError("invalid", f"do: {other!r} is none of {known}")
        except PeerError as error:
            yield {"ok": False, "reason": error.reason, "error": str(error)[:300]}
        except (ValueError, RecursionError) as error:
            yield {"ok": False, "error": str(error)[:300]}

    def _move(self, what: str, request: dict[str, Any]) -> State:
        if self._drive is None:
            raise PeerError(REAL_PINS, "these are real pins, and only a finger presses them")
        pin = self._pins.get(str(request.get("pin")))
        if pin is None:
            raise PeerError("invalid", f"pin: {request.get('pin')!r} is none of {', '.join(self._pins)}")
        ms = request.get("ms", 150)
        if not isinstance(ms, int) or not 1 <= ms <= MAX_PRESS_MS:
            raise PeerError("invalid", f"ms: {ms!r} is not a whole number from 1 to {MAX_PRESS_MS}")
        if what != "up":
            self._drive(pin, True)
        if what == "press":
            self._closing.wait(ms / 1000)
        if what != "down":
            self._drive(pin, False)
        if what == "press":
            self._closing.wait(_OFF_S)
        return {"ok": True, "do": what, "pin": pin.value, **({"ms": ms} if what == "press" else {})}

    def _watch(self, connection: socket.socket) -> Iterator[State]:
        mine: queue.Queue[State | None] = queue.Queue(MAX_UNREAD)
        with self._lock:
            self._watchers.append(mine)
            mine.put_nowait(self._state)
        try:
            while True:
                try:
                    state = mine.get(timeout=_LOOK_S)
                except queue.Empty:
                    if self._closing.is_set() or mine not in self._watchers or _has_gone(connection):
                        return
                    continue
                if state is None:
                    return
                yield {"ok": True, **self._complete(state)}
        finally:
            with self._lock:
                if mine in self._watchers:
                    self._watchers.remove(mine)

    def _now(self) -> State:
        with self._lock:
            state = self._state
        return self._complete(state)


def ask(path: Path, request: State, *, within_s: float | None = None) -> Iterator[State]:
    """The client's half: send one request, yield the answers (one, or for ``watch`` until the daemon ends).

    ``within_s``: how long each answer may take; None: for ever. Raises ``ControlError`` if nobody answers at ``path``
    or the answer is a refusal.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(within_s)
        try:
            sock.connect(str(path))
        except PermissionError as error:
            raise ControlError("forbidden", f"{path}: {error.strerror}; ask as root, or as the device's user") from None
        except OSError as error:
            why = error.strerror or error
            raise ControlError("nobody", f"{path}: {why}; is the device running, with this control socket?") from None
        try:
            sock.sendall(_line(request))
            with sock.makefile("rb") as lines:
                for line in lines:
                    answer: State = json.loads(line)
                    if not answer.pop("ok", False):
                        reason = str(answer.get("reason", "refused"))
                        raise ControlError(reason, str(answer.get("error", "refused")))
                    yield answer
                    if request.get("do") != "watch":
                        return
        except TimeoutError:
            raise ControlError("silent", f"{path}: no answer within {within_s:g} s") from None
    if request.get("do") != "watch":
        raise ControlError("silent", f"{path}: the device ended the conversation; its log says why")


def _has_gone(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _bare(state: State) -> State:
    return {key: value for key, value in state.items() if key not in ("at", "mono_ms")}


def _line(answer: State) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode() + b"\n"


def _clear(path: Path) -> None:
    """Remove the socket that a killed daemon left behind; one that is alive is another daemon."""
    if len(str(path).encode()) > _MAX_SOCKET_PATH:
        raise SetupError(f"{path}: a socket's path has at most {_MAX_SOCKET_PATH} bytes; choose a shorter --control")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    if not path.is_socket():
        raise SetupError(f"{path}: is there and is no socket; choose another --control")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise UnavailableError(
        f"{path}: another device is running on this control socket; stop it, or choose another --control"
    )
