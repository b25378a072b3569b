"""Questions to the database that are asked in more than one place, or of some communities alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, Table, inspect, select, text

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal
from relay.adapters.store_rows import read_event, read_notice
from relay.adapters.store_spoilt import AlarmReading
from relay.core.alarm import Alarm
from relay.ports import EventRow, NoticeRow


def revision_of(connection: Connection) -> str | None:
    """The newest migration that the database has had; None for one without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def of_communities(communities: Collection[str] | None, query: Select[Any], table: Table) -> Select[Any]:
    """The same query, of these communities alone."""
    return query if communities is None else query.where(table.c.community.in_(communities))


def read_alarms(connection: Connection, query: Select[Any]) -> list[Alarm]:
    """The alarms of a query for id, policy and state."""
    return AlarmReading(connection).read(connection.execute(query))


def twins_of(communities: Collection[str] | None) -> Select[Any]:
    """Devices' desired states, of devices of these communities."""
    twins = select(schema.twin)
    if communities is None:
        return twins
    return of_communities(
        communities, twins.join(schema.device, schema.device.c.id == schema.twin.c.device), schema.device
    )


def early_events(connection: Connection, communities: Collection[str] | None = None) -> list[EventRow]:
    """Answers to alarms that nobody has raised yet, oldest first; of one turn in the order in which they were made."""
    query = of_communities(communities, select(schema.event).where(text("verdict = 'early'")), schema.event)
    ordered = query.order_by(schema.event.c.received_at, schema.event.c.at, schema.event.c.id)
    return [read_event(row) for row in connection.execute(ordered)]


def read_notices(
    connection: Connection,
    seal: Seal,
    communities: Collection[str] | None = None,
    *,
    alarm: str | None = None,
    pending_only: bool = False,
) -> list[NoticeRow]:
    """Hooks that were or are to be told, oldest first."""
    query = select(schema.notice).order_by(schema.notice.c.created_at, schema.notice.c.id)
    query = of_communities(communities, query, schema.notice)
    if pending_only:
        query = query.where(text("state = 'pending'"))
    if alarm is not None:
        query = query.where(schema.notice.c.alarm == alarm)
    return [read_notice(row, seal) for row in connection.execute(query)]
