"""``doorbell-relay store``: what a person at the office types and reads."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from doorbell.service import ExitCode
from relay.adapters.store import SqlStore
from tests.postgres import PostgresServer
from tests.relay.office import ALARM, EXAMPLE, OTHER, Office


def spoil(office: Office, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(office.folder / "data" / "relay.sqlite3", isolation_level=None)) as connection:
        connection.execute(statement, values)


def test_verify_says_that_all_is_well_in_both_languages(busy: Office) -> None:
    code, out, _ = busy.run("store", "verify")
    assert (code, out.strip()) == (0, "没有问题：2 个警报（2 个未结束）与日志的 5 行状态一致")
    code, out, _ = busy.run("store", "verify", "--language", "en")
    assert (code, out.strip()) == (0, "all is well: 2 alarms (2 open) are as 5 lines of the journal tell them")


def test_verify_lists_what_is_wrong_and_ends_with_1(busy: Office) -> None:
    spoil(busy, "UPDATE alarm SET deadline = NULL WHERE id = ?", ALARM)
    spoil(busy, "DELETE FROM alarm WHERE id = ?", OTHER)
    code, out, _ = busy.run("store", "verify", "--language", "en")
    assert code == 1
    assert f"{ALARM}: what it is searched by is not what it says (deadline)" in out
    assert f"{OTHER}: the journal tells of it, but the alarm is not there" in out
    assert "2 thing(s) wrong" in out
    code, out, _ = busy.run("store", "verify", "--json")
    told = json.loads(out)
    assert (code, told["alarms"], told["findings"][1]) == (
        1,
        1,
        {"fault": "no_alarm", "subject": OTHER, "detail": ""},
    )


def test_a_flood_of_findings_is_cut_short(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.commands.store.MAX_SHOWN", 1)
    spoil(busy, "UPDATE alarm SET deadline = NULL")
    _, out, _ = busy.run("store", "verify", "--language", "en")
    assert (out.count("is searched by"), "... and 1 more" in out) == (1, True)


def test_a_backup_goes_to_a_file_or_into_a_folder(busy: Office) -> None:
    folder = busy.folder / "backups"
    folder.mkdir()
    code, out, _ = busy.run("store", "backup", str(folder))
    (made,) = folder.iterdir()
    assert (code, str(made) in out, made.name.startswith("relay-20")) == (0, True, True)
    assert "2 个未结束" in out
    assert busy.run("store", "backup", str(folder / "x.sqlite3"))[0] == 0
    code, _, err = busy.run("store", "backup", str(folder / "x.sqlite3"))
    assert (code, "已存在" in err) == (ExitCode.SETUP, True)
    assert busy.run("store", "backup", str(folder / "x.sqlite3"), "--force")[0] == 0


def test_the_newest_backups_are_kept_and_nothing_else_is_touched(busy: Office) -> None:
    folder = busy.folder / "backups"
    folder.mkdir()
    older = [f"relay-202611{day:02}T031000Z.sqlite3" for day in (7, 9, 8)]
    for name in (*older, "relay-before.sqlite3", "relay-20261101T031000Z.sqlite3.copy", "mine"):
        (folder / name).touch()
    code, out, _ = busy.run("store", "backup", str(folder), "--keep", "2", "--language", "en")
    made = [path.name for path in folder.iterdir() if path.stat().st_size]
    assert (code, len(made), "2 older back-up(s) deleted" in out) == (0, 1, True)
    others = {"relay-before.sqlite3", "relay-20261101T031000Z.sqlite3.copy", "mine"}
    assert {path.name for path in folder.iterdir()} == {*made, "relay-20261109T031000Z.sqlite3", *others}


def test_an_unsound_backup_takes_no_older_ones_place(busy: Office) -> None:
    """It may be the last that is sound."""
    folder = busy.folder / "backups"
    folder.mkdir()
    (folder / "relay-20261101T031000Z.sqlite3").touch()
    spoil(busy, "UPDATE alarm SET deadline = NULL")
    code, _, err = busy.run("store", "backup", str(folder), "--keep", "1")
    assert (code, "一个也没有删" in err, len([*folder.iterdir()])) == (1, True, 2)


def test_the_backup_just_made_stays_though_the_clock_is_behind(busy: Office) -> None:
    folder = busy.folder / "backups"
    folder.mkdir()
    (folder / "relay-20991101T031000Z.sqlite3").touch()
    assert busy.run("store", "backup", str(folder), "--keep", "1")[0] == 0
    (left,) = folder.iterdir()
    assert left.stat().st_size


def test_keeping_needs_a_folder(busy: Office) -> None:
    code, _, err = busy.run("store", "backup", str(busy.folder / "x.sqlite3"), "--keep", "3", "--language", "en")
    assert (code, "is for a folder" in err) == (ExitCode.SETUP, True)
    assert not (busy.folder / "x.sqlite3").exists()


def test_an_old_backup_that_cannot_be_deleted_is_told(busy: Office) -> None:
    folder = busy.folder / "backups"
    (folder / "relay-20261101T031000Z.sqlite3").mkdir(parents=True)
    code, _, err = busy.run("store", "backup", str(folder), "--keep", "1", "--language", "en")
    assert (code, "cannot delete the old back-up" in err) == (ExitCode.SETUP, True)


def test_an_unsound_database_is_backed_up_and_said_to_be_so(busy: Office) -> None:
    """A copy of what there is, is better than none."""
    spoil(busy, "UPDATE alarm SET deadline = NULL")
    code, out, _ = busy.run("store", "backup", str(busy.folder / "x.sqlite3"), "--language", "en")
    assert (code, "2 thing(s) wrong" in out) == (1, True)
    assert (busy.folder / "x.sqlite3").exists()
    (busy.folder / "data" / "relay.sqlite3").unlink()
    code, _, err = busy.run("store", "restore", str(busy.folder / "x.sqlite3"), "--yes", "--language", "en")
    assert (code, "add --force" in err) == (ExitCode.SETUP, True)
    assert not (busy.folder / "data" / "relay.sqlite3").exists()
    assert busy.run("store", "restore", str(busy.folder / "x.sqlite3"), "--yes", "--force")[0] == 0
    assert busy.run("alarms", "list")[0] == 0


def test_a_restore_asks_first(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = busy.folder / "x.sqlite3"
    assert busy.run("store", "backup", str(copy))[0] == 0
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", asked.append)  # the answer is no
    code, out, _ = busy.run("store", "restore", str(copy))
    assert (code, "没有恢复" in out, str(copy) in asked[0]) == (1, True, True)
    assert busy.run("store", "restore", str(busy.folder / "none"), "--yes")[0] == ExitCode.SETUP


def test_a_restore_tells_where_the_former_is(busy: Office) -> None:
    copy = busy.folder / "x.sqlite3"
    assert busy.run("store", "backup", str(copy))[0] == 0
    code, out, _ = busy.run("store", "restore", str(copy), "--yes")
    (kept,) = (busy.folder / "data").glob("relay-before-restore-*.sqlite3")
    assert (code, str(kept) in out, "2 个未结束" in out) == (0, True, True)
    assert busy.run("store", "verify")[0] == 0


def test_retain_shows_what_would_go_and_then_deletes_it(busy: Office) -> None:
    busy.config.write_text(
        busy.config.read_text(encoding="utf-8") + "[retention]\njournal_days = 60\nrejected_days = 1\n",
        encoding="utf-8",
    )
    code, out, _ = busy.run("store", "retain", "--dry-run", "--json")
    rejected = json.loads(out)["rejected"]
    assert (code, rejected["old"] + rejected["staying"], rejected["gone"]) == (0, 1, 0)
    code, out, _ = busy.run("store", "retain", "--dry-run")
    assert (code, "60 天" in out, "只是试看" in out) == (0, True, True)
    assert len(busy.store().rejected()) == 1
    code, out, _ = busy.run("store", "retain", "--json")
    assert (code, json.loads(out)["rejected"]["gone"]) == (0, rejected["old"])
    assert len(busy.store().rejected()) == rejected["staying"]
    assert busy.run("store", "retain")[0] == 0


@pytest.mark.parametrize("line", ["journal_days = 29", "events_days = 0", "rejected_days = 0.5", "days = 5"])
def test_a_period_that_is_too_short_is_refused(busy: Office, line: str) -> None:
    busy.config.write_text(busy.config.read_text(encoding="utf-8") + f"[retention]\n{line}\n", encoding="utf-8")
    code, _, err = busy.run("store", "retain", "--dry-run")
    assert (code, "retention." + line.split(" =", maxsplit=1)[0] in err) == (ExitCode.SETUP, True)


# ---------------------------------------------------------------------------------------------------------------------
# With a relay's process


@contextmanager
def relay_of(office: Office) -> Iterator[Callable[..., dict[str, Any]]]:
    """A relay of its own process; gives what waits for a line of its log, by event and alarm. Killed at the end."""
    words = [sys.executable, "-m", "relay", "run", "--config", str(office.config)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=EXAMPLE.parents[1])
    patience = threading.Timer(60, process.kill)
    patience.start()
    assert process.stderr is not None
    lines = process.stderr

    told: list[dict[str, Any]] = []

    def wait_for(event: str, alarm: str | None = None) -> dict[str, Any]:
        def wanted(line: dict[str, Any]) -> bool:
            return line["event"].startswith(event) and alarm in (None, line.get("alarm"))

        while not any(map(wanted, told)):
            line = lines.readline()
            assert line, f"the relay ended before {event}"
            told.append(json.loads(line))
        return next(filter(wanted, told))

    try:
        yield wait_for
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines.close()
        patience.cancel()


@pytest.mark.system
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_a_restored_backup_is_sound_and_its_open_alarms_continue(
    busy: Office, kind: str, request: pytest.FixtureRequest
) -> None:
    """Back-up while a relay runs, the machine lost, restored on another, and nobody is forgotten."""
    copy = busy.folder / "copy.sqlite3"
    # On a server there may be several relays: each takes communities after its start, the example's one here.
    serving, counted, number = (
        ("relay.started", "alarms", 2) if kind == "sqlite" else ("leases.taken", "communities", 1)
    )
    # Nothing listens on port 9: the link goes on trying, and deadlines need none.
    settings = 'name = "test"\ndatabase = "{place}"\n[mqtt]\nport = 9\n'
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        assert busy.run("store", "backup", str(copy))[0] == 0
        busy.config.write_text(settings.format(place=server.ready()), encoding="utf-8")
        assert busy.run("store", "restore", str(copy), "--yes")[0] == 0
        copy.unlink()
    else:
        busy.config.write_text(settings.format(place="data/relay.sqlite3"), encoding="utf-8")
    with relay_of(busy) as wait_for:
        assert wait_for(serving)[counted] == number
        assert busy.run("store", "backup", str(copy))[0] == 0
        assert busy.run("store", "verify")[0] == 0
        assert busy.run("store", "retain")[0] == 0
        code, _, err = busy.run("store", "restore", str(copy), "--yes")
        assert (code, "another relay" in err or "stop every relay" in err) == (ExitCode.SETUP, True)

    elsewhere = server.ready() if kind == "postgresql" else "elsewhere/relay.sqlite3"
    busy.config.write_text(settings.format(place=elsewhere), encoding="utf-8")
    assert busy.run("store", "restore", str(copy), "--yes")[0] == 0
    assert busy.run("store", "verify")[0] == 0
    target = elsewhere if kind == "postgresql" else busy.folder / elsewhere
    with closing(SqlStore.open(target)) as store:
        before = {line.seq for line in store.journal()}
        assert {alarm.id for alarm in store.alarms()} == {ALARM, OTHER}
    with relay_of(busy) as wait_for:
        assert wait_for(serving)[counted] == number
        # Somebody has accepted the one, and the office closes it; the other still rings, and its next deadline comes.
        assert busy.run("alarms", "close", ALARM[:13], "--outcome", "helped", "--yes", "--wait", "30")[0] == 0
        assert wait_for("alarm.closed", ALARM)["stage"] == "closed"
        wait_for("alarm.", OTHER)
        with closing(SqlStore.open(target)) as store:
            fresh = [line for line in store.journal() if line.seq not in before]
            assert (ALARM, "closed") in [(line.alarm, line.type) for line in fresh]
            assert OTHER in {line.alarm for line in fresh}
            assert [alarm.id for alarm in store.alarms()] == [OTHER]
            assert store.verify().findings == []


@pytest.mark.system
def test_a_backup_by_root_into_a_folder_of_another_account(busy: Office, tmp_path: Path) -> None:
    """The relay's account must be able to open what a technician has restored as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    copy = busy.folder / "copy.sqlite3"
    assert busy.run("store", "backup", str(copy))[0] == 0
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1234, 1234)
    busy.config.write_text(f'name = "test"\ndatabase = "{home}/relay.sqlite3"\n', encoding="utf-8")
    for _ in range(2):
        assert busy.run("store", "restore", str(copy), "--yes")[0] == 0
        assert (home / "relay.sqlite3").stat().st_uid == 1234
        assert (home / "relay.sqlite3").stat().st_mode & 0o077 == 0
