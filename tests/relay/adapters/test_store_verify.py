"""Verifying: the same on both databases, and whatever is wrong is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from relay.adapters.store import SqlStore
from relay.core.alarm import NoteType
from relay.database import Place
from relay.verdict import Fault, Verdict
from tests.postgres import PostgresServer
from tests.relay.care import change, fill, sound
from tests.relay.rows import accepted, an_alarm, changing, raising, uid


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
        (
            "UPDATE alarm SET state = replace(state, 'helped', 'hospital') WHERE id = :two",
            (Fault.DIFFERENT, uid(2), "outcome"),
        ),
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
