"""A site for a test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.adapters.store import SqlStore
from relay.register_file import load_register_file
from tests.relay.office import EXAMPLE
from tests.relay.web.site import Site


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the example's register."""
    path = tmp_path_factory.mktemp("site") / "relay.sqlite3"
    register, _ = load_register_file(EXAMPLE)
    assert register is not None
    with closing(SqlStore.open(path)) as store:
        store.replace_register(register)
    return path


@pytest.fixture
def site(registered: Path, tmp_path: Path) -> Iterator[Site]:
    """With the example's register, and no account."""
    path = tmp_path / "relay.sqlite3"
    shutil.copyfile(registered, path)
    with closing(SqlStore.open(path)) as store:
        yield Site(store)
