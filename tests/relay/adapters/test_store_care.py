"""Verifying, backing up, restoring and forgetting: the same on both databases, and from each into the other."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from doorbell.errors import SetupError
from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.adapters.store_copies import back_up, restore
from relay.core.alarm import NoteType, Outcome
from relay.database import Place, parse_place
from relay.ports import Batch, JournalRow, NoticeRow, RejectedRow, StoreError
from relay.retention import Kept
from relay.verdict import Fault, Verdict
from tests.postgres import PostgresServer
from tests.relay.store_contract import (
    T0,
    a_register,
    accepted,
    after_s,
    an_alarm,
    changing,
    closed,
    event_of,
    raising,
    uid,
)

Make = Callable[[], Place]
KINDS = ["sqlite", "postgresql"]


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


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    """A relay's store with some of everything in it."""
    with closing(SqlStore.open(place, exclusive=True)) as store:
        fill(store)
        yield store


def fill(store: SqlStore) -> None:
    """A register, an open alarm (1), a closed one (2), one that closed without an answer (3), and all around them."""
    store.replace_register(a_register())
    second = an_alarm(2, household="home-chen", at=after_s(60))
    store.commit(raising(an_alarm(1)))
    store.commit(changing(accepted(an_alarm(1)), NoteType.ACCEPTED))
    store.commit(raising(second))
    store.commit(changing(closed(accepted(second)), NoteType.CLOSED))
    checkin = replace(an_alarm(3), kind=AlarmKind.CHECKIN)
    store.commit(raising(checkin))
    store.commit(changing(closed(checkin), NoteType.CLOSED))
    notice = NoticeRow("n/1", "xihu", uid(1), "board", {"text": "柳奶奶"}, T0, next_at=T0)
    store.commit(
        Batch(
            events=[event_of(9, alarm=uid(8), verdict="early"), event_of(10, verdict="no_alarm")],
            journal=[JournalRow(T0, "xihu", "sign_of_life", "home-liu", device="panel-liu", event=uid(10))],
            notices={"n/1": notice, "n/2": replace(notice, id="n/2", alarm=uid(2), state="sent")},
            rejected=[RejectedRow(T0, "x", b"\xff\x00", "not_json", "")],
        )
    )
    store.add_command(uid(1), Outcome.HELPED, "", "office")


def sound(store: SqlStore) -> Verdict:
    verdict = store.verify()
    assert verdict.findings == []
    return verdict


def everything(store: SqlStore) -> dict[str, object]:
    """What can be read out of a store."""
    return {
        "snapshot": replace(store.load(), anchor=None),
        "alarms": store.alarms(open_only=False),
        "journal": list(store.journal()),
        "rebuilt": store.rebuild_alarms(),
        "rejected": store.rejected(),
        "notices": store.notices(),
        "commands": store.poll(),
        "events": store.known_events([uid(n) for n in range(20)]),
    }


def change(store: SqlStore, statement: str, **values: object) -> None:
    """What no program of ours does."""
    with store._engine.begin() as connection:
        connection.execute(text(statement), values)


# ---------------------------------------------------------------------------------------------------------------------
# Verify


def test_a_sound_database_is_found_sound(store: SqlStore) -> None:
    heard: list[int] = []
    verdict = store.verify(heard.append)
    assert (verdict.alarms, verdict.open_alarms, verdict.lines, verdict.findings) == (3, 1, 9, [])
    assert heard == [3]


def test_an_empty_database_is_sound(place: Place) -> None:
    with closing(SqlStore.open(place)) as store:
        assert sound(store) == Verdict()


