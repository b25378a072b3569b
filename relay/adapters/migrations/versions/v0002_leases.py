"""Leases: which relay serves which community, and the relays that run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("community", name="pk_lease"),
    )
    op.create_table(
        "member",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("leaving", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_member"),
    )
