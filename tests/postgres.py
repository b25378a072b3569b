"""A real PostgreSQL for tests: one server for each process of tests, of its own folder, stopped by its own number.

It listens on a socket in that folder and on a free port of 127.0.0.1 (by password, with TLS). Its text is sorted as in
English, not by bytes: what relies on the database's order must ask for one. Debian's package starts none of its own.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from relay.adapters.store import SqlStore
from relay.database import PostgresPlace, parse_place
from tests.device.waiting import wait_until

SUPERUSER = "postgres"
START_S = 120
"""For a server to start: after a crash it flushes every file of its databases, which a busy disk makes long."""
RELOADS = 2_000
_CONFIG = """
unix_socket_directories = '{folder}'
listen_addresses = '127.0.0.1'
port = {port}
max_connections = 60
shared_buffers = '32MB'
log_min_messages = 'fatal'
recovery_init_sync_method = 'syncfs'
"""
_HBA = """
local all all trust
host  all all 127.0.0.1/32 scram-sha-256
"""


def binaries() -> Path:
    """The newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError("no PostgreSQL server is installed: make test-deps")
    return found[-1].parent


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """A server of this process."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="doorbell-pg-"))
        self.port = free_port()
        self._data = self.folder / "data"
        self.password = secrets.token_hex(8)
        self._numbers = count(1)
        # initdb refuses root; whoever else runs the tests is nobody special.
        self._account: Mapping[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(SUPERUSER)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._make()
        self.start()
        with self.connect("postgres") as connection:
            connection.execute(f"ALTER USER {SUPERUSER} PASSWORD '{self.password}'")

    def _make(self) -> None:
        words = [
            str(binaries() / "initdb"),
            "--pgdata",
            str(self._data),
            "--username",
            SUPERUSER,
            "--auth=trust",
            "--no-sync",
        ]
        words += ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--no-instructions"]
        subprocess.run(words, check=True, capture_output=True, cwd="/", **self._account)
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_CONFIG.format(folder=self.folder, port=self.port))
        (self._data / "pg_hba.conf").write_text(_HBA)

    def start(self) -> None:
        """Start, and wait until it takes connections. It ends with this process, however that ends."""
        words = ["setpriv", "--pdeathsig", "QUIT", str(binaries() / "postgres"), "-D", str(self._data)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", **self._account)
        ready = [str(binaries() / "pg_isready"), "--quiet", f"--host={self.folder}", f"--port={self.port}"]
        wait_until(
            lambda: self._process.poll() is not None or subprocess.run(ready, check=False).returncode == 0,
            within_s=START_S,
        )
        if self._process.returncode is not None:
            raise RuntimeError((self.folder / "log").read_text())

    def stop(self, mode: str = "fast") -> None:
        """Stop: ``fast`` ends every session at once, ``immediate`` is as if the machine had lost its power."""
        self._control("stop", "--no-wait", "--mode", mode)
        self._process.wait(timeout=START_S)

    @contextmanager
    def configured(self, **settings: str) -> Iterator[None]:
        """The server with other settings, of those that need no restart."""
        former = {name: self.show(name) for name in settings}
        try:
            self._configure(settings, "ALTER SYSTEM SET {} = {!r}")
            yield
        finally:
            self._configure(former, "ALTER SYSTEM RESET {}")

    def _configure(self, settings: Mapping[str, str], statement: str) -> None:
        with self.connect("postgres") as connection:
            for name, value in settings.items():
                connection.execute(statement.format(name, value).encode())
        self._control("reload")
        for _ in range(RELOADS):  # a signal: the server comes to it soon, and each look is a new session
            if all(self.show(name) == value for name, value in settings.items()):
                return
        raise TimeoutError(f"the server did not take {settings}")

    def show(self, name: str) -> str:
        """A setting as a new session finds it."""
        with self.connect("postgres") as connection:
            (value,) = connection.execute(f"SHOW {name}".encode()).fetchone() or ("",)
        return str(value)

    def _control(self, *words: str) -> None:
        command = [str(binaries() / "pg_ctl"), "--silent", "--timeout", str(START_S), "-D", str(self._data), *words]
        # Not through a pipe: the server would inherit it, and hold it open.
        done = subprocess.run(
            command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **self._account
        )
        if done.returncode != 0:
            raise RuntimeError((self.folder / "log").read_text())

    def remove(self) -> None:
        """Stop, and remove every trace."""
        with suppress(RuntimeError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, template: str = "template0") -> str:
        """The name of a new database of its own."""
        name = f"test{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    @cached_property
    def template(self) -> str:
        """A database with our tables, empty: a copy of it takes a tenth of the time that the migrations take."""
        name = self.database()
        SqlStore.open(self.url(name)).close()
        return name

    def ready(self) -> str:
        """The URL of a new database with our tables."""
        return self.url(self.database(self.template))

    def give(self, name: str, content: bytes) -> Path:
        """A file that only the server can read."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        if self._account:
            os.chown(path, self._account["user"], self._account["group"])
        return path

    def url(self, name: str) -> str:
        """By the socket, without a password."""
        return f"postgresql://{SUPERUSER}@/{name}?host={self.folder}&port={self.port}"

    def connect(self, name: str) -> psycopg.Connection[Any]:
        """A connection as a technician makes it."""
        return psycopg.connect(host=str(self.folder), port=self.port, user=SUPERUSER, dbname=name, autocommit=True)

    def parameters(self, url: str) -> dict[str, Any]:
        """The same for the driver."""
        return {"host": str(self.folder), "port": self.port, "user": SUPERUSER, "dbname": parse_place(url).name}

    def place_by_password(self, name: str, password_file: Path) -> PostgresPlace:
        """By the port of loopback, where a password is asked for."""
        return PostgresPlace(name, (("127.0.0.1", self.port),), user=SUPERUSER, password_file=password_file)

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """What a superuser sees from outside."""
        with self.connect("postgres") as connection:
            return connection.execute(question.encode(), values).fetchall()

    def end_sessions(self, name: str) -> int:
        """End sessions in a database, as a restart or a network that breaks does; returns how many."""
        return len(self.ask("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", name))


