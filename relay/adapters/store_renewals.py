"""Requests for certificates in an SQL database: read by the relay, answered by whoever has the issuing key."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select, update

from relay.adapters import store_schema as schema
from relay.adapters.store_rows import read_renewal
from relay.core.renewal import Renewal, RenewalRow

_renewal = schema.renewal


def read_renewals(
    connection: Connection,
    *,
    devices: Collection[str] | None = None,
    communities: Collection[str] | None = None,
    state: Renewal | None = None,
) -> list[RenewalRow]:
    """Oldest first: of these devices, of these communities, in this state."""
    query: Select[Any] = select(_renewal)
    if devices is not None:
        query = query.where(_renewal.c.device.in_(devices))
    if communities is not None:
        query = query.where(_renewal.c.community.in_(communities))
    if state is not None:
        query = query.where(_renewal.c.state == state.value)
    found = [read_renewal(row) for row in connection.execute(query)]
    return sorted(found, key=lambda row: (row.asked_at, row.device))


def answer_renewal(connection: Connection, row: RenewalRow, state: Renewal, answer: str, at: datetime) -> bool:
    """Answer a request that waits; False if it waits no more, or the device has asked for something else since."""
    answered = connection.execute(
        update(_renewal)
        .where(
            _renewal.c.device == row.device,
            _renewal.c.request == row.request,
            _renewal.c.state == Renewal.WAITING.value,
        )
        .values(state=state.value, answer=answer, answered_at=at)
    )
    return answered.rowcount == 1
