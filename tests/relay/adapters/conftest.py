"""Both databases, each new for a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.adapters.store import SqlStore
from relay.database import Place, parse_place
from tests.postgres import PostgresServer
from tests.relay.care import fill

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
"""The everyday tests care for a server through the commands alone: tests/relay/test_cli_postgres.py."""


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Places for new databases, empty."""
    made: list[Place] = []

    def another(kind: str) -> Place:
        if kind == "sqlite":
            made.append(tmp_path / f"store{len(made)}.sqlite3")
        else:
            server: PostgresServer = request.getfixturevalue("postgres")
            made.append(parse_place(server.ready()))
        return made[-1]

    return another


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, make: Callable[[str], Place]) -> Place:
    return make(kind)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with our tables, empty: a copy of it takes a tenth of the time that the migrations take."""
    path = tmp_path_factory.mktemp("migrated") / "relay.sqlite3"
    SqlStore.open(path).close()
    return path


@pytest.fixture
def store(place: Place, migrated: Path) -> Iterator[SqlStore]:
    """A relay's store with some of everything in it."""
    if isinstance(place, Path):
        shutil.copyfile(migrated, place)
    with closing(SqlStore.open(place, exclusive=True)) as store:
        fill(store)
        yield store


@pytest.fixture
def name(postgres: PostgresServer) -> str:
    """A new database on the server, with our tables."""
    return postgres.database(postgres.template)


@pytest.fixture
def url(postgres: PostgresServer, name: str) -> str:
    """Where it is."""
    return postgres.url(name)
