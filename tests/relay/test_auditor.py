"""The auditor: it finds open alarms that nobody would look at again, says so, and the relay looks at them."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from doorbell.logs import configure_logs
from relay.adapters.store import SqlStore
from relay.auditor import CONFIRM_S, INTERVAL_S, MAX_FORGOTTEN, TOLERANCE_S, Auditor
from relay.core.alarm import AlarmStage, Due
from relay.ports import AuditFound, Forgotten, StoreError
from relay.runtime import RelayRuntime
from tests.relay.doubles import PANEL, PENG, T0, FakeEvidence, FakeNotifier, House, neighbourhood, uid
from tests.relay.rows import after_s, an_alarm, closed, raising
from tests.relay.rows import uid as uid_of


class Auditing:
    """An auditor without its thread, over rows that a test makes."""

    def __init__(self) -> None:
        self.evidence = FakeEvidence()
        self.told: list[AuditFound] = []
        self.now_s = 0.0
        self.auditor = Auditor(self.evidence, self.told.append, now=lambda: T0, monotonic=lambda: self.now_s)

    def look(self, *rows: Forgotten) -> float:
        self.evidence.rows = list(rows)
        return self.auditor.look()


LATE = Forgotten(uid(1), "xihu", T0 - timedelta(seconds=40))


def test_with_nothing_to_find_it_looks_at_its_interval() -> None:
    audit = Auditing()
    assert [audit.look() for _ in range(3)] == [INTERVAL_S] * 3
    assert (audit.told, audit.auditor.looks) == ([], 3)


def test_what_is_seen_twice_the_same_is_told_once_in_the_log_and_at_every_look_to_the_relay(
    allow_error_logs: list[dict[str, Any]],
) -> None:
    audit = Auditing()
    assert audit.look(LATE) == CONFIRM_S
    assert audit.told == []
    assert audit.auditor.forgotten == 0
    for looks in (1, 2, 3):
        assert audit.look(LATE) == INTERVAL_S
        assert audit.told == [AuditFound((uid(1),))] * looks
    (line,) = allow_error_logs
    assert (line["event"], line["alarm"], line["community"]) == ("alarm.forgotten", uid(1), "xihu")
    assert line["late_s"] == 40.0
    assert (audit.auditor.found, audit.auditor.forgotten) == (1, 1)
    audit.look()
    assert audit.auditor.forgotten == 0
    audit.look(LATE)
    audit.look(LATE)
    assert audit.auditor.found == 2, "forgotten again, it is told again"


def test_a_clock_that_is_set_makes_no_alarm_forgotten() -> None:
    """For a second, until the relay has noticed, every deadline is in the past; then all have moved."""
    audit = Auditing()
    assert audit.look(LATE) == CONFIRM_S
    assert audit.look(replace(LATE, deadline=T0 - timedelta(seconds=20))) == INTERVAL_S
    assert audit.look() == INTERVAL_S
    assert audit.told == []


def test_a_database_that_does_not_answer_is_told_once_and_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], allow_error_logs: list[dict[str, Any]]
) -> None:
    configure_logs("json", "info")
    audit = Auditing()
    audit.look(LATE)

    def refuse(self: FakeEvidence, *_: object) -> list[Forgotten]:
        raise StoreError("SQLITE_IOERR: disk", retryable=True)

    audit.now_s = 50.0
    with monkeypatch.context() as patch:
        patch.setattr(FakeEvidence, "forgotten", refuse)
        assert [audit.auditor.look() for _ in range(3)] == [INTERVAL_S] * 3
    assert (audit.auditor.failures, audit.auditor.looked_s) == (3, 0.0)
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["auditor.failed"]
    assert audit.look(LATE) == CONFIRM_S, "what was suspected before the failure is not confirmed after it"


def test_a_bug_in_it_does_not_end_it(allow_error_logs: list[dict[str, Any]]) -> None:
    audit = Auditing()
    rounds = iter([False, False, True])

    class Once:
        """Stands in for the thread's event: two rounds."""

        def wait(self, timeout_s: float) -> bool:
            return next(rounds)

    def look() -> float:
        raise KeyError("what")

    audit.auditor._stop = Once()  # type: ignore[assignment]
    audit.auditor.look = look  # type: ignore[method-assign]
    audit.auditor._run()
    assert audit.auditor.failures == 2
    assert [line["event"] for line in allow_error_logs] == ["auditor.crashed"] * 2


# ---------------------------------------------------------------------------------------------------------------------
# With the relay and a real database


