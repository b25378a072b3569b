"""``doorbell-relay audit``, and that every command which looks at or changes somebody writes a line."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from relay.audit import AuditEntry, AuditWord
from relay.audit_head import read_head
from tests.relay.office import ALARM, Office

ME = f"os:{pwd.getpwuid(os.getuid()).pw_name}"


def lines(office: Office) -> list[tuple[str, str | None]]:
    with closing(office.store()) as store:
        return [(line.what, line.household) for line in store.audit.lines()]


def newest(office: Office) -> dict[str, object]:
    with closing(office.store()) as store:
        line = store.audit.newest(limit=1)[0]
    return {
        "who": line.who,
        "what": line.what,
        "community": line.community,
        "household": line.household,
        **line.facts(),
    }


def spoil(office: Office, *statements: str) -> None:
    with closing(sqlite3.connect(office.folder / "data" / "relay.sqlite3", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_an_import_tells_what_it_changed_by_ids(busy: Office) -> None:
    told = newest(busy)
    assert (told["who"], told["what"], told["version"]) == (ME, "register_imported", 1)
    changes = told["changes"]
    assert isinstance(changes, dict)
    assert changes["households"]["added"]["count"] == 4
    assert "liu" in changes["households"]["added"]["ids"]
    busy.register.write_text(busy.register.read_text("utf-8").replace("柳奶奶", "柳婆婆"), encoding="utf-8")
    assert busy.run("register", "import", str(busy.register), "--dry-run")[0] == 0
    assert len(lines(busy)) == 1, "nothing was changed"
    assert busy.run("register", "import", str(busy.register))[0] == 0
    assert newest(busy)["changes"] == {"households": {"changed": {"count": 1, "ids": ["liu"]}}}
    with closing(busy.store()) as store:
        assert not any("柳" in line.detail for line in store.audit.lines())
        assert store.load_register()[1].households["liu"].label == "柳婆婆"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("alarms", "list"), {"what": "alarms_listed", "households": {"count": 2, "ids": ["chen", "liu"]}}),
        (
            ("alarms", "show", ALARM),
            {"what": "alarm_seen", "community": "xihushan", "household": "liu", "alarm": ALARM},
        ),
        (("journal", "--alarm", ALARM), {"what": "journal_read", "alarm": ALARM}),
        (("journal", "--community", "xihu"), {"what": "journal_read", "community": "xihu"}),
        (("rejected", "list"), {"what": "rejected_read", "count": 1}),
        (("register", "export", "-"), {"what": "register_exported", "households": 4, "people": 7, "devices": 11}),
        (
            ("alarms", "close", ALARM, "--outcome", "helped", "--yes", "--wait", "0"),
            {"what": "alarm_close_asked", "household": "liu", "alarm": ALARM, "outcome": "helped"},
        ),
        (("store", "retain"), {"what": "store_retained", "audit": 0}),
        (("audit", "list", "--household", "liu"), {"what": "audit_read", "household": "liu"}),
        (("audit", "export", "-"), {"what": "audit_exported"}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_every_look_and_every_change_is_a_line(busy: Office, words: tuple[str, ...], told: dict[str, object]) -> None:
    before = len(lines(busy))
    assert busy.run(*words)[0] == 0
    assert len(lines(busy)) == before + 1
    found = newest(busy)
    assert {key: found.get(key) for key in told} == told
    assert found["who"] == ME


def test_who_it_was_does_not_come_from_the_environment(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert busy.run("alarms", "list")[0] == 0
    assert newest(busy)["who"] == ME


def test_a_question_that_shows_a_household_is_a_look(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert busy.run("alarms", "close", ALARM, "--outcome", "helped")[0] == 1
    assert lines(busy)[-1] == (AuditWord.ALARM_SEEN, "liu")


def test_what_cannot_be_recorded_is_not_shown(busy: Office) -> None:
    spoil(busy, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    for words in (("alarms", "show", ALARM), ("register", "export", "-"), ("journal",), ("audit", "list")):
        code, out, err = busy.run(*words)
        assert (code, out, "disk full" in err) == (ExitCode.UNAVAILABLE, "", True)
    code, _, _ = busy.run("alarms", "close", ALARM, "--outcome", "helped", "--yes", "--wait", "0")
    assert code == ExitCode.UNAVAILABLE
    with closing(busy.store()) as store:
        assert store.poll()[1] == []


def test_the_authority_tells_what_it_issues_where_there_is_a_database(busy: Office) -> None:
    (busy.folder / "root.passphrase").write_text("four words of no kin\n")
    (busy.folder / "root.passphrase").chmod(0o600)
    words = (
        "authority",
        "create",
        "--name",
        "西湖山社区",
        "--root-passphrase-file",
        str(busy.folder / "root.passphrase"),
    )
    assert busy.run(*words)[0] == 0
    issue = ("authority", "issue", "device", "bell-peng", "--to", str(busy.folder / "bell"))
    assert busy.run(*issue)[0] == 0
    with closing(busy.store()) as store:
        line = store.audit.newest(limit=1)[0]
    assert (line.what, line.device, line.facts()) == (
        "identity_issued",
        "bell-peng",
        {"for": "device", "name": "bell-peng"},
    )
    assert busy.run("authority", "revoke", "bell-peng", "--why", "stolen")[0] == 0
    assert [what for what, _ in lines(busy)][-3:] == ["authority_created", "identity_issued", "identity_revoked"]
    assert newest(busy)["why"] == "stolen"


def test_the_list_is_paged_in_both_languages(busy: Office) -> None:
    for _ in range(3):
        assert busy.run("alarms", "show", ALARM)[0] == 0
    code, out, _ = busy.run("audit", "list", "--limit", "2")
    assert (code, "查看警报" in out, "更早的：加 --before 3" in out) == (0, True, True)
    code, out, _ = busy.run("audit", "list", "--limit", "10", "--before", "3", "--language", "en")
    assert (code, "saw an alarm" in out, "imported a register" in out, "--before" in out) == (0, True, True, False)
    code, out, _ = busy.run("audit", "list", "--what", "signed_in")
    assert (code, out.strip()) == (0, "没有这样的操作记录")
    code, out, _ = busy.run("audit", "list", "--since", "2001-01-01", "--until", "2002-01-01", "--json")
    assert json.loads(out) == []


def test_an_export_has_what_was_hashed(busy: Office) -> None:
    file = busy.folder / "audit.jsonl"
    code, out, _ = busy.run("audit", "export", str(file))
    assert (code, "2 行" in out, file.stat().st_mode & 0o077) == (0, True, 0)
    told = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["seq"] for line in told] == [1, 2]
    assert all(len(line["hash"]) == 64 and json.loads(line["detail"]) is not None for line in told)
    assert busy.run("audit", "export", str(file))[0] == ExitCode.SETUP
    assert busy.run("audit", "export", str(file), "--force")[0] == 0
    assert busy.run("audit", "export", str(busy.folder / "none" / "x"))[0] == ExitCode.SETUP


def test_verify_says_that_it_is_whole_and_what_the_head_is(busy: Office) -> None:
    code, out, err = busy.run("audit", "verify")
    with closing(busy.store()) as store:
        head = store.audit.head()
    assert (code, "操作记录完整：1 行（1 到 1）" in out, str(head) in out, err) == (0, True, True, "")
    assert read_head(busy.folder / "data" / "relay-audit-head") == head
    code, out, _ = busy.run("audit", "verify", "--head", str(head), "--json", "--language", "en")
    assert (code, json.loads(out)) == (0, {"lines": 1, "first": 1, "head": str(head), "findings": []})
    assert busy.run("audit", "verify", "--head", "7")[0] == ExitCode.SETUP


UNLOCK = ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")


def test_verify_tells_what_was_done_to_it(busy: Office) -> None:
    for _ in range(3):
        assert busy.run("alarms", "show", ALARM)[0] == 0
    spoil(busy, *UNLOCK, "UPDATE audit SET who = 'os:nobody' WHERE seq = 2", "DELETE FROM audit WHERE seq = 4")
    code, out, _ = busy.run("audit", "verify", "--language", "en")
    assert code == 1
    assert "line 2: does not follow from the one before" in out
    assert "line 4: this noted head is not there" in out
    assert "no longer refuses changes of the log (audit_no_delete)" in out
    code, out, _ = busy.run("audit", "verify", "--json")
    assert (code, {one["fault"] for one in json.loads(out)["findings"]}) == (1, {"altered", "truncated", "unprotected"})


def test_without_a_noted_head_verify_says_that_it_cannot_tell(busy: Office) -> None:
    note = busy.folder / "data" / "relay-audit-head"
    note.unlink()
    code, _, err = busy.run("audit", "verify", "--language", "en")
    assert (code, "cannot be told" in err) == (0, True)
    note.write_text("rubbish")
    assert busy.run("audit", "verify")[0] == 1


def test_a_restore_is_a_line_and_sets_the_head_back(busy: Office) -> None:
    copy = busy.folder / "x.sqlite3"
    assert busy.run("store", "backup", str(copy))[0] == 0
    for _ in range(3):
        assert busy.run("alarms", "show", ALARM)[0] == 0
    with closing(busy.store()) as store:
        lost = store.audit.head()
    assert busy.run("store", "restore", str(copy), "--yes")[0] == 0
    assert [what for what, _ in lines(busy)] == ["register_imported", "store_backed_up", "store_restored"]
    told = newest(busy)
    assert (told["file"], told["head_before"]) == ("x.sqlite3", str(lost))
    assert busy.run("audit", "verify")[0] == 0
    assert busy.run("audit", "verify", "--head", str(lost))[0] == 1


def test_retain_cuts_the_log_and_it_verifies(busy: Office) -> None:
    with closing(busy.store()) as store:
        old = store.audit.newest()[0]
    spoil(busy, *UNLOCK, "DELETE FROM audit", "DROP TRIGGER audit_no_replace")
    with closing(busy.store()) as store:
        for year in (2001, 2002):
            store.audit.append(AuditEntry(ME, AuditWord.SIGNED_IN), datetime(year, 1, 1, tzinfo=UTC))
    assert old.seq == 1
    assert busy.run("alarms", "list")[0] == 0
    code, out, _ = busy.run("store", "retain", "--dry-run", "--json")
    assert (code, json.loads(out)["audit"]["old"]) == (0, 2)
    code, out, _ = busy.run("store", "retain", "--json")
    assert (code, json.loads(out)["audit"]["gone"]) == (0, 2)
    assert [what for what, _ in lines(busy)] == ["alarms_listed", "audit_cut", "store_retained"]
    with closing(busy.store()) as store:
        faults = {finding.fault.value for finding in store.audit.verify().findings}
    assert faults == {"unprotected"}


def test_a_folder_that_cannot_be_written_costs_a_warning(busy: Office) -> None:
    note = busy.folder / "data" / "relay-audit-head"
    note.unlink()
    note.mkdir()
    code, _, err = busy.run("alarms", "show", ALARM)
    assert (code, "末行没能记到" in err) == (0, True)
    assert busy.run("audit", "verify")[0] == 1


def test_the_log_is_not_in_the_way_of_a_missing_database(office: Office, tmp_path: Path) -> None:
    assert office.run("audit", "list")[0] == ExitCode.SETUP
    assert not (tmp_path / "data").exists()
