"""The database's bytes tell of nobody, and whatever was moved or changed in it is found."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal
from relay.adapters.store import SqlStore
from relay.adapters.store_copies import back_up, restore
from relay.adapters.store_rotate import rotate
from relay.core.alarm import Outcome
from relay.database import Place, parse_place
from relay.ports import Batch, NoticeRow, RejectedRow, TwinRow
from relay.privacy_key import KEY_FILE_VARIABLE, new_key, read_keys, write_keys
from relay.verdict import Fault
from tests.postgres import PostgresServer
from tests.relay.adapters.test_migrations import check
from tests.relay.care import change, everything, fill
from tests.relay.old_store import migrate_to, read_golden, rebuild
from tests.relay.rows import T0, a_register, uid
from tests.relay.search import forms, found

WORDS = (
    "柳奶奶",
    "彭小平",
    "吴医生",
    "3栋502",
    "+8613800000000",
    "Mr Chen",
    "key=1",
    "水管漏水",
    "请看心脏病史",
    "邻居的来电",
)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """An empty database, not sealed with any key yet."""
    if kind == "sqlite":
        return tmp_path / "relay.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgres")
    return parse_place(server.url(server.database()))


def tell_of_people(store: SqlStore) -> None:
    """Everything in which a word about somebody can get into the database, beside what ``fill`` puts there."""
    words = "、".join(WORDS)
    shown = TwinRow("bell-peng", 4, (), json.dumps({"rings": [{"label": words}]}).encode())
    notice = NoticeRow("n/3", "xihu", uid(1), "board", {"text": words}, T0, next_at=T0)
    store.commit(
        Batch(
            twins={"bell-peng": shown},
            notices={"n/3": notice},
            rejected=[RejectedRow(T0, f"doorbell/{words}", words.encode(), "not_json", words)],
        )
    )
    number = store.add_command(uid(2), Outcome.HELPED, "水管漏水，请看心脏病史", "office")
    store.commit(Batch(commands_done={number: "applied"}))


def test_the_search_finds_every_form() -> None:
    """Otherwise the tests below would prove nothing."""
    assert len(set(forms("彭小平"))) >= 12
    for shift in range(3):
        hidden = base64.b64encode(b"." * shift + "家住彭小平隔壁".encode())
        assert any(form in hidden for form in forms("彭小平"))


def test_no_byte_of_the_files_tells_of_anybody(tmp_path: Path) -> None:
    with closing(SqlStore.open(tmp_path / "relay.sqlite3", exclusive=True)) as store:
        fill(store)
        tell_of_people(store)
        store.replace_register(replace(a_register(), people={}, households={}, devices={}, groups={}))
        assert (tmp_path / "relay.sqlite3-wal").stat().st_size > 0
        assert found(WORDS, [tmp_path]) == []
        back_up(store, tmp_path / "backup.sqlite3")
    assert found(WORDS, [tmp_path]) == []


@pytest.mark.slow
def test_no_byte_of_a_server_tells_of_anybody() -> None:
    """A server of its own: on the one that all tests share others have written names, as earlier schemas kept them."""
    server = PostgresServer()
    try:
        with closing(SqlStore.open(server.ready(), exclusive=True)) as store:
            fill(store)
            tell_of_people(store)
        assert found(WORDS, [server.folder]) == []
    finally:
        server.stop()
        server.remove()


def test_all_of_it_can_be_read_with_the_key(store: SqlStore) -> None:
    tell_of_people(store)
    assert store.load_register()[1] == a_register()
    assert store.note_of(uid(2)) == "水管漏水，请看心脏病史"
    assert "邻居的来电" in store.rejected()[0].topic
    assert store.verify().findings == []


@pytest.mark.parametrize(
    ("statement", "subject", "rows"),
    [
        ("UPDATE person SET name = 'Wu'", "person.name", {"peng", "wu"}),
        (
            "UPDATE person SET phone = (SELECT phone FROM person WHERE id = 'peng') WHERE id = 'wu'",
            "person.phone",
            {"wu"},
        ),
        ("UPDATE household SET place = label WHERE id = 'home-liu'", "household.place", {"home-liu"}),
        ("UPDATE household SET label = 'x' || label WHERE id = 'home-liu'", "household.label", {"home-liu"}),
        ("UPDATE \"group\" SET name = 'x'", "group.name", {"office"}),
        ("UPDATE hook SET url = 'https://evil.example' WHERE id = 'board'", "hook.url", {"board"}),
        ("UPDATE twin SET device = 'bell-wu'", "twin.content", {"bell-wu"}),
        ("UPDATE notice SET id = 'n/9' WHERE id = 'n/1'", "notice.body", {"n/9"}),
        ("UPDATE command SET note = 'x'", "command.note", {"1", "2"}),
        ("UPDATE rejected SET topic = detail", "rejected.topic", {"2"}),
    ],
)
def test_whatever_was_changed_or_moved_is_found(store: SqlStore, statement: str, subject: str, rows: set[str]) -> None:
    tell_of_people(store)
    change(store, statement)
    findings = store.verify().findings
    assert {(finding.fault, finding.subject, finding.detail) for finding in findings} == {
        (Fault.UNSEALABLE, subject, row) for row in rows
    }


def test_a_bell_rings_without_a_name_rather_than_not_at_all(store: SqlStore) -> None:
    for table, column in (("household", "label"), ("household", "place"), ("person", "name"), ("person", "phone")):
        change(store, f"UPDATE {table} SET {column} = 'spoilt'")  # noqa: S608 - names of ours
    change(store, "UPDATE twin SET device = 'panel-liu'")
    change(store, "UPDATE notice SET body = 'spoilt'")
    snapshot = store.load()
    home, person = snapshot.register.households["home-liu"], snapshot.register.people["peng"]
    assert (home.label, home.place, home.volunteers) == ("home-liu", "", ("wu", "peng"))
    assert (person.name, person.phone) == ("peng", "")
    assert snapshot.twins["panel-liu"].content == b""
    assert snapshot.notices["n/1"].body == {"alarm": uid(1), "community": "xihu"}
    assert list(snapshot.alarms) == [uid(1)]


# ---------------------------------------------------------------------------------------------------------------------
# The key


@pytest.fixture
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "own.key"))
    return tmp_path / "own.key"


def test_without_its_key_a_database_does_not_open(place: Place, own_key: Path) -> None:
    with closing(SqlStore.open(place)) as store:
        fill(store)
        used = store.seal.current
    own_key.unlink()
    with pytest.raises(SetupError, match=f"sealed with the privacy key {used}, and its file {own_key} is not there"):
        SqlStore.open(place)
    assert not own_key.exists()
    write_keys(own_key, [new_key()])
    with pytest.raises(SetupError, match=f"sealed with the privacy key {used}, which {own_key} does not hold"):
        SqlStore.open(place)


def test_a_backup_without_its_key_is_refused_and_changes_nothing(place: Place, own_key: Path, tmp_path: Path) -> None:
    with closing(SqlStore.open(place)) as store:
        fill(store)
        before = everything(store)
        back_up(store, tmp_path / "backup.sqlite3")
        used = store.seal.current
    with closing(sqlite3.connect(tmp_path / "backup.sqlite3")) as backup, backup:
        (key,) = backup.execute("SELECT value FROM meta WHERE key = 'privacy_key'").fetchone()
    assert key == used
    shutil.copy(own_key, tmp_path / "copy.key")
    other = Seal(tmp_path / "other.key")
    with pytest.raises(SetupError, match=f"sealed with the privacy key {used}"):
        restore(place, tmp_path / "backup.sqlite3", tmp_path / "kept.sqlite3", lambda verdict: None, other)
    with closing(SqlStore.open(place)) as store:
        assert everything(store) == before
    own_key.unlink()
    shutil.copy(tmp_path / "copy.key", own_key)
    restore(place, tmp_path / "backup.sqlite3", tmp_path / "kept.sqlite3", lambda verdict: None)
    with closing(SqlStore.open(place)) as store:
        assert everything(store) == before


def test_a_new_database_on_a_new_machine_can_take_a_backup_with_its_key(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = Seal(tmp_path / "first.key")
    with closing(SqlStore.open(tmp_path / "first.sqlite3", seal=seal)) as store:
        fill(store)
        back_up(store, tmp_path / "backup.sqlite3")
    again = Seal(seal.file)
    restore(place, tmp_path / "backup.sqlite3", tmp_path / "kept.sqlite3", lambda verdict: None, again)
    with closing(SqlStore.open(place, seal=Seal(seal.file))) as store:
        assert store.load_register()[1] == a_register()


# ---------------------------------------------------------------------------------------------------------------------
# What earlier releases have written openly


def flush(server: PostgresServer) -> None:
    """Have it write its pages, and delete the files that it does not need any more."""
    with server.connect("postgres") as connection:
        connection.execute("CHECKPOINT")


OLD_WORDS = ("柳奶奶", "彭小平", "吴医生", "3栋502", "+8613800000000", "水管漏水")


@pytest.fixture
def old(place: Place) -> Iterator[SqlStore]:
    with closing(SqlStore(place)) as store:
        store._database.prepare()
        with store._engine.begin() as connection:
            rebuild(connection, read_golden("0001.json"))
        yield store


def test_what_an_earlier_release_wrote_openly_is_gone_from_the_files(
    old: SqlStore, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Of a server the tables: its own log keeps what was written until it is recycled."""
    folder = tmp_path if kind == "sqlite" else request.getfixturevalue("postgres").folder / "data" / "base"
    if kind == "postgresql":
        flush(request.getfixturevalue("postgres"))
    assert {word for word, _ in found(OLD_WORDS, [folder])} == set(OLD_WORDS)
    old.upgrade()
    if kind == "postgresql":
        flush(request.getfixturevalue("postgres"))
    assert found(OLD_WORDS, [folder]) == []
    check(old)


