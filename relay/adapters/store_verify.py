"""Is the database what it must be: whole, durable, append-only, and its alarms what the journal tells of them?

Everything is read in pages, each of one moment, so a relay may run meanwhile, and no page is larger than a thousand
alarms with their lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal
from relay.adapters.store_rows import read_alarm
from relay.adapters.store_sealed import unopened
from relay.core.alarm import Alarm
from relay.verdict import Fault, Finding, Verdict

ALARMS_AT_ONCE = 500
SHOWN = 100
"""Findings of one kind that are told one by one."""
DAMAGES = 20
_APPEND_ONLY = {
    "sqlite": {"journal_no_update", "journal_no_delete", "audit_no_update", "audit_no_delete", "audit_no_replace"},
    "postgresql": {"journal_no_change", "audit_no_change"},
}
_DURABLE = ("fsync", "full_page_writes")
_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('journal', 'audit')",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid IN (to_regclass('journal'), to_regclass('audit')) "
    "AND tgenabled IN ('O', 'A')",
}
_UNTOLD = text(
    "SELECT DISTINCT j.alarm FROM journal j WHERE j.after IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM alarm a WHERE a.id = j.alarm) LIMIT :most"
)


def verify(reader: Engine, seal: Seal, progress: Callable[[int], None] = lambda _: None) -> Verdict:
    """Look through a database; ``progress`` is told how many alarms were compared. Raises what the driver raises."""
    verdict = Verdict()
    with reader.connect() as connection:  # not to be committed: SQLite refuses even that where it has found damage
        verdict.findings += _damages(connection) if connection.dialect.name == "sqlite" else _promises(connection)
        if verdict.findings and verdict.findings[0].fault is Fault.DAMAGED:
            return verdict  # whatever is read out of it says nothing
        verdict.findings += _schema(connection)
    if any(finding.fault is Fault.SCHEMA for finding in verdict.findings):
        return verdict
    last = ""
    while (page := _page(reader, last)) is not None:
        alarms, lines = page
        last = alarms[-1].id
        for row in alarms:
            told = lines.get(row.id, ())
            verdict.alarms += 1
            verdict.open_alarms += row.stage != "closed"
            verdict.lines += len(told)
            verdict.findings += _compare(row, told)
        progress(verdict.alarms)
    with reader.begin() as connection:
        for (alarm,) in connection.execute(_UNTOLD, {"most": SHOWN}):
            verdict.findings.append(Finding(Fault.NO_ALARM, alarm))
        verdict.findings += unopened(connection, seal)
    return verdict


def _damages(connection: Connection) -> Iterator[Finding]:
    try:
        for (told,) in connection.exec_driver_sql(f"PRAGMA integrity_check({DAMAGES})").all():
            if told != "ok":
                yield Finding(Fault.DAMAGED, "integrity_check", told)
        for table, *_ in connection.exec_driver_sql("PRAGMA foreign_key_check").all()[:DAMAGES]:
            yield Finding(Fault.DAMAGED, table, "foreign_key_check")
    except DBAPIError as error:
        yield Finding(Fault.DAMAGED, "integrity_check", str(error.orig))


def unsafe_settings(connection: Connection) -> list[tuple[str, str]]:
    """PostgreSQL's settings that let it lose what it has confirmed, with their values."""
    values = [(name, str(connection.execute(text(f"SHOW {name}")).scalar_one())) for name in _DURABLE]
    return [(name, value) for name, value in values if value != "on"]


def _promises(connection: Connection) -> Iterator[Finding]:
    for name, value in unsafe_settings(connection):
        yield Finding(Fault.NOT_DURABLE, name, value)


def missing_triggers(connection: Connection) -> list[str]:
    """Those by which the database itself refuses to change the journal and the audit log, and that are gone."""
    found = set(connection.execute(text(_TRIGGERS[connection.dialect.name])).scalars())
    return sorted(_APPEND_ONLY[connection.dialect.name] - found)


def _schema(connection: Connection) -> Iterator[Finding]:
    for missing in missing_triggers(connection):
        yield Finding(Fault.NOT_APPEND_ONLY, missing)
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    for table in schema.metadata.sorted_tables:
        if table.name not in tables:
            yield Finding(Fault.SCHEMA, table.name)
            continue
        names = {column["name"] for column in inspector.get_columns(table.name)}
        names |= {index["name"] or "" for index in inspector.get_indexes(table.name)}
        wanted = {column.name for column in table.columns} | {str(index.name) for index in table.indexes}
        for missing in sorted(wanted - names):
            yield Finding(Fault.SCHEMA, f"{table.name}.{missing}")


def _page(reader: Engine, last: str) -> tuple[Sequence[Any], dict[str, list[Any]]] | None:
    """The next alarms by id, and the lines of each that have its state, of one moment."""
    alarm, journal = schema.alarm, schema.journal
    with reader.begin() as connection:
        alarms = connection.execute(
            select(alarm).where(alarm.c.id > last).order_by(alarm.c.id).limit(ALARMS_AT_ONCE)
        ).all()
        if not alarms:
            return None
        lines: dict[str, list[Any]] = defaultdict(list)
        told = select(journal.c.alarm, journal.c.policy, journal.c.after).where(
            journal.c.alarm.in_([row.id for row in alarms]), journal.c.after.is_not(None)
        )
        for line in connection.execute(told.order_by(journal.c.seq)):
            lines[line.alarm].append(line)
        return alarms, lines


def _compare(row: Any, told: Sequence[Any]) -> Iterator[Finding]:
    """What is wrong with an alarm, given its lines, oldest first."""
    try:
        alarm = read_alarm(row.policy, row.state)
    except ValueError:
        yield Finding(Fault.UNREADABLE, row.id, "alarm")
        return
    yield from _columns(row, alarm)
    if alarm.is_open and alarm.deadline is None:
        yield Finding(Fault.NO_DEADLINE, row.id, alarm.stage.value)
    policy = next((line.policy for line in told if line.policy is not None), None)
    if policy is None:
        yield Finding(Fault.NO_JOURNAL, row.id)
        return
    try:
        rebuilt = read_alarm(policy, told[-1].after)
    except ValueError:
        yield Finding(Fault.UNREADABLE, row.id, "journal")
        return
    if rebuilt != alarm:
        names = [name for name in Alarm.__dataclass_fields__ if getattr(rebuilt, name) != getattr(alarm, name)]
        yield Finding(Fault.DIFFERENT, row.id, " ".join(names))


def _columns(row: Any, alarm: Alarm) -> Iterator[Finding]:
    said = {
        "id": alarm.id,
        "community": alarm.community,
        "household": alarm.household,
        "kind": alarm.kind.value,
        "raised_at": alarm.raised_at,
        "stage": alarm.stage.value,
        "deadline": alarm.deadline,
    }
    wrong = [name for name, value in said.items() if getattr(row, name) != value]
    if wrong:
        yield Finding(Fault.COLUMNS, row.id, " ".join(wrong))