class RealHouse(House):
    """A house whose relay has a real SQLite database, and an auditor on connections of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sql = SqlStore.open(path)
        self.evidence = SqlStore.open(path)
        super().__init__()
        self.auditor = Auditor(
            self.evidence, self._tell, now=self.clock.now, monotonic=lambda: self.clock.mono_ms / 1000
        )

    def boot(self) -> None:
        super().boot()
        self.notifier = FakeNotifier(self.trace)
        self.relay = RelayRuntime(self.sql, self.link, self.notifier, self.clock, self.topics, poll_ms=10_000)
        self.relay.start()

    def rev(self, device: str) -> int:
        row = self.sql.load().twins.get(device)
        return row.rev if row is not None else 0

    def _tell(self, found: AuditFound) -> None:
        self.hear(found)

    def spoil(self, statement: str, *values: object) -> None:
        """Change the database behind everybody's back."""
        with sqlite3.connect(self.path) as connection:
            assert connection.execute(statement, values).rowcount == 1
        connection.close()

    def audit(self, seconds: float = 30) -> None:
        """Relay and auditor run side by side; neither of them is in a hurry."""
        wait_s = self.auditor.look()
        while seconds > 0:
            self.advance(round(min(wait_s, seconds) * 1000))
            seconds -= wait_s
            wait_s = self.auditor.look()

    def lines(self) -> list[str]:
        return [line.type for line in self.sql.journal(alarm=uid(1))]

    def close(self) -> None:
        self.sql.close()
        self.evidence.close()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the neighbourhood's register, made once: migrations take a moment."""
    path = tmp_path_factory.mktemp("fresh") / "relay.sqlite3"
    store = SqlStore.open(path)
    store.replace_register(neighbourhood())
    store.close()
    return path


@pytest.fixture
def house(tmp_path: Path, fresh: Path) -> Iterator[RealHouse]:
    made = RealHouse(Path(shutil.copy(fresh, tmp_path)))
    yield made
    made.close()


def long_life(house: RealHouse) -> None:
    """The newest state of the alarm has a deadline that will come, and the auditor is content."""
    found = house.auditor.found
    assert house.sql.forgotten(house.clock.now() - timedelta(seconds=TOLERANCE_S), MAX_FORGOTTEN) == []
    house.audit(60)
    assert house.auditor.found == found
    assert house.sql.rebuild_alarms() == {alarm.id: alarm for alarm in house.sql.alarms(open_only=False)}


def test_a_healthy_alarm_is_never_forgotten_through_its_whole_life(house: RealHouse) -> None:
    house.press(1)
    house.audit(400)
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.audit(700)
    house.hear(house.event(PENG, "accept", 3, alarm=1))
    house.advance(1_000)
    house.hear(house.event(PANEL, "ok", 4))
    house.audit(4_000)
    house.hear(house.event(PENG, "done", 5, alarm=1))
    house.audit(60)
    assert house.auditor.found == 0
    assert house.auditor.looks > 250


def test_a_clock_that_is_set_by_hours_makes_no_alarm_forgotten(house: RealHouse) -> None:
    house.press(1)
    for step_s in (7_200, -10_800, 86_400):
        house.clock.step(step_s * 1000)
        house.auditor.look()  # before the relay has noticed
        house.hear()
        house.audit(60)
    assert house.auditor.found == 0


@pytest.mark.parametrize("deadline", [None, 0])
def test_a_row_whose_deadline_was_lost_is_found_and_written_again(
    house: RealHouse, deadline: int | None, allow_error_logs: list[dict[str, Any]]
) -> None:
    house.press(1)
    house.hear(house.report(PENG, 1))
    before = house.sql.find_alarm(uid(1))
    house.spoil("UPDATE alarm SET deadline = ?", deadline)
    house.audit(6)
    assert [line["event"] for line in allow_error_logs] == ["alarm.forgotten"]
    assert "recovered" in house.lines()
    assert house.sql.find_alarm(uid(1)) == before, "in memory all was well: nobody is rung for it"
    long_life(house)


def _in_memory_lost(house: RealHouse) -> None:
    """A mistake of the relay's: the alarm is no longer in its book."""
    alarm = house.relay.book.by_id[uid(1)]
    house.relay.book._drop(alarm, alarm)


def _in_memory_unwatched(house: RealHouse) -> None:
    """A mistake of the relay's: the alarm is in its book, and no deadline is watched."""
    house.relay.book._due.clear()


def _everywhere_without_deadline(house: RealHouse) -> None:
    """The state itself has lost its deadline, in the database and so in the relay that has started from it."""
    state = "json_set(state, '$.deadline', NULL, '$.due', NULL, '$.step_ends', NULL)"
    house.spoil(f"UPDATE alarm SET deadline = NULL, state = {state}")  # noqa: S608 - no value is put in
    house.boot()
    house.hear(*(house.report(device) for device in (PANEL, PENG)))