def test_a_note_is_kept_and_leaves_the_journal(old: SqlStore) -> None:
    with old._engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM journal WHERE after LIKE '%水管%'")).scalar_one() > 0
    old.upgrade()
    assert old.note_of(uid(2)) == "水管漏水，已修好"
    with old._engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM journal WHERE after LIKE '%note%水管%'")).scalar_one() == 0
    with pytest.raises(DBAPIError, match="append-only"):
        change(old, "UPDATE journal SET after = '{}'")


def test_traces_that_cannot_be_removed_now_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(SqlStore.open(tmp_path / "relay.sqlite3")) as store:
        fill(store)
        with closing(sqlite3.connect(tmp_path / "relay.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            store._database.engine.dispose()
            with closing(SqlStore(tmp_path / "relay.sqlite3", busy_s=0)) as waiting:
                waiting._database.forget_traces()
    assert "store.traces_left" in capsys.readouterr().out


def test_the_name_of_an_account_that_stood_there_openly_is_sealed(place: Place) -> None:
    with closing(SqlStore(place)) as store:
        store._database.prepare()
        with store._engine.begin() as connection:
            migrate_to(connection, "0006")
            added = "(id, login, name, language, locked, created_at) VALUES ('a', 'wang', '王芳', 'zh-CN', :no, 0)"
            connection.execute(text(f"INSERT INTO account {added}"), {"no": False})
        store.upgrade()
        with store.reading() as connection:
            assert "王芳" not in str(connection.execute(text("SELECT * FROM account")).all())
        assert [account.name for account in store.people.accounts()] == ["王芳"]
        change(store, "UPDATE account SET name = 'x'")
        assert [finding.subject for finding in store.verify().findings] == ["account.name"]
        assert [account.name for account in store.people.accounts()] == ["wang"]


def test_a_new_key_seals_all_that_is_in_either_database(place: Place, own_key: Path) -> None:
    with closing(SqlStore.open(place)) as store:
        fill(store)
        tell_of_people(store)
        before = everything(store)
        (first,) = read_keys(own_key)
        done = rotate(store, destroy=True)
        assert (done.left, done.kept, [key.id for key in read_keys(own_key)]) == (0, (), [done.key])
        assert everything(store) == before
        assert store.verify().findings == []
    with closing(SqlStore.open(place)) as store:
        assert everything(store) == before
        assert store.note_of(uid(2)) == "水管漏水，请看心脏病史"
    write_keys(own_key, [first])
    with pytest.raises(SetupError, match=done.key):
        SqlStore.open(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_a_key_that_root_makes_belongs_to_the_relay_whose_database_it_is(own_key: Path, tmp_path: Path) -> None:
    """Otherwise the relay could not start after a technician has imported the register as root."""
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 12345, 12345)
    with closing(SqlStore.open(data / "relay.sqlite3")) as store:
        assert own_key.stat().st_uid == 12345
        rotate(store, destroy=True)
    assert (own_key.stat().st_uid, own_key.stat().st_mode & 0o777) == (12345, 0o600)
