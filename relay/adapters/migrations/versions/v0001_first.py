"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

REFUSALS = {
    "sqlite": (
        (
            "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        ),
        (
            "CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        ),
    ),
    "postgresql": (
        (
            "CREATE FUNCTION journal_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$"
        ),
        (
            "CREATE TRIGGER journal_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON journal "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse()"
        ),
    ),
}


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("household", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alarm"),
    )
    op.create_index(
        "ix_alarm_deadline",
        "alarm",
        ["deadline"],
        unique=False,
        sqlite_where=sa.text("stage <> 'closed'"),
        postgresql_where=sa.text("stage <> 'closed'"),
    )
    op.create_index("ix_alarm_raised_at", "alarm", ["raised_at"], unique=False)
    op.create_index(
        "uq_alarm_open",
        "alarm",
        ["household", "kind"],
        unique=True,
        sqlite_where=sa.text("stage <> 'closed'"),
        postgresql_where=sa.text("stage <> 'closed'"),
    )
    op.create_table(
        "command",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alarm", sa.String(length=36), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_command"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_command_waiting",
        "command",
        ["id"],
        unique=False,
        sqlite_where=sa.text("result IS NULL"),
        postgresql_where=sa.text("result IS NULL"),
    )
    op.create_table(
        "community",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_community"),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("alarm", sa.String(length=36), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_index(
        "ix_event_early",
        "event",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("verdict = 'early'"),
        postgresql_where=sa.text("verdict = 'early'"),
    )
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("household", sa.String(length=63), nullable=True),
        sa.Column("alarm", sa.String(length=36), nullable=True),
        sa.Column("device", sa.String(length=63), nullable=True),
        sa.Column("event", sa.String(length=36), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_journal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_alarm", "journal", ["alarm"], unique=False)
    op.create_index("ix_journal_at", "journal", ["at"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("alarm", sa.String(length=36), nullable=False),
        sa.Column("hook", sa.String(length=63), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
    )
    op.create_index("ix_notice_alarm", "notice", ["alarm"], unique=False)
    op.create_index(
        "ix_notice_pending",
        "notice",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "policy",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policy"),
    )
    op.create_table(
        "rejected",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rejected"),
    )
    op.create_table(
        "twin",
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device", name="pk_twin"),
    )
    op.create_table(
        "group",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["community"], ["community.id"], name="fk_group_community"),
        sa.PrimaryKeyConstraint("id", name="pk_group"),
    )
    op.create_table(
        "hook",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret_file", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["community"], ["community.id"], name="fk_hook_community"),
        sa.PrimaryKeyConstraint("id", name="pk_hook"),
    )
    op.create_table(
        "household",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["community"], ["community.id"], name="fk_household_community"),
        sa.PrimaryKeyConstraint("id", name="pk_household"),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["community"], ["community.id"], name="fk_person_community"),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
    )
    op.create_table(
        "device",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("community", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("household", sa.String(length=63), nullable=True),
        sa.Column("person", sa.String(length=63), nullable=True),
        sa.Column("volume", sa.Integer(), nullable=True),
        sa.Column("report_interval_s", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["community"], ["community.id"], name="fk_device_community"),
        sa.ForeignKeyConstraint(["household"], ["household.id"], name="fk_device_household"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="fk_device_person"),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
    )
    op.create_table(
        "group_hook",
        sa.Column("group", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hook", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["group"], ["group.id"], name="fk_group_hook_group"),
        sa.ForeignKeyConstraint(["hook"], ["hook.id"], name="fk_group_hook_hook"),
        sa.PrimaryKeyConstraint("group", "place", name="pk_group_hook"),
    )
    op.create_table(
        "group_member",
        sa.Column("group", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["group"], ["group.id"], name="fk_group_member_group"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="fk_group_member_person"),
        sa.PrimaryKeyConstraint("group", "place", name="pk_group_member"),
    )
    op.create_table(
        "household_policy",
        sa.Column("household", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["household"], ["household.id"], name="fk_household_policy_household"),
        sa.ForeignKeyConstraint(["policy"], ["policy.id"], name="fk_household_policy_policy"),
        sa.PrimaryKeyConstraint("household", "place", name="pk_household_policy"),
    )
    op.create_table(
        "pair",
        sa.Column("household", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["household"], ["household.id"], name="fk_pair_household"),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name="fk_pair_person"),
        sa.PrimaryKeyConstraint("household", "place", name="pk_pair"),
    )
    for statement in REFUSALS[op.get_bind().dialect.name]:
        op.execute(statement)