class Cut(StrEnum):
    """Where a connection breaks. The relay cannot tell these apart: the same error comes of all."""

    COMMIT_LOST = "the server never hears the commit, and notices the cut"
    COMMIT_HELD = "the server never hears the commit, and does not notice the cut"
    REPLY_LOST = "the server has committed, and its answer is lost"
    BATCH_LOST = "the server never hears the batch"


_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
_BATCH = b"not_json"  # in a row of what the test commits: the statement itself is sent but once a session


class Cutter:
    """Stands between a relay and its server, and breaks a connection at the point that the test names, once."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.cuts = 0
        self._folder = Path(tempfile.mkdtemp(prefix="doorbell-cut-"))
        self._name = name
        self._cut: Cut | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / ".s.PGSQL.5432"))
        self._listener.listen()

    @property
    def url(self) -> str:
        """The same database, through here."""
        return f"postgresql://{SUPERUSER}@/{self._name}?host={self._folder}"

    def cut_at(self, cut: Cut | None) -> None:
        """Break the next connection that comes to this point; None: none of them."""
        self._cut = cut

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(timeout=START_S)
        shutil.rmtree(self._folder)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server.folder / f".s.PGSQL.{self.server.port}"))
                self._sockets += [client, server]
                self._run(self._pump, client, server, True)
                self._run(self._pump, server, client, False)

    def _pump(self, source: socket.socket, to: socket.socket, upwards: bool) -> None:
        held = False
        with suppress(OSError):
            while data := source.recv(65536):
                cut = self._due(data, upwards)
                if cut is not None:
                    held = cut is Cut.COMMIT_HELD
                    break
                to.sendall(data)
        for one in (source,) if held else (source, to):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _due(self, data: bytes, upwards: bool) -> Cut | None:
        """The cut to make at this piece of the conversation."""
        marks = {Cut.COMMIT_LOST: _COMMIT, Cut.COMMIT_HELD: _COMMIT, Cut.BATCH_LOST: _BATCH, Cut.REPLY_LOST: _COMMITTED}
        with self._lock:
            cut = self._cut
            if cut is None or marks[cut] not in data or upwards is (cut is Cut.REPLY_LOST):
                return None
            self._cut = None
            self.cuts += 1
            return cut


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this process of tests, started when the first of them asks for it."""
    server = PostgresServer()
    yield server
    server.remove()
