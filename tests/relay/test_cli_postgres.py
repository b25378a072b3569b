"""The commands of the office on PostgreSQL: the same words, the same answers."""

from __future__ import annotations

import pytest

from doorbell.service import ExitCode
from relay.adapters.store import SqlStore
from tests.postgres import PostgresServer
from tests.relay.office import AT, OTHER, Office, commit, raised


@pytest.fixture
def url(office: Office, postgres: PostgresServer) -> str:
    """An office whose settings name an empty database on a server."""
    url = postgres.url(postgres.database())
    office.config.write_text(f'name = "test"\ndatabase = "{url}"\n', encoding="utf-8")
    return url


def test_an_office_works_on_a_server(office: Office, url: str) -> None:
    code, _, err = office.run("alarms", "list")
    assert (code, "没有数据库 postgresql://" in err) == (ExitCode.SETUP, True)
    assert office.run("register", "import", str(office.register), "--dry-run")[0] == 0
    assert not SqlStore.is_made(url), "a dry run makes nothing"
    assert office.run("register", "import", str(office.register))[0] == 0
    store = SqlStore.open(url)
    register = store.load_register()[1]
    commit(store, raised(register, OTHER, "chen", AT), AT)
    store.close()
    assert OTHER[:8] in office.run("alarms", "list")[1]
    assert OTHER in office.run("journal", "--format", "jsonl")[1]
    care_for(office, url)
    office.register.write_text(office.register.read_text(encoding="utf-8").replace("西湖", "东湖"), encoding="utf-8")
    assert office.run("register", "import", str(office.register))[0] == 0
    assert (office.folder / f"{url.split('/')[3].split('?', maxsplit=1)[0]}-register-1.toml").exists()


def care_for(office: Office, url: str) -> None:
    """Verify, back up, restore into a file and back into the server, and forget nothing that is young."""
    assert office.run("store", "verify")[0] == 0
    copy, server = office.folder / "copy.sqlite3", office.config.read_text(encoding="utf-8")
    journal = office.run("journal", "--format", "jsonl")[1]
    assert office.run("store", "backup", str(copy))[0] == 0
    office.config.write_text('name = "test"\ndatabase = "moved.sqlite3"\n', encoding="utf-8")
    assert office.run("store", "restore", str(copy), "--yes")[0] == 0
    assert office.run("store", "verify")[0] == 0
    assert office.run("journal", "--format", "jsonl")[1] == journal
    office.config.write_text(server, encoding="utf-8")
    code, out, _ = office.run("store", "restore", str(copy), "--yes")
    (kept,) = office.folder.glob("*-before-restore-*.sqlite3")
    assert (code, str(kept) in out) == (0, True)
    assert office.run("store", "retain")[0] == 0
    assert office.run("store", "verify")[0] == 0
    assert office.run("journal", "--format", "jsonl")[1] == journal


def test_a_server_that_is_away_is_said_so(office: Office, url: str, postgres: PostgresServer) -> None:
    office.config.write_text('name = "test"\ndatabase = "postgresql://127.0.0.1:9/doorbell"\n', encoding="utf-8")
    code, _, err = office.run("alarms", "list")
    assert code == ExitCode.UNAVAILABLE
    assert "127.0.0.1" in err
