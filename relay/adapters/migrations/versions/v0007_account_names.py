"""The names of accounts are sealed too."""

from __future__ import annotations

import base64
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    connection = op.get_bind()
    seal: Any = context.config.attributes.get("seal")
    account = sa.table("account", sa.column("id"), sa.column("name"))
    for row in connection.execute(sa.select(account.c.id, account.c.name).where(account.c.name != "")).all():
        sealed = base64.b64encode(seal.close(f"account.name {row.id}", row.name.encode())).decode()
        connection.execute(sa.update(account).where(account.c.id == row.id).values(name=sealed))
