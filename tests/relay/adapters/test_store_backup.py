"""Backing up and restoring: the same on both databases, and from each into the other."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.adapters.store_copies import back_up, restore
from relay.core.alarm import NoteType, Outcome
from relay.database import Place
from relay.ports import Batch, RejectedRow
from relay.retention import Kept
from relay.verdict import Fault, Verdict
from tests.relay.care import change, everything, expect_sound, fill, place_of, sound
from tests.relay.rows import T0, a_register, accepted, after_s, an_alarm, changing, closed, raising, uid

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_backup_comes_back_the_same_from_either_into_either(
    store: SqlStore, target_kind: str, make: Callable[[str], Place], tmp_path: Path
) -> None:
    before = everything(store)
    assert back_up(store, tmp_path / "copy.sqlite3") == sound(store)
    target = make(target_kind)
    done = restore(target, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    assert (done.verdict.alarms, done.kept) == (3, None)
    with closing(SqlStore.open(target, exclusive=True)) as again:
        sound(again)
        assert everything(again) == before
        # The numbers continue, and what was one alarm's goes on.
        again.commit(changing(closed(accepted(an_alarm(1))), NoteType.CLOSED))
        assert again.add_command(uid(1), Outcome.HELPED, "", "office") == 2
        again.commit(Batch(rejected=[RejectedRow(T0, "y", b"", "not_json", "")]))
        assert [row.topic for row in again.rejected()] == ["y", "x"]
        numbers = [line.seq for line in again.journal()]
        assert numbers == sorted(set(numbers))
        sound(again)
        again.replace_register(a_register())


def test_a_backup_is_one_file_for_its_owner_only(store: SqlStore, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(store, folder / "copy.sqlite3")
    assert [(file.name, file.stat().st_mode & 0o077) for file in folder.iterdir()] == [("copy.sqlite3", 0)]
    with closing(sqlite3.connect(f"file:{folder / 'copy.sqlite3'}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM alarm").fetchone() == (3,)


def test_a_backup_that_fails_leaves_nothing_behind(store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        back_up(store, tmp_path / "none" / "copy.sqlite3")
    folder = tmp_path / "backups"
    (folder / "copy.sqlite3").mkdir(parents=True)
    with pytest.raises(SetupError, match="directory"):
        back_up(store, folder / "copy.sqlite3")
    assert [file.name for file in folder.iterdir()] == ["copy.sqlite3"]


def test_a_backup_is_of_one_moment_while_a_relay_writes(store: SqlStore, tmp_path: Path) -> None:
    """Each batch raises an alarm with its lines: a copy that saw half of one would not be sound."""
    go_on, written = threading.Event(), [0]
    go_on.set()

    def work() -> None:
        while go_on.is_set():
            written[0] += 1
            store.commit(raising(an_alarm(100 + written[0], household=f"home-{written[0]}")))

    relay = threading.Thread(target=work)
    relay.start()
    try:
        with closing(SqlStore.open(place_of(store))) as office:
            verdicts = [back_up(office, tmp_path / "copy.sqlite3") for _ in range(5)]
            office.forget_old({Kept.ALARMS: after_s(1)})
            verdicts.append(office.verify())
    finally:
        go_on.clear()
        relay.join(timeout=30)
    assert [verdict.findings for verdict in verdicts] == [[]] * 6
    assert verdicts[0].alarms < verdicts[4].alarms <= 3 + written[0]
    assert not relay.is_alive()


def test_what_was_there_before_a_restore_is_kept(store: SqlStore, place: Place, tmp_path: Path) -> None:
    back_up(store, tmp_path / "copy.sqlite3")
    store.commit(raising(an_alarm(5, household="home-wu")))
    later = everything(store)
    store.close()
    done = restore(place, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    assert done.kept == tmp_path / "kept.sqlite3"
    with closing(SqlStore.open(done.kept)) as kept, closing(SqlStore.open(place)) as now:
        assert everything(kept) == later
        assert now.known_events([uid(5)]) == set()
    restore(place, done.kept, tmp_path / "kept2.sqlite3", refuse=expect_sound)
    with closing(SqlStore.open(place)) as again:
        assert everything(again) == later


def test_nothing_is_restored_while_a_relay_runs(store: SqlStore, place: Place, tmp_path: Path) -> None:
    back_up(store, tmp_path / "copy.sqlite3")
    before = everything(store)
    with pytest.raises(SetupError, match=r"another relay|stop every relay"):
        restore(place, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    assert everything(store) == before
    assert not (tmp_path / "kept.sqlite3").exists()


def test_no_fencing_number_of_before_holds_after_a_restore(
    store: SqlStore, kind: str, place: Place, tmp_path: Path
) -> None:
    """A relay that was stopped before the restore and goes on after it must not pass for the holder."""
    change(store, "INSERT INTO lease (community, fence, holder) VALUES ('xihu', 3, 'run-1'), ('old', 2, 'run-1')")
    change(
        store,
        "INSERT INTO member (name, run, beat, ready, leaving) VALUES ('a', 'run-1', 9, :yes, :no)",
        yes=True,
        no=False,
    )
    back_up(store, tmp_path / "copy.sqlite3")
    change(store, "UPDATE lease SET fence = 5 WHERE community = 'xihu'")
    change(store, "INSERT INTO lease (community, fence, holder) VALUES ('new', 1, 'run-2')")
    store.close()
    restore(place, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    with closing(SqlStore.open(place)) as again, again.reading() as connection:
        leases = {row.community: (row.fence, row.holder) for row in connection.execute(text("SELECT * FROM lease"))}
        assert connection.execute(text("SELECT count(*) FROM member")).scalar() == 0
    assert (
        leases
        == {
            "sqlite": {"xihu": (4, None), "old": (3, None)},  # one relay, which its lock guards
            "postgresql": {"xihu": (6, None), "old": (3, None), "new": (2, None)},
        }[kind]
    )


def rubbish(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tea (cups INTEGER)")


def from_the_future(path: Path) -> None:
    SqlStore.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (rubbish, "not a back-up"),
        (another_program, "not of a relay"),
        (from_the_future, "newer release"),
        (empty, "not of a relay"),
    ],
)
def test_what_is_no_backup_changes_nothing(
    store: SqlStore, place: Place, tmp_path: Path, spoil: Callable[[Path], None], complaint: str
) -> None:
    before = everything(store)
    store.close()
    spoil(tmp_path / "copy.sqlite3")
    with pytest.raises(SetupError, match=complaint):
        restore(place, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    with closing(SqlStore.open(place, exclusive=True)) as again:
        assert everything(again) == before


def test_an_unsound_backup_is_refused_before_anything_changes(store: SqlStore, place: Place, tmp_path: Path) -> None:
    back_up(store, tmp_path / "copy.sqlite3")
    with closing(sqlite3.connect(tmp_path / "copy.sqlite3", isolation_level=None)) as connection:
        connection.execute("DELETE FROM alarm WHERE stage = 'closed'")
    before = everything(store)
    store.close()

    def refuse(verdict: Verdict) -> None:
        assert [finding.fault for finding in verdict.findings] == [Fault.NO_ALARM, Fault.NO_ALARM]
        raise SetupError("unsound")

    with pytest.raises(SetupError, match="unsound"):
        restore(place, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=refuse)
    with closing(SqlStore.open(place)) as again:
        assert everything(again) == before


@pytest.mark.parametrize("step", ["link", "replace"])
def test_a_file_is_there_at_every_moment_of_a_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A relay that starts after a power cut must not find nothing, and make an empty database."""
    path = tmp_path / "relay.sqlite3"
    with closing(SqlStore.open(path)) as store:
        fill(store)
        back_up(store, tmp_path / "copy.sqlite3")
        before = everything(store)

    def power_cut(*_: object) -> None:
        raise OSError(5, "the power fails here")

    monkeypatch.setattr({"link": "os.link", "replace": "pathlib.Path.replace"}[step], power_cut)
    with pytest.raises(SetupError, match="power fails"):
        restore(path, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    monkeypatch.undo()
    with closing(SqlStore.open(path)) as store:
        assert everything(store) == before


def test_a_damaged_file_gives_way_to_its_backup_and_is_kept_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "relay.sqlite3"
    with closing(SqlStore.open(path)) as store:
        fill(store)
        back_up(store, tmp_path / "copy.sqlite3")
        before = everything(store)
    path.write_bytes(b"\xa5" * 100_000)
    path.with_name("relay.sqlite3-wal").write_bytes(b"the log of the damaged one")
    done = restore(path, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    assert done.kept is not None
    assert done.kept.read_bytes() == b"\xa5" * 100_000
    assert (tmp_path / "kept.sqlite3-wal").read_bytes() == b"the log of the damaged one"
    with closing(SqlStore.open(path, exclusive=True)) as again:
        sound(again)
        assert everything(again) == before