def test_more_alarms_than_a_page_are_all_compared(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_verify.ALARMS_AT_ONCE", 7)
    with closing(SqlStore.open(place)) as store:
        for number in range(1, 31):
            store.commit(raising(an_alarm(number, household=f"home-{number}")))
        assert sound(store).alarms == 30
        change(store, "UPDATE alarm SET deadline = NULL WHERE id = :id", id=uid(29))
        assert [(finding.fault, finding.subject) for finding in store.verify().findings] == [(Fault.COLUMNS, uid(29))]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE alarm SET stage = 'alerted' WHERE id = :one", (Fault.COLUMNS, uid(1), "stage")),
        ("UPDATE alarm SET deadline = deadline + 1 WHERE id = :one", (Fault.COLUMNS, uid(1), "deadline")),
        (
            "UPDATE alarm SET household = 'x', community = 'y' WHERE id = :one",
            (Fault.COLUMNS, uid(1), "community household"),
        ),
        ("UPDATE alarm SET state = '{}' WHERE id = :one", (Fault.UNREADABLE, uid(1), "alarm")),
        ("UPDATE alarm SET state = replace(state, '水管', '屋顶') WHERE id = :two", (Fault.DIFFERENT, uid(2), "note")),
        ("DELETE FROM alarm WHERE id = :two", (Fault.NO_ALARM, uid(2), "")),
        (
            (
                "INSERT INTO alarm (id, community, household, kind, raised_at, policy, stage, deadline, state) "
                "SELECT 'x', community, household, kind, raised_at, policy, stage, deadline, replace(state, id, 'x') "
                "FROM alarm WHERE id = :two"
            ),
            (Fault.NO_JOURNAL, "x", ""),
        ),
        (
            (
                "INSERT INTO journal (at, community, type, alarm, data, after) "
                "SELECT at, community, type, :one, data, after FROM journal WHERE type = 'closed' AND alarm = :three"
            ),
            (Fault.DIFFERENT, uid(1), None),
        ),
        (
            "INSERT INTO journal (at, community, type, alarm, data, after) VALUES (0, 'x', 'x', :one, '{}', '{}')",
            (Fault.UNREADABLE, uid(1), "journal"),
        ),
        ("DROP INDEX uq_alarm_open", (Fault.SCHEMA, "alarm.uq_alarm_open", "")),
        ("DROP TABLE rejected", (Fault.SCHEMA, "rejected", "")),
    ],
)
def test_whatever_is_wrong_is_found(store: SqlStore, statement: str, found: tuple[Fault, str, str | None]) -> None:
    values = {name: uid(n) for name, n in (("one", 1), ("two", 2), ("three", 3)) if f":{name}" in statement}
    change(store, statement, **values)
    (finding,) = store.verify().findings
    assert (finding.fault, finding.subject) == found[:2]
    if found[2] is not None:
        assert finding.detail == found[2]


def test_an_open_alarm_that_nothing_will_wake_is_found(store: SqlStore) -> None:
    asleep = replace(accepted(an_alarm(1)), deadline=None, due=None)
    store.commit(changing(asleep, NoteType.WAITING))
    assert [finding.fault for finding in store.verify().findings] == [Fault.NO_DEADLINE]


def test_a_journal_that_nothing_protects_is_found(store: SqlStore, kind: str) -> None:
    drops = {
        "sqlite": ("DROP TRIGGER journal_no_update", "DROP TRIGGER journal_no_delete"),
        "postgresql": ("ALTER TABLE journal DISABLE TRIGGER USER",),
    }[kind]
    for drop in drops:
        change(store, drop)
    assert {finding.fault for finding in store.verify().findings} == {Fault.NOT_APPEND_ONLY}
    assert len(store.verify().findings) == len(drops)


def test_a_server_that_may_lose_what_it_has_confirmed_is_found(postgres: PostgresServer) -> None:
    url = postgres.ready()
    with postgres.configured(full_page_writes="off"), closing(SqlStore.open(url)) as store:
        found = [(finding.fault, finding.subject, finding.detail) for finding in store.verify().findings]
    assert found == [(Fault.NOT_DURABLE, "full_page_writes", "off")]


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "relay.sqlite3"
    with closing(SqlStore.open(path)) as store:
        fill(store)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_journal_alarm'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + 2048)
        file.write(b"\xa5" * 2048)
    with closing(SqlStore(path)) as store:
        assert {finding.fault for finding in store.verify().findings} == {Fault.DAMAGED}


# ---------------------------------------------------------------------------------------------------------------------
# Back up and restore


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


def expect_sound(verdict: Verdict) -> None:
    assert verdict.findings == []


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


def place_of(store: SqlStore) -> Place:
    database: Any = store._database
    return getattr(database, "_place", None) or Path(database._file)


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
    with pytest.raises(SetupError, match=r"another relay|restart it"):
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


# ---------------------------------------------------------------------------------------------------------------------
# Forget


LATER = after_s(100_000)


def of_all(at: datetime) -> dict[Kept, datetime]:
    return dict.fromkeys(Kept, at)


