"""Renewals: what devices have asked for a certificate, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "renewal",
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device", name="pk_renewal"),
    )
    op.create_index("ix_renewal_state", "renewal", ["state"])
