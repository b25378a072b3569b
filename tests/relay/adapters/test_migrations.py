"""From nothing and from every earlier release to this one, on both databases, with everything that is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from relay.adapters.store import SqlStore
from relay.adapters.store_copies import restore
from relay.adapters.store_migrate import migrations
from relay.adapters.store_schema import SCHEMA_HEAD, metadata
from relay.database import Place, parse_place
from relay.ports import Batch, StoreError
from tests.postgres import PostgresServer
from tests.relay.old_store import GOLDEN, migrate_to, read_golden, rebuild
from tests.relay.rows import a_register, accepted, an_alarm, closed, raising, uid

REVISIONS = sorted(script.revision for script in ScriptDirectory.from_config(migrations()).walk_revisions())
KEPT = sorted(path.name for path in GOLDEN.glob("*.json"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database, without any table."""
    if request.param == "sqlite":
        return tmp_path / "relay.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgres")
    return parse_place(server.url(server.database()))


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    """The database, not yet opened."""
    with closing(SqlStore(place)) as store:
        store._database.prepare()
        yield store


def test_the_revisions_are_one_line() -> None:
    scripts = ScriptDirectory.from_config(migrations())
    assert scripts.get_heads() == [SCHEMA_HEAD] == [REVISIONS[-1]]
    assert scripts.get_bases() == [REVISIONS[0]]


@pytest.mark.parametrize("revision", ["base", *REVISIONS[:-1]])
def test_every_way_leads_to_the_tables_that_the_code_names(store: SqlStore, revision: str) -> None:
    if revision != "base":
        with store._engine.begin() as connection:
            migrate_to(connection, revision)
    store.upgrade()
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert store.verify().findings == []


def test_a_database_of_each_release_was_kept() -> None:
    assert "0001.json" in KEPT
    for name in KEPT:
        golden = read_golden(name)
        assert golden["revision"] == name.removesuffix(".json")
        assert {table for table, rows in golden["rows"].items() if not rows} <= {"lease", "member"}


@pytest.mark.parametrize("name", KEPT)
def test_what_an_earlier_release_wrote_is_all_there(store: SqlStore, name: str) -> None:
    with store._engine.begin() as connection:
        rebuild(connection, read_golden(name))
    store.upgrade()
    check(store)


def test_so_it_is_on_a_server(postgres: PostgresServer) -> None:
    with closing(SqlStore(postgres.url(postgres.database()))) as store:
        with store._engine.begin() as connection:
            rebuild(connection, read_golden("0001.json"))
        store.upgrade()
        check(store)
        with store._engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.parametrize("name", KEPT)
def test_a_backup_of_an_earlier_release_can_be_restored(place: Place, tmp_path: Path, name: str) -> None:
    backup = tmp_path / "backup.sqlite3"
    with closing(SqlStore(backup)) as old, old._engine.begin() as connection:
        rebuild(connection, read_golden(name))
    before = backup.read_bytes()
    restore(place, backup, tmp_path / "kept.sqlite3", refuse=lambda verdict: None)
    assert backup.read_bytes() == before
    with closing(SqlStore.open(place, exclusive=True)) as store:
        check(store)


def check(store: SqlStore) -> None:
    """What tests/golden/store holds, as the values that went in."""
    verdict = store.verify()
    assert (verdict.alarms, verdict.open_alarms, verdict.findings) == (3, 1, [])
    snapshot = store.load()
    assert snapshot.register == a_register()
    assert snapshot.alarms == {uid(1): accepted(an_alarm(1))}
    assert [row.id for row in snapshot.early] == [uid(9)]
    assert set(snapshot.notices) == {"n/1"}
    assert snapshot.twins["bell-peng"].rev == 3
    assert snapshot.anchor is not None
    assert store.find_alarm(uid(3)) is not None
    assert len(list(store.journal())) == 10
    assert [command.alarm for command in store.poll()[1]] == [uid(1)]
    assert store.rejected()[0].payload == b"\xff\x00"
    store.commit(raising(an_alarm(50, household="home-new")))
    store.commit(Batch(alarms={uid(1): closed(accepted(an_alarm(1)))}))
    assert set(store.load().alarms) == {uid(50)}


def test_an_upgrade_that_fails_changes_nothing(store: SqlStore) -> None:
    """One transaction: a relay that is set back to the release of before finds its database as it was."""
    with store._engine.begin() as connection:
        rebuild(connection, read_golden("0001.json"))
        connection.execute(text("CREATE TABLE member (tea INTEGER)"))  # in the way of the second half of 0002
        before = sorted(inspect(connection).get_table_names())
    with pytest.raises(StoreError):
        store.upgrade()
    with store._engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"
        assert sorted(inspect(connection).get_table_names()) == before
        connection.execute(text("DROP TABLE member"))
    store.upgrade()
    check(store)
