"""``doorbell-relay privacy``: an export shows all, an erasure leaves nothing, and the key is cared for."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from doorbell.service import ExitCode
from relay.adapters.store import SqlStore
from relay.adapters.store_copies import back_up
from relay.adapters.store_sqlite import SqliteDatabase
from relay.core.alarm import NoteType, Outcome
from relay.ports import Batch, EventRow, NoticeRow, RejectedRow, TwinRow
from relay.privacy_key import KEY_FILE_VARIABLE, read_keys
from relay.verdict import Fault
from tests.relay.care import change, fill
from tests.relay.office import Office
from tests.relay.rows import T0, a_register, accepted, an_alarm, changing, closed, uid
from tests.relay.search import found

WORDS = ("彭小平", "+8613800000000", "柳奶奶", "3栋502")
PENG, LIU = WORDS[:2], WORDS[2:]


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Office:
    """A database with a key beside the settings, in which everything tells of 彭小平 and of 柳奶奶."""
    monkeypatch.delenv(KEY_FILE_VARIABLE)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    office = Office(tmp_path, capsys)
    office.config.write_text('name = "test"\ndatabase = "data/relay.sqlite3"\n', encoding="utf-8")
    (tmp_path / "data").mkdir()
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "privacy.key"))
    with closing(office.store()) as store:
        fill(store)
        both = "、".join(WORDS)
        number = store.add_command(uid(2), Outcome.HELPED, f"{both}，陈先生很好", "office")
        own = store.add_command(uid(3), Outcome.HELPED, "水管漏水", "office")
        rejected = [
            RejectedRow(T0, "doorbell/v1/xihu/x/event", word.encode(encoding), "not_json", "")
            for word in WORDS
            for encoding in ("utf-8", "utf-16-le", "gb18030")
        ]
        rejected += [RejectedRow(T0, f"x/{word}", b"", "bad_topic", word) for word in WORDS]
        rejected += [RejectedRow(T0, "x", json.dumps(word).encode(), "not_json", "") for word in WORDS]
        store.commit(
            Batch(
                commands_done={number: "applied", own: "applied"},
                rejected=rejected,
                twins={
                    "panel-liu": TwinRow("panel-liu", 3, (), f'{{"who":"{both}"}}'.encode()),
                    "bell-wu": TwinRow("bell-wu", 3, (), f'{{"label":"{both}"}}'.encode()),
                    "bell-chen": TwinRow("bell-chen", 3, (), b'{"label":"Mr Chen"}'),
                },
                events=[EventRow(uid(30), "xihu", "panel-liu", "fault", T0, T0, None, "applied", both.encode())],
                notices={"n/5": NoticeRow("n/5", "xihu", uid(1), "board", {"text": both}, T0, state="sent")},
            )
        )
    return office


def close_alarm(office: Office) -> None:
    with closing(office.store()) as store:
        store.commit(changing(closed(accepted(an_alarm(1))), NoteType.CLOSED))
        change(store, "UPDATE notice SET state = 'sent'")


def texts(office: Office) -> str:
    """Whatever can be read of the database with the key."""
    with closing(office.store()) as store:
        told = [repr(store.load()), repr(store.rejected(1_000)), repr(store.notices()), repr(list(store.journal()))]
        told += [store.note_of(uid(number)) for number in (1, 2, 3)]
        return "\n".join(told)


@pytest.mark.parametrize(("subject", "words"), [("peng", PENG), ("home-liu", LIU)])
def test_an_export_has_all_that_is_kept(office: Office, subject: str, words: tuple[str, ...]) -> None:
    code, out, _ = office.run("privacy", "export", subject, "--json")
    assert code == 0
    told = json.loads(out)
    keys = ("name", "phone") if subject == "peng" else ("label", "place")
    assert tuple(told["subject"][key] for key in keys) == words
    assert uid(1) in [alarm["id"] for alarm in told["alarms"]]
    assert {one["alarm"] for one in told["notes"]} == {uid(2)} | ({uid(3)} if subject == "home-liu" else set())
    assert [notice["id"] for notice in told["notices"]] == (["n/5"] if subject == "peng" else ["n/1", "n/2", "n/5"])
    assert len(told["rejected"]) == 10
    assert told["shown_at"] == ["bell-wu", "panel-liu"]
    assert told["devices"][0]["id"] == ("bell-peng" if subject == "peng" else "panel-liu")
    if subject == "home-liu":
        assert told["journal"]
        assert told["events"]
        assert told["volunteers"] == ["wu", "peng"]
    else:
        assert told["households"] == ["home-liu"]
        assert told["groups"] == ["office"]
    again = json.loads(office.run("privacy", "export", subject, "--json")[1])
    assert [one["what"] for one in again["accesses"]] == ["person_exported"]


def test_an_export_can_be_read_by_people(office: Office) -> None:
    out = office.run("privacy", "export", "peng")[1]
    assert "彭小平" in out
    assert "有关的警报" in out
    assert "Alarms that concern them" in office.run("--language", "en", "privacy", "export", "peng")[1]


def test_nobody_is_no_subject(office: Office) -> None:
    assert office.run("privacy", "export", "nobody")[0] == ExitCode.SETUP
    code, _, err = office.run("privacy", "erase", "nobody", "--confirm", "nobody")
    assert code == ExitCode.SETUP
    assert "nobody" in err


@pytest.mark.parametrize("subject", ["peng", "home-liu"])
def test_while_an_alarm_concerns_them_nothing_is_erased(office: Office, subject: str) -> None:
    code, _, err = office.run("privacy", "erase", subject, "--confirm", subject, "--wait", "0")
    assert code == ExitCode.SETUP
    assert uid(1)[:8] in err
    assert all(word in texts(office) for word in WORDS)


def test_while_somebody_is_to_be_told_of_them_nothing_is_erased(office: Office) -> None:
    close_alarm(office)
    with closing(office.store()) as store:
        change(store, "UPDATE notice SET state = 'pending' WHERE id = 'n/1'")
    assert office.run("privacy", "erase", "home-liu", "--confirm", "home-liu", "--wait", "0")[0] == ExitCode.SETUP


@pytest.mark.parametrize("way", ["dry", "wrong", "typed_wrong"])
def test_nothing_goes_before_the_id_is_typed(office: Office, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    close_alarm(office)
    before = texts(office)
    monkeypatch.setattr("sys.stdin", io.StringIO("home-chen\n"))
    more = {"dry": ["--dry-run"], "wrong": ["--confirm", "peng"], "typed_wrong": []}[way]
    code, out, _ = office.run("privacy", "erase", "home-liu", *more)
    assert code == (0 if way == "dry" else 1)
    assert "柳奶奶" in out
    assert "备注 2、通知 3、无法使用的消息 10、设备上显示的内容 2、事件 1" in out
    assert texts(office) == before


@pytest.mark.parametrize(("subject", "gone", "stay"), [("peng", PENG, LIU), ("home-liu", LIU, PENG)])
def test_after_an_erasure_nothing_tells_of_them_and_all_else_is_there(
    office: Office, subject: str, gone: tuple[str, ...], stay: tuple[str, ...]
) -> None:
    office.run("register", "export", str(office.register))
    office.run("register", "import", str(office.register))
    close_alarm(office)
    with closing(office.store()) as store:
        lines = list(store.journal())
        store.replace_register(a_register())
    kept = office.folder / "data" / "relay-register-1.toml"
    kept.write_bytes(b"a copy of before")
    code, out, err = office.run("privacy", "erase", subject, "--confirm", subject, "--wait", "0")
    assert (code, "已删除" in out) == (0, True), err
    assert "还有 2 台设备" in err
    told = texts(office)
    assert [word for word in gone if word in told] == []
    assert [word for word in stay if word not in told] == []
    assert "陈先生很好" in told
    assert ("水管漏水" in told) == (subject == "peng")
    assert not kept.exists()
    with closing(office.store()) as store:
        assert list(store.journal()) == lines
        assert store.verify().findings == []
        register = store.load_register()[1]
        assert subject not in {*register.people, *register.households}
        assert store.load().twins["bell-chen"].content == b'{"label":"Mr Chen"}'
        assert store.load().twins["bell-wu"].content == b""
        assert len(store.rejected(1_000)) == 11
        last = store.audit.newest(limit=1)[0]
        assert (last.what, subject in (last.person, last.household)) == ("person_erased", True)
    assert found(gone, [office.folder / "data"]) == []
    assert office.run("privacy", "export", subject)[0] == ExitCode.SETUP


def test_a_register_that_changes_meanwhile_is_not_overwritten(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    close_alarm(office)
    known = SqlStore.load_register

    def load_and_change(store: SqlStore) -> object:
        version, register = known(store)
        change(store, "UPDATE meta SET value = value || '1' WHERE key = 'register_version'")
        return version, register

    monkeypatch.setattr(SqlStore, "load_register", load_and_change)
    assert office.run("privacy", "erase", "peng", "--confirm", "peng", "--wait", "0")[0] == ExitCode.SETUP
    monkeypatch.undo()


# ---------------------------------------------------------------------------------------------------------------------
# The key


def test_a_key_is_made_once_and_shown_without_its_digits(office: Office) -> None:
    path = office.folder / "privacy.key"
    (one,) = read_keys(path)
    code, out, _ = office.run("privacy", "key", "create")
    assert (code, one.id in out, "没有改动" in out, "抄一份" in out) == (0, True, True, True)
    code, out, _ = office.run("privacy", "key", "show")
    assert f"密钥 {one.id}，{one.made} 建立，数据库正在用" in out
    assert one.secret.hex() not in out
    path.rename(office.folder / "away")
    assert office.run("privacy", "key", "show")[0] == ExitCode.SETUP
    code, _, err = office.run("alarms", "list")
    assert code == ExitCode.SETUP
    assert f"sealed with the privacy key {one.id}" in err


def test_the_first_start_makes_the_key_beside_the_settings(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_FILE_VARIABLE)
    shutil.rmtree(office.folder / "data")
    (office.folder / "privacy.key").unlink()
    assert "privacy.key" in office.run("privacy", "key", "create")[1]
    assert len(read_keys(office.folder / "privacy.key")) == 1


@pytest.mark.parametrize("destroy", [False, True])
def test_a_new_key_seals_everything_anew(office: Office, destroy: bool) -> None:
    before, path = texts(office), office.folder / "privacy.key"
    (first,) = read_keys(path)
    backup = office.folder / "backup.sqlite3"
    with closing(office.store()) as store:
        back_up(store, backup)
    code, out, err = office.run("privacy", "key", "rotate", *(["--destroy-old"] if destroy else []))
    assert code == 0, err
    keys = read_keys(path)
    assert (first in keys) == (not destroy)
    assert keys[-1].id in out
    assert texts(office) == before
    with closing(office.store()) as store:
        assert store.seal.current == keys[-1].id
        assert store.verify().findings == []
    assert bytes.fromhex(first.id) not in (office.folder / "data" / "relay.sqlite3").read_bytes()
    code, _, err = office.run("store", "restore", str(backup), "--yes")
    assert code == (ExitCode.SETUP if destroy else 0)
    assert (first.id in err) == destroy


def test_what_cannot_be_opened_keeps_its_key(office: Office) -> None:
    with closing(office.store()) as store:
        change(store, "UPDATE person SET phone = name WHERE id = 'peng'")
    (first,) = read_keys(office.folder / "privacy.key")
    code, _, err = office.run("privacy", "key", "rotate", "--destroy-old")
    assert (code, "1 项打不开" in err) == (0, True)
    assert first in read_keys(office.folder / "privacy.key")
    with closing(office.store()) as store:
        assert [finding.fault for finding in store.verify().findings] == [Fault.UNSEALABLE]


def test_while_a_relay_runs_no_key_is_replaced(office: Office) -> None:
    path = office.folder / "data" / "relay.sqlite3"
    with closing(office.store()) as store, closing(SqliteDatabase(path, 0, store.seal)) as other:
        other.own()
        keys = read_keys(office.folder / "privacy.key")
        assert office.run("privacy", "key", "rotate")[0] == ExitCode.SETUP
    assert read_keys(office.folder / "privacy.key") == keys


def test_a_kept_register_without_its_key_says_so(office: Office) -> None:
    office.run("register", "export", str(office.register))
    changed = office.register.read_text(encoding="utf-8").replace("柳奶奶", "柳婆婆")
    office.register.write_text(changed, encoding="utf-8")
    assert office.run("register", "import", str(office.register))[0] == 0
    (kept,) = (office.folder / "data").glob("relay-register-*.toml")
    office.run("privacy", "key", "rotate", "--destroy-old")
    code, _, err = office.run("register", "check", str(kept))
    assert (code, kept.name in err) == (ExitCode.SETUP, True)


@pytest.mark.parametrize("open_again", [False, True])
def test_who_was_erased_does_not_come_back_with_a_backup(office: Office, open_again: bool) -> None:
    backup = office.folder / "backup.sqlite3"
    if not open_again:
        close_alarm(office)
    with closing(office.store()) as store:
        back_up(store, backup)
    if open_again:
        close_alarm(office)
    assert office.run("privacy", "erase", "peng", "--confirm", "peng", "--wait", "0")[0] == 0
    code, out, err = office.run("store", "restore", str(backup), "--yes")
    assert code == 0, err
    assert ("已再次删除：peng" in out, "privacy erase peng" in err) == (not open_again, open_again)
    told = texts(office)
    assert ("彭小平" in told) == open_again
    assert "柳奶奶" in told
    with closing(office.store()) as store:
        assert store.verify().findings == []
    assert office.run("audit", "verify")[0] == 0


def test_who_is_registered_anew_stays_after_a_restore(office: Office) -> None:
    close_alarm(office)
    assert office.run("privacy", "erase", "peng", "--confirm", "peng", "--wait", "0")[0] == 0
    with closing(office.store()) as store:
        store.replace_register(a_register())
        back_up(store, office.folder / "backup.sqlite3")
    code, out, _ = office.run("store", "restore", str(office.folder / "backup.sqlite3"), "--yes")
    assert (code, "已再次删除" in out) == (0, False)
    assert "彭小平" in texts(office)


# ---------------------------------------------------------------------------------------------------------------------
# Accounts, and kept registers


def test_whose_account_it_is_goes_with_the_person(office: Office) -> None:
    close_alarm(office)
    words = ("--name", "彭小平", "--role", "volunteer:xihu", "--person", "peng")
    assert office.run("account", "add", "xiaoping", *words)[0] == 0
    with closing(office.store()) as store, store.reading() as connection:
        assert "彭小平" not in str(connection.execute(text("SELECT * FROM account")).all())
    told = json.loads(office.run("privacy", "export", "peng", "--json")[1])
    assert [(one["login"], one["name"], one["roles"]) for one in told["accounts"]] == [
        ("xiaoping", "彭小平", ["volunteer:xihu"])
    ]
    code, out, err = office.run("privacy", "erase", "peng", "--confirm", "peng", "--wait", "0")
    assert (code, "账号：xiaoping" in out) == (0, True), err
    with closing(office.store()) as store:
        (account,) = store.people.accounts()
        assert (account.login, account.name, account.person, account.erased) == ("", "", None, True)


def test_the_only_one_who_manages_accounts_is_not_erased_by_the_way(office: Office) -> None:
    close_alarm(office)
    words = ("--name", "彭小平", "--role", "office:*", "--person", "peng")
    assert office.run("account", "add", "xiaoping", *words)[0] == 0
    assert office.run("privacy", "erase", "peng", "--confirm", "peng", "--wait", "0")[0] == ExitCode.SETUP
    assert "彭小平" in texts(office)


def test_kept_registers_go_in_their_time(office: Office) -> None:
    old, new = (office.folder / "data" / f"relay-register-{number}.toml" for number in (1, 2))
    for path in (old, new):
        path.write_bytes(b"a register of before")
    long_ago = time.time() - 91 * 86_400
    os.utime(old, (long_ago, long_ago))
    assert json.loads(office.run("store", "retain", "--dry-run", "--json")[1])["registers"]["old"] == 1
    assert old.exists()
    told = json.loads(office.run("store", "retain", "--json")[1])["registers"]
    assert (told["old"], told["staying"], told["gone"]) == (1, 1, 1)
    assert (old.exists(), new.exists()) == (False, True)
