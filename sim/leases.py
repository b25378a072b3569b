"""A ``relay.ports.LeaseStore`` in memory, held to the same contract tests as the SQL one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from relay.core.lease import Claim, Lease, LeaseTable, Member


class MemoryLeases:
    """The two tables as dictionaries. ``fails`` is called first by every call and may raise ``StoreError``."""

    def __init__(self, fails: Callable[[], None] = lambda: None) -> None:
        self.fails = fails
        self._members: dict[str, Member] = {}
        self._leases: dict[str, Lease] = {}

    def fence(self, community: str) -> int:
        """The number that a write about a community must carry."""
        lease = self._leases.get(community)
        return 0 if lease is None else lease.fence

    # relay.ports.LeaseStore

    def join(self, me: Member) -> None:
        """Put this run's row there."""
        self.fails()
        self._members[me.name] = replace(me, beat=0)

    def beat(self, me: Member) -> LeaseTable:
        """Raise our beat; returns all rows."""
        self.fails()
        row = self._members.get(me.name)
        if row is not None and row.run == me.run:
            self._members[me.name] = replace(me, beat=row.beat + 1)
        return LeaseTable(dict(self._members), dict(self._leases))

    def take(self, me: Member, claims: Sequence[Claim]) -> dict[str, int]:
        """Take what nobody alive holds and is still as claimed; returns all that we hold then."""
        self.fails()
        alive = {member.run for member in self._members.values()}
        for claim in claims:
            lease = self._leases.setdefault(claim.community, Lease(claim.community, 0))
            if lease.fence == claim.fence and lease.holder not in alive:
                self._leases[claim.community] = Lease(claim.community, claim.fence + 1, me.run)
        return LeaseTable(leases=self._leases).held_by(me.run)

    def give(self, me: Member, fences: Mapping[str, int]) -> None:
        """Let go of communities that are held under these numbers."""
        self.fails()
        for community, fence in fences.items():
            if self._leases.get(community) == Lease(community, fence, me.run):
                self._leases[community] = Lease(community, fence)

    def bury(self, dead: Sequence[Member]) -> None:
        """Remove the rows of members that have not beaten since."""
        self.fails()
        for member in dead:
            row = self._members.get(member.name)
            if row is not None and (row.run, row.beat) == (member.run, member.beat):
                del self._members[member.name]

    def leave(self, me: Member) -> None:
        """Let go of everything, and be gone."""
        self.fails()
        self.give(me, LeaseTable(leases=self._leases).held_by(me.run))
        row = self._members.get(me.name)
        if row is not None and row.run == me.run:
            del self._members[me.name]
