"""The leases in an SQL database: ``relay.ports.LeaseStore``, and the check of the fencing numbers in every write.

A write locks the rows of its leases until it is committed (on PostgreSQL for sharing, on SQLite the whole database is
locked), and taking a lease changes its row. So of a write and a taking one comes first: either the taker finds what
was written when it loads the community, or the write finds another number and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine, and_, bindparam, delete, exists, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from relay.adapters import store_schema as schema
from relay.core.lease import Claim, Lease, LeaseTable, Member
from relay.ports import LeaseLostError

LEASES_AT_ONCE = 400
"""Two parameters each: SQLite before 3.32 takes 999 in one statement."""
TAKE_WAIT_MS = 1_000
"""How long a taker waits for a write that is under way. A holder that is stopped in the middle of one is not waited
for: burying it has ended its sessions."""

APPLICATION = "doorbell-relay"
"""What PostgreSQL shows of a session of ours, and by what it can be found."""

_lease, _member = schema.lease, schema.member
_ALIVE = exists().where(_member.c.run == _lease.c.holder)
_TAKE = (
    update(_lease)
    .where(
        _lease.c.community == bindparam("key"),
        _lease.c.fence == bindparam("old"),
        or_(_lease.c.holder.is_(None), ~_ALIVE),
    )
    .values(fence=_lease.c.fence + 1, holder=bindparam("me"))
)
_GIVE = (
    update(_lease)
    .where(
        _lease.c.community == bindparam("key"), _lease.c.fence == bindparam("old"), _lease.c.holder == bindparam("me")
    )
    .values(holder=None)
)


_END_SESSIONS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = :application AND datname = current_database() AND pid <> pg_backend_pid()"
)


def application_of(name: str) -> str:
    """What PostgreSQL shows of the sessions of a relay; 63 bytes at the most, as its client id at the broker."""
    return f"relay-{name}"


def check_fences(connection: Connection, fences: Mapping[str, int]) -> None:
    """Raise ``LeaseLostError`` unless all these numbers are those of the table; they stay so until the commit."""
    if not fences:
        return
    pairs = sorted(fences.items())
    sound: set[str] = set()
    for start in range(0, len(pairs), LEASES_AT_ONCE):
        chunk = pairs[start : start + LEASES_AT_ONCE]
        query = select(_lease.c.community).where(tuple_(_lease.c.community, _lease.c.fence).in_(chunk))
        # In one order, so that two writes never wait for each other. SQLite knows no FOR SHARE, and leaves it out.
        sound.update(connection.execute(query.order_by(_lease.c.community).with_for_update(read=True)).scalars())
    if lost := fences.keys() - sound:
        raise LeaseLostError(lost)


class SqlLeases:
    """A ``relay.ports.LeaseStore``. ``errors`` makes a ``StoreError`` of what the database complains of."""

    def __init__(self, engine: Engine, errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._errors = errors

    def join(self, me: Member) -> None:
        """Put this run's row there; an earlier run of the name has lost all that it held."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(delete(_member).where(_member.c.name == me.name))
            connection.execute(
                insert(_member).values(name=me.name, run=me.run, beat=0, ready=me.ready, leaving=me.leaving)
            )

    def beat(self, me: Member) -> LeaseTable:
        """Raise our beat; returns all rows."""
        mine = and_(_member.c.name == me.name, _member.c.run == me.run)
        raised = update(_member).where(mine).values(beat=_member.c.beat + 1, ready=me.ready, leaving=me.leaving)
        with self._errors(), self._engine.begin() as connection:
            connection.execute(raised)
            members = [
                Member(row.name, row.run, row.beat, row.ready, row.leaving)
                for row in connection.execute(select(_member))
            ]
            leases = [Lease(row.community, row.fence, row.holder) for row in connection.execute(select(_lease))]
        return LeaseTable({m.name: m for m in members}, {one.community: one for one in leases})

    def take(self, me: Member, claims: Sequence[Claim]) -> dict[str, int]:
        """Take what nobody alive holds and is still as claimed; returns all that we hold then."""
        with self._errors(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = {TAKE_WAIT_MS}"))
            for start in range(0, len(claims), LEASES_AT_ONCE):
                some = claims[start : start + LEASES_AT_ONCE]
                if new := [claim.community for claim in some if claim.fence == 0]:
                    _add(connection, new)
                rows = [{"key": claim.community, "old": claim.fence, "me": me.run} for claim in some]
                connection.execute(_TAKE, rows)
            held = select(_lease.c.community, _lease.c.fence).where(_lease.c.holder == me.run)
            return {row.community: row.fence for row in connection.execute(held)}

    def give(self, me: Member, fences: Mapping[str, int]) -> None:
        """Let go of communities that are held under these numbers."""
        if not fences:
            return
        rows = [{"key": community, "old": fence, "me": me.run} for community, fence in sorted(fences.items())]
        with self._errors(), self._engine.begin() as connection:
            connection.execute(_GIVE, rows)

    def bury(self, dead: Sequence[Member]) -> None:
        """Remove the rows of members that have not beaten since, so that what they hold can be taken.

        PostgreSQL ends their sessions: one that was stopped in mid-transaction has the rows of its leases locked.
        """
        with self._errors(), self._engine.begin() as connection:
            for member in dead:
                row = and_(_member.c.name == member.name, _member.c.run == member.run, _member.c.beat == member.beat)
                gone = connection.execute(delete(_member).where(row)).rowcount
                if gone and connection.dialect.name == "postgresql":
                    connection.execute(_END_SESSIONS, {"application": application_of(member.name)})

    def leave(self, me: Member) -> None:
        """Let go of everything, and be gone."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(update(_lease).where(_lease.c.holder == me.run).values(holder=None))
            connection.execute(delete(_member).where(_member.c.name == me.name, _member.c.run == me.run))


def _add(connection: Connection, communities: Sequence[str]) -> None:
    """The rows of communities that have never been held; somebody else may add them at this moment."""
    rows = [{"community": community, "fence": 0} for community in communities]
    if connection.dialect.name == "postgresql":
        connection.execute(postgresql.insert(_lease).on_conflict_do_nothing(), rows)
    else:
        connection.execute(sqlite.insert(_lease).on_conflict_do_nothing(), rows)
