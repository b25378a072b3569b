"""Where the relay's database is: the path of an SQLite file, or the URL of a PostgreSQL database. No I/O in here.

A URL is ``postgresql://[USER@][HOST[:PORT][,HOST[:PORT]…]]/NAME[?host=/SOCKET/FOLDER&port=N]``. It never holds a
password: URLs are printed, logged and seen by everybody in the list of processes. The password is in a file of ours
(``password_file``), or where PostgreSQL's own tools look for it (``PGPASSFILE``, ``~/.pgpass``).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = frozenset({"postgresql", "postgres"})
DEFAULT_PORT = 5432
SOCKET_FOLDER = "/var/run/postgresql"
"""Of Debian's server; the library that speaks to it would look in /tmp, as upstream's does."""
MAX_HOSTS = 8
"""A primary and its standbys: each that is dead may hold up a connect for ``CONNECT_S``."""
MAX_NAME = 63
"""Of a database or a user, in PostgreSQL's default build: longer ones are cut off there, without a word."""


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A PostgreSQL database and how to reach it. Raises ``ValueError`` for one that cannot be reached safely.

    A server on another machine is spoken to with TLS alone, and must show a certificate of ``ca`` in its own name;
    ``clear_text`` gives that up, for a network that is protected otherwise. On the same machine TLS is used if offered.
    """

    name: str
    hosts: tuple[tuple[str, int], ...] = ((SOCKET_FOLDER, DEFAULT_PORT),)
    """Names, addresses or folders of sockets, each with its port. Of several the one that can be written is used."""
    user: str | None = None
    """None: who this process runs as, which is what ``peer`` authentication over a socket wants."""
    password_file: Path | None = None
    """A file whose first line is the password; read at every connect."""
    ca: Path | None = None
    """The authority that has signed the server's certificate (PEM)."""
    certificate: Path | None = None
    key: Path | None = None
    """Our own certificate and its private key (PEM), for a server that asks for one instead of a password."""
    clear_text: bool = False

    def __post_init__(self) -> None:
        for what, name in (("name", self.name), ("user", self.user)):
            if name is not None and not 1 <= len(name.encode()) <= MAX_NAME:
                raise ValueError(f"the database's {what} must have 1 to {MAX_NAME} bytes")
        if not 1 <= len(self.hosts) <= MAX_HOSTS:
            raise ValueError(f"name 1 to {MAX_HOSTS} hosts")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("[postgresql]: name both certificate and key, or neither")
        far = [host for host, _ in self.hosts if not is_here(host)]
        if far and self.ca is None and not self.clear_text:
            raise ValueError(
                f"the database server {far[0]} is on another machine, and names and addresses must not cross a network "
                "in clear text: set [postgresql] ca to the file of the authority that has signed its certificate"
            )

    def __str__(self) -> str:
        """For people: without anything that is secret."""
        user = f"{self.user}@" if self.user else ""
        hosts = ",".join(
            host if host.startswith("/") else f"{_bracketed(host)}:{port}"
            for host, port in self.hosts
            if host != SOCKET_FOLDER
        )
        return f"postgresql://{user}{hosts}/{self.name}"

    @property
    def tls_mode(self) -> str:
        """libpq's word for what is asked of TLS."""
        return "verify-full" if self.ca is not None else "prefer"


Place = Path | PostgresPlace
"""Where a relay's database is."""


def is_url(text: str) -> bool:
    """Whether this names a server rather than a file."""
    return "://" in text


def parse_place(text: str, **reaching: Any) -> PostgresPlace:
    """The database of a URL; ``reaching``: the other fields of ``PostgresPlace``. ``ValueError`` says what is wrong."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("not a URL: write postgresql://USER@HOST/NAME") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"{parts.scheme}://: only postgresql://USER@HOST/NAME, or the path of an SQLite file")
    account, _, places = parts.netloc.rpartition("@")
    if ":" in account:
        raise ValueError(
            "the URL holds a password, which would be printed and logged: take it out of there, and write it to a file "
            "that [postgresql] password_file names"
        )
    if parts.fragment or "/" in parts.path[1:] or not parts.path[1:]:
        raise ValueError("write postgresql://USER@HOST/NAME: the name of the database is missing or is no name")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    folder, port = asked.pop("host", SOCKET_FOLDER), asked.pop("port", "")
    if asked or (parts.query and (places or not folder.startswith("/"))):
        raise ValueError(
            "after '?' only host=/FOLDER/OF/THE/SOCKET and its port are understood; the rest belongs into [postgresql]"
        )
    hosts = tuple(_host(place) for place in places.split(",")) if places else ((folder, _port(port)),)
    reaching["hosts"] = hosts
    return PostgresPlace(unquote(parts.path[1:]), user=unquote(account) or None, **reaching)


def is_here(host: str) -> bool:
    """Whether what is sent to this host stays on this machine."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _host(place: str) -> tuple[str, int]:
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if not host:
        raise ValueError(f"{place}: not HOST or HOST:PORT")
    return host, _port(port)


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError(f"{text} is not a port: 1 to 65535")
    return int(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