def test_what_is_old_goes_and_what_is_needed_stays(store: SqlStore) -> None:
    found = store.count_old(of_all(LATER))
    assert {kind: (one.going, one.staying) for kind, one in found.items()} == {
        Kept.ALARMS: (2, 1),
        Kept.LINES: (1, 0),
        Kept.EVENTS: (3, 2),
        Kept.REJECTED: (1, 0),
    }
    before = everything(store)
    assert store.count_old(of_all(LATER)) == found
    assert everything(store) == before, "counting changes nothing"

    gone = store.forget_old(of_all(LATER))
    assert gone == {kind: one.going for kind, one in found.items()}
    sound(store)
    assert [alarm.id for alarm in store.alarms(open_only=False)] == [uid(1)]
    assert {line.alarm for line in store.journal()} == {uid(1)}
    assert store.known_events([uid(n) for n in range(20)]) == {uid(1), uid(9)}, "of the open alarm, and the early one"
    assert [notice.id for notice in store.notices()] == ["n/1"]
    assert store.load() == before["snapshot"]
    assert store.poll() == before["commands"]
    assert store.forget_old(of_all(LATER)) == dict.fromkeys(Kept, 0)


def test_nothing_goes_before_its_time(store: SqlStore) -> None:
    before = everything(store)
    assert store.forget_old(of_all(T0)) == dict.fromkeys(Kept, 0)
    # The second alarm was raised at 60 s, and its last line is of 30 s: an alarm is as old as its youngest part.
    assert store.forget_old({Kept.ALARMS: after_s(30)}) == {Kept.ALARMS: 0}
    assert everything(store) == before
    assert store.forget_old({Kept.ALARMS: after_s(30.001)}) == {Kept.ALARMS: 1}
    assert store.forget_old({Kept.ALARMS: after_s(60.001)}) == {Kept.ALARMS: 1}


def test_an_alarm_whose_hook_is_not_told_stays(store: SqlStore) -> None:
    pending = NoticeRow("n/3", "xihu", uid(2), "board", {}, T0, next_at=T0)
    store.commit(Batch(notices={"n/3": pending}))
    assert store.forget_old({Kept.ALARMS: LATER}) == {Kept.ALARMS: 1}
    assert store.find_alarm(uid(2)) is not None


def test_a_command_that_is_done_goes_with_its_alarm(store: SqlStore) -> None:
    done = store.add_command(uid(2), Outcome.HELPED, "", "office")
    store.commit(Batch(commands_done={done: "not_open"}))
    store.forget_old({Kept.ALARMS: LATER})
    assert store.command_result(done) is None
    assert [command.alarm for command in store.poll()[1]] == [uid(1)]


def test_the_lines_of_an_alarm_that_somebody_removed_are_kept_as_evidence(store: SqlStore) -> None:
    change(store, "DELETE FROM alarm WHERE id = :id", id=uid(2))
    assert store.forget_old({Kept.LINES: LATER}) == {Kept.LINES: 1}
    assert [(finding.fault, finding.subject) for finding in store.verify().findings] == [(Fault.NO_ALARM, uid(2))]


def test_the_journal_is_append_only_again_afterwards(store: SqlStore) -> None:
    store.forget_old(of_all(LATER))
    before = list(store.journal())
    with pytest.raises(StoreError, match="append-only"), store._errors():
        change(store, "DELETE FROM journal")
    assert list(store.journal()) == before != []


def test_forgetting_can_be_stopped_at_any_moment(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_retain.ROWS_AT_ONCE", 1)
    monkeypatch.setattr("relay.adapters.store_retain.FOUND_AT_ONCE", 2)

    class StoppedError(Exception):
        pass

    def stop(_gone: int) -> None:
        raise StoppedError

    for _ in range(7):
        with pytest.raises(StoppedError):
            store.forget_old(of_all(LATER), stop)
        sound(store)
    assert store.forget_old(of_all(LATER), stop) == dict.fromkeys(Kept, 0)


def test_much_is_forgotten_in_small_steps(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_retain.ROWS_AT_ONCE", 10)
    monkeypatch.setattr("relay.adapters.store_retain.FOUND_AT_ONCE", 25)
    rows = [RejectedRow(T0 + timedelta(seconds=n), "t", b"", "not_json", "") for n in range(100)]
    store.commit(Batch(rejected=rows))
    heard: list[int] = []
    assert store.forget_old({Kept.REJECTED: after_s(90)}, heard.append) == {Kept.REJECTED: 91}
    assert heard[:3] == [10, 20, 25]
    assert len(store.rejected()) == 10