@pytest.mark.parametrize("mistake", [_in_memory_lost, _in_memory_unwatched, _everywhere_without_deadline])
def test_an_alarm_that_nobody_would_look_at_again_is_found_and_rung_further(
    house: RealHouse, mistake: Callable[[RealHouse], None], allow_error_logs: list[dict[str, Any]]
) -> None:
    house.press(1)
    house.hear(house.report(PENG, 1))
    mistake(house)
    house.audit(90)
    assert [line["event"] for line in allow_error_logs] == ["alarm.forgotten"]
    lines = house.lines()
    assert lines.index("recovered") < lines.index("step_started", lines.index("recovered"))
    alarm = house.relay.book.by_id[uid(1)]
    assert alarm.step > 0
    assert alarm.deadline is not None
    long_life(house)


def test_bells_that_were_told_without_a_lost_alarm_are_told_of_it_again(house: RealHouse) -> None:
    house.press(1)
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    _in_memory_lost(house)
    house.hear(house.event(PENG, "test", 3))  # its receipt comes with a state that knows of no alarm
    assert shown_at(house, PENG)["rings"] == []
    house.hear(AuditFound((uid(1),)))
    (ring,) = shown_at(house, PENG)["rings"]
    assert (ring["alarm"], ring["stage"], ring["mine"]) == (uid(1), "accepted", True)


def shown_at(house: RealHouse, device: str) -> dict[str, Any]:
    """The newest desired state of a device in the database."""
    shown: dict[str, Any] = json.loads(house.sql.load().twins[device].content)
    return shown


def test_an_acceptance_whose_deadline_was_lost_still_has_its_time_and_then_rings_again(
    house: RealHouse, allow_error_logs: list[dict[str, Any]]
) -> None:
    house.press(1)
    accepted_at = house.clock.now()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    _everywhere_without_deadline(house)
    house.audit(6)
    alarm = house.relay.book.by_id[uid(1)]
    assert (alarm.stage, alarm.due) == (AlarmStage.ACCEPTED, Due.ARRIVE)
    assert alarm.deadline == accepted_at + timedelta(seconds=alarm.policy.arrive_wait_s)
    house.audit(alarm.policy.arrive_wait_s)
    assert "not_arrived" in house.lines()
    long_life(house)


def test_what_was_closed_meanwhile_or_never_was_changes_nothing(house: RealHouse) -> None:
    house.press(1)
    house.hear(house.event(PANEL, "ok", 2, age_ms=0, seq=None), AuditFound((uid(77),)))
    house.advance(1_000)
    house.hear(house.event(PANEL, "ok", 3))
    assert house.lines()[-1] == "closed"
    house.hear(AuditFound((uid(1), uid(77))))
    assert house.lines()[-1] == "closed"
    assert house.relay.book.by_id == {}


def test_the_look_uses_the_index_and_no_scan_of_all_alarms(house: RealHouse) -> None:
    plans = []
    with sqlite3.connect(house.path) as connection:
        for condition in ("deadline IS NULL ORDER BY id", "deadline < 9 ORDER BY deadline"):
            ask = f"EXPLAIN QUERY PLAN SELECT id FROM alarm WHERE stage <> 'closed' AND {condition} LIMIT 9"  # noqa: S608
            plans.append(" ".join(row[3] for row in connection.execute(ask)))
    connection.close()
    assert all("SEARCH alarm USING INDEX ix_alarm_deadline" in plan for plan in plans), plans


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_either_database_tells_what_is_forgotten_and_nothing_else(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres = kind == "postgres"
    store = SqlStore.open(request.getfixturevalue("postgres").ready() if postgres else tmp_path / "relay.sqlite3")
    try:
        alarms = [an_alarm(n, household=f"home-{n}") for n in range(1, 7)]
        alarms[0] = replace(alarms[0], deadline=None)
        alarms[1] = replace(alarms[1], deadline=after_s(90))
        alarms[2] = replace(alarms[2], deadline=after_s(30))
        alarms[3] = replace(alarms[3], deadline=after_s(60))
        alarms[4] = closed(alarms[4])
        for alarm in alarms:
            store.commit(raising(alarm))
        found = [Forgotten(uid_of(n), "xihu", alarms[n - 1].deadline) for n in (1, 6, 3)]
        assert store.forgotten(after_s(60), 10) == found
        assert store.forgotten(after_s(60), 2) == found[:2]
    finally:
        store.close()
