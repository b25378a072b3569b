"""Retention: lines of the journal can be deleted by whoever says so in the same transaction, and by nobody else."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

RETAINING = "EXISTS (SELECT 1 FROM meta WHERE key = 'retaining')"
STATEMENTS = {
    "sqlite": (
        "DROP TRIGGER journal_no_delete",
        (
            f"CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal WHEN NOT {RETAINING} "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        ),
    ),
    "postgresql": (
        (
            "CREATE OR REPLACE FUNCTION journal_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'DELETE' AND {RETAINING} THEN RETURN NULL; END IF; "
            "RAISE EXCEPTION 'the journal is append-only'; END $$"
        ),
    ),
}


def upgrade() -> None:
    for statement in STATEMENTS[op.get_bind().dialect.name]:
        op.execute(statement)
