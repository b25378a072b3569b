"""The audit log in the database: one chain, however many processes write to it.

A writer reads the newest line and adds the next one in one transaction that nobody else can be in: on SQLite because
every transaction that writes is alone, on PostgreSQL by an advisory lock that is held until the commit. The number is
the primary key, so that even a writer that knew no lock could not fork the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, or_, select, text

from relay.adapters import store_schema as schema
from relay.adapters.store_rows import to_ms
from relay.adapters.store_verify import missing_triggers
from relay.audit import (
    EMPTY,
    EVERYTHING,
    AuditEntry,
    AuditFault,
    AuditFinding,
    AuditHead,
    AuditLine,
    AuditSearch,
    AuditVerdict,
    check_chain,
    cut_entry,
    is_slug,
    link_line,
)
from relay.retention import Retained

LOCK_CLASS, AUDITING = 0x4C44, 3
"""The number of the advisory lock under which lines are added; its first half is that of all of ours."""
LINES_AT_ONCE = 1_000
CUT_AT_ONCE = 2_000
"""Lines that go in one transaction, and with one line about it: some 20 ms in which nobody else can write to SQLite."""
GUARD = "retaining"
"""The key in ``meta`` without which the triggers refuse; see ``relay.adapters.store_retain``."""

_audit = schema.audit
_NAMES = tuple(one.name for one in fields(AuditLine))
_COLUMNS = tuple(_audit.c["at" if name == "at_ms" else name] for name in _NAMES)
_NEWEST = select(_audit.c.seq, _audit.c.hash).order_by(_audit.c.seq.desc()).limit(1)


def append_line(connection: Connection, entry: AuditEntry, at: datetime) -> AuditLine:
    """Add a line in the transaction that is open, with what it tells of: both are committed, or neither."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {AUDITING})"))
    line = link_line(_head(connection), entry, to_ms(at))
    connection.execute(insert(_audit).values(_row(line)))
    return line


class SqlAudit:
    """The audit log of a database. Every failure is a ``StoreError``."""

    def __init__(self, engine: Engine, reader: Engine, errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._reader = reader
        self._errors = errors

    def append(self, entry: AuditEntry, at: datetime) -> AuditLine:
        """Add a line, durably."""
        with self._errors(), self._engine.begin() as connection:
            return append_line(connection, entry, at)

    def head(self) -> AuditHead:
        """The newest line."""
        with self._errors(), self._reader.begin() as connection:
            return _head(connection)

    def newest(self, search: AuditSearch = EVERYTHING, limit: int = 100) -> list[AuditLine]:
        """The newest lines, newest first."""
        query = _select(search).order_by(_audit.c.seq.desc()).limit(limit)
        with self._errors(), self._reader.begin() as connection:
            return [_line(row) for row in connection.execute(query)]

    def lines(self, search: AuditSearch = EVERYTHING) -> Iterator[AuditLine]:
        """All lines, oldest first, in pages: a long transaction would keep the write-ahead log from shrinking."""
        query, after = _select(search).order_by(_audit.c.seq).limit(LINES_AT_ONCE), 0
        while True:
            with self._errors(), self._reader.begin() as connection:
                page = [_line(row) for row in connection.execute(query.where(_audit.c.seq > after))]
            yield from page
            if len(page) < LINES_AT_ONCE:
                return
            after = page[-1].seq

    def verify(self, noted: Sequence[AuditHead] = ()) -> AuditVerdict:
        """Look through the whole chain, of one moment; ``noted``: heads that were written down elsewhere."""
        with self._errors(), self._reader.begin() as connection:
            missing = missing_triggers(connection)
            rows = connection.execution_options(yield_per=LINES_AT_ONCE).execute(
                select(*_COLUMNS).order_by(_audit.c.seq)
            )
            verdict = check_chain(map(_line, rows), noted)
        for trigger in missing:
            if trigger.startswith("audit_"):
                verdict.findings.append(AuditFinding(AuditFault.UNPROTECTED, 0, trigger))
        return verdict

    def count_old(self, before: datetime) -> Retained:
        """How many lines a cut would remove."""
        with self._errors(), self._reader.begin() as connection:
            last = _last_old(connection, before)
            going = connection.execute(select(func.count()).where(_audit.c.seq <= last)).scalar_one()
            whole = connection.execute(select(func.count()).select_from(_audit)).scalar_one()
        return Retained(before, going, whole - going)

    def cut(self, before: datetime, who: str, at: datetime, progress: Callable[[int], None] = lambda _: None) -> int:
        """Remove the lines that are older, from the oldest on, up to the first that is not; returns how many went.

        A line that was written by a clock gone wrong stays with those after it. Each transaction leaves a chain that
        verifies: the line that tells of the cut is written in it.
        """
        gone = 0
        with self._errors(), self._reader.begin() as connection:
            last = _last_old(connection, before)
        while True:
            with self._errors(), self._engine.begin() as connection:
                first = connection.execute(select(func.min(_audit.c.seq))).scalar()
                if first is None or first > last:
                    return gone
                through = min(last, first + CUT_AT_ONCE - 1)
                known = connection.execute(select(_audit.c.hash).where(_audit.c.seq == through)).scalar_one()
                append_line(connection, cut_entry(who, AuditHead(through, known), before), at)
                connection.execute(insert(schema.meta).values(key=GUARD, value=""))
                gone += connection.execute(delete(_audit).where(_audit.c.seq <= through)).rowcount
                connection.execute(delete(schema.meta).where(schema.meta.c.key == GUARD))
            progress(gone)


def _last_old(connection: Connection, before: datetime) -> int:
    """The number of the last line of those that may go: all up to it are older. 0: none."""
    kept = connection.execute(select(func.min(_audit.c.seq)).where(_audit.c.at >= to_ms(before))).scalar()
    if kept is None:  # all are old: the newest stays, for the chain goes on from it
        kept = connection.execute(select(func.max(_audit.c.seq))).scalar() or 0
    return max(0, kept - 1)


def _head(connection: Connection) -> AuditHead:
    row = connection.execute(_NEWEST).first()
    return EMPTY if row is None else AuditHead(row.seq, row.hash)


def _row(line: AuditLine) -> dict[str, Any]:
    return {column.name: getattr(line, name) for name, column in zip(_NAMES, _COLUMNS, strict=True)}


def _line(row: Any) -> AuditLine:
    return AuditLine(*row)


def _select(search: AuditSearch) -> Select[Any]:
    query = select(*_COLUMNS)
    for name in ("person", "device", "who", "what"):
        if (wanted := getattr(search, name)) is not None:
            query = query.where(_audit.c[name] == wanted)
    if search.household is not None:
        among = _audit.c.detail.like(f'%"{search.household if is_slug(search.household) else ""}"%')
        query = query.where(or_(_audit.c.household == search.household, among))
    if search.account is not None:
        query = query.where(or_(_audit.c.account == search.account, _audit.c.who == f"account:{search.account}"))
    if search.communities is not None:
        query = query.where(_audit.c.community.in_(search.communities))
    if search.since is not None:
        query = query.where(_audit.c.at >= to_ms(search.since))
    if search.until is not None:
        query = query.where(_audit.c.at < to_ms(search.until))
    if search.before_seq is not None:
        query = query.where(_audit.c.seq < search.before_seq)
    if search.after_seq is not None:
        query = query.where(_audit.c.seq > search.after_seq)
    return query
