"""The tables of the relay's database. The migrations make them; a test compares the two.

Times are whole milliseconds since 1970 in UTC: they sort, they fit every database, and no time zone can get lost.
What happened (event, journal, alarm, notice …) names ids of the register without foreign keys: history outlives people
who move away.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from relay.adapters.store_rows import from_ms, to_ms

SCHEMA_HEAD = "0007"
"""The newest migration; a test compares it with relay/adapters/migrations."""

OPEN = "stage <> 'closed'"
"""What an open alarm is, in SQL: the condition of the partial indexes, so queries must say it in these words."""


PRESENCE = "type IN ('device_online', 'device_offline')"
"""Lines of the journal that tell whether a device is online, in the words of their partial index."""


class UtcMs(TypeDecorator[datetime]):
    """An aware datetime as integer milliseconds UTC; a naive one is refused with ``ValueError``."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - theirs
        """To the database."""
        return None if value is None else to_ms(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - theirs
        """From the database."""
        return None if value is None else from_ms(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column whose type is INTEGER to the letter."""


def _id() -> Column[str]:
    return Column("id", String(63), primary_key=True)


def _ref(name: str, table: str, **options: Any) -> Column[str]:
    return Column(name, String(63), ForeignKey(f"{table}.id"), **options)


# ---------------------------------------------------------------------------------------------------------------------
# The register. ``place`` is an order: of volunteers as they are called, of members, of hooks.

community = Table(
    "community", metadata, _id(), Column("name", Text, nullable=False), Column("language", Text, nullable=False)
)
person = Table(
    "person",
    metadata,
    _id(),
    _ref("community", "community", nullable=False),
    Column("name", Text, nullable=False),
    Column("phone", Text, nullable=False),
)
household = Table(
    "household",
    metadata,
    _id(),
    _ref("community", "community", nullable=False),
    Column("label", Text, nullable=False),
    Column("place", Text, nullable=False),
)
pair = Table(
    "pair",
    metadata,
    _ref("household", "household", primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _ref("person", "person", nullable=False),
)
device = Table(
    "device",
    metadata,
    _id(),
    _ref("community", "community", nullable=False),
    Column("role", String(16), nullable=False),
    _ref("household", "household"),
    _ref("person", "person"),
    Column("volume", Integer),
    Column("report_interval_s", Integer),
)
hook = Table(
    "hook",
    metadata,
    _id(),
    _ref("community", "community", nullable=False),
    Column("url", Text, nullable=False),
    Column("secret_file", Text, nullable=False),
)
group = Table(
    "group",
    metadata,
    _id(),
    _ref("community", "community", nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
)
group_member = Table(
    "group_member",
    metadata,
    _ref("group", "group", primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _ref("person", "person", nullable=False),
)
group_hook = Table(
    "group_hook",
    metadata,
    _ref("group", "group", primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _ref("hook", "hook", nullable=False),
)
policy = Table("policy", metadata, _id(), Column("body", Text, nullable=False))
household_policy = Table(
    "household_policy",
    metadata,
    _ref("household", "household", primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    _ref("policy", "policy", nullable=False),
)

REGISTER_TABLES = (
    community,
    person,
    household,
    pair,
    device,
    hook,
    group,
    group_member,
    group_hook,
    policy,
    household_policy,
)
"""In the order in which they are filled; emptied in reverse."""

# ---------------------------------------------------------------------------------------------------------------------
# What happened

event = Table(
    "event",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("community", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("type", String(16), nullable=False),
    Column("at", UtcMs, nullable=False),
    Column("received_at", UtcMs, nullable=False),
    Column("alarm", String(36)),
    Column("verdict", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index(
    "ix_event_early",
    event.c.received_at,
    sqlite_where=text("verdict = 'early'"),
    postgresql_where=text("verdict = 'early'"),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("at", UtcMs, nullable=False),
    Column("community", String(63), nullable=False),
    Column("type", Text, nullable=False),
    Column("household", String(63)),
    Column("alarm", String(36)),
    Column("device", String(63)),
    Column("event", String(36)),
    Column("data", Text, nullable=False),
    Column("after", Text),
    Column("policy", Text),
    Index(None, "at"),
    Index(None, "alarm"),
    sqlite_autoincrement=True,
)
Index(
    "ix_journal_presence", journal.c.device, journal.c.seq, sqlite_where=text(PRESENCE), postgresql_where=text(PRESENCE)
)
"""Append-only: triggers refuse UPDATE, and DELETE but to ``relay.adapters.store_retain``. ``policy`` stands on the line
``raised`` alone."""

alarm = Table(
    "alarm",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("community", String(63), nullable=False),
    Column("household", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("raised_at", UtcMs, nullable=False),
    Column("policy", Text, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("deadline", UtcMs),
    Column("state", Text, nullable=False),
    Index(None, "raised_at"),
)
Index(
    "uq_alarm_open",
    alarm.c.household,
    alarm.c.kind,
    unique=True,
    sqlite_where=text(OPEN),
    postgresql_where=text(OPEN),
)
Index("ix_alarm_deadline", alarm.c.deadline, sqlite_where=text(OPEN), postgresql_where=text(OPEN))

twin = Table(
    "twin",
    metadata,
    Column("device", String(63), primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("stored", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

notice = Table(
    "notice",
    metadata,
    Column("id", Text, primary_key=True),
    Column("community", String(63), nullable=False),
    Column("alarm", String(36), nullable=False),
    Column("hook", String(63), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcMs, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcMs),
    Column("detail", Text, nullable=False),
    Index(None, "alarm"),
)
Index(
    "ix_notice_pending",
    notice.c.created_at,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

rejected = Table(
    "rejected",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", UtcMs, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

renewal = Table(
    "renewal",
    metadata,
    Column("device", String(63), primary_key=True),
    Column("community", String(63), nullable=False),
    Column("request", Text, nullable=False),
    Column("asked_at", UtcMs, nullable=False),
    Column("state", String(16), nullable=False),
    Column("answer", Text, nullable=False),
    Column("answered_at", UtcMs),
    Index(None, "state"),
)

command = Table(
    "command",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("alarm", String(36), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("result", Text),
    sqlite_autoincrement=True,
)
Index("ix_command_waiting", command.c.id, sqlite_where=text("result IS NULL"), postgresql_where=text("result IS NULL"))

lease = Table(
    "lease",
    metadata,
    Column("community", String(63), primary_key=True),
    Column("fence", BigInteger, nullable=False),
    Column("holder", String(36)),
)
"""``holder``: the ``run`` of a member. Not a foreign key: a member may be gone and its leases still be where it left
them, with the number that its writes carry."""

member = Table(
    "member",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("run", String(36), nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("leaving", Boolean, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("who", String(80), nullable=False),
    Column("what", String(32), nullable=False),
    Column("community", String(63)),
    Column("household", String(63)),
    Column("person", String(63)),
    Column("device", String(63)),
    Column("account", String(36)),
    Column("detail", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "at"),
    Index(None, "household"),
)
"""See ``relay.audit``. Append-only as the journal is; ``seq`` has no gaps, and its writer gives it."""

# ---------------------------------------------------------------------------------------------------------------------
# Accounts: see ``relay.people``. What is personal is in ``login``, ``name``, ``subject`` alone, and in a session's
# ``address``; ``relay.adapters.store_people`` erases it, and the id stays.

account = Table(
    "account",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("login", String(64)),
    Column("name", Text, nullable=False),
    Column("subject", Text),
    Column("person", String(63)),
    Column("language", String(16), nullable=False),
    Column("password", Text),
    Column("locked", Boolean, nullable=False),
    Column("created_at", UtcMs, nullable=False),
    Index("uq_account_login", "login", unique=True),
    Index("uq_account_subject", "subject", unique=True),
)
account_role = Table(
    "account_role",
    metadata,
    _ref("account", "account", primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("community", String(63), primary_key=True),
)
session = Table(
    "session",
    metadata,
    Column("id", String(64), primary_key=True),
    _ref("account", "account", nullable=False, index=True),
    Column("created_at", UtcMs, nullable=False),
    Column("seen_at", UtcMs, nullable=False),
    Column("address", String(45), nullable=False),
)
link = Table(
    "link",
    metadata,
    Column("id", String(64), primary_key=True),
    _ref("account", "account", nullable=False, index=True),
    Column("purpose", String(16), nullable=False),
    Column("until", UtcMs, nullable=False),
    Column("used_at", UtcMs),
)

meta = Table("meta", metadata, Column("key", String(32), primary_key=True), Column("value", Text, nullable=False))
"""``register_version``, ``boot_id``, ``offset_ms``."""
