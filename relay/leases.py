"""The relay's part in the leases: beats, takes, gives, and tells the runtime what it holds. ``core.lease`` decides.

It runs on the relay's own loop between two turns, not on a thread of its own: a relay whose loop hangs must lose its
communities, however well its other threads do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import structlog

from doorbell.errors import SetupError
from relay.core.lease import LeasePlan, LeaseTable, LeaseTimes, LeaseView, Member, observe_leases, plan_leases
from relay.core.lease import sure_until_ms as until_when
from relay.held import Held
from relay.ports import LeaseStore, StoreError


class Server(Protocol):
    """The runtime, as the leases see it."""

    held: Held
    counts: Counter[str]

    def communities(self) -> Collection[str]:
        """All that are registered."""
        ...

    def monotonic_ms(self) -> int:
        """The clock of ``Held.sure_until_ms``."""
        ...

    def hears(self, patience_ms: int) -> bool:
        """Whether it hears the devices, or lost the broker less than ``patience_ms`` ago; and knows who is there."""
        ...

    def adopt(self, fences: Mapping[str, int]) -> None:
        """Begin to serve these."""
        ...

    def forget(self, communities: Collection[str]) -> None:
        """Serve these no more."""
        ...

    def adopting(self) -> Collection[str]:
        """Those that it was told to adopt and has not loaded yet."""
        ...


TELL_DEAF_MS, GIVE_DEAF_MS = 2_000, 4_000
"""Without the broker for so long a relay says that it hears nobody, and gives what it holds to one that does. The pause
between the two keeps relays that all lost the broker from handing their communities around."""


class LeaseDesk:
    """``tend`` as often as the loop turns; it does something once a beat.

    ``say``, ``silent_ms``: asked with the monotonic time, an ``Echo`` that tells whether the broker still hears us.
    """

    def __init__(
        self,
        store: LeaseStore,
        server: Server,
        name: str,
        *,
        times: LeaseTimes,
        new_run: Callable[[], str],
        say: Callable[[int], None] = lambda _now_ms: None,
        silent_ms: Callable[[int], int] = lambda _now_ms: 0,
    ) -> None:
        self._store = store
        self._server = server
        self._times = times
        self._new_run = new_run
        self._say = say
        self._silent_ms = silent_ms
        self._me = Member(name, new_run())
        self._joined = False
        self._view = LeaseView()
        self._next_ms = 0
        self._failed = False
        self._log = structlog.get_logger("relay").bind()

    @property
    def next_ms(self) -> int:
        """When the next beat is due, by the server's monotonic clock."""
        return self._next_ms

    def tend(self) -> None:
        """Beat if it is time. A database that does not answer is told once: then the leases run out by themselves.

        Raises ``SetupError`` when another relay has been started under this one's name.
        """
        if self._server.monotonic_ms() < self._next_ms:
            return
        self._next_ms = self._server.monotonic_ms() + self._times.beat_ms
        self._say(self._server.monotonic_ms())
        try:
            self._beat()
        except StoreError as error:
            if not error.retryable:
                raise
            if not self._failed:
                self._log.warning("leases.not_renewed", reason=str(error))
            self._failed = True
        else:
            if self._failed:
                self._log.warning("leases.renewed")
            self._failed = False

    def leave(self) -> None:
        """Hand everything over at once, in good order: the others take it at their next beat."""
        held = len(self._server.held.fences)
        self._server.forget([*self._server.held.fences, *self._server.adopting()])
        try:
            self._store.leave(self._me)
        except StoreError as error:
            self._log.warning("leases.not_given", reason=str(error))
        else:
            self._log.info("leases.given", communities=held, why="leaving")

    def _beat(self) -> None:
        server, times = self._server, self._times
        self._me = self._standing(TELL_DEAF_MS)
        if not self._joined:
            self._store.join(self._me)
            self._joined = True
        asked_ms = server.monotonic_ms()
        table = self._store.beat(self._me)
        heard_ms = server.monotonic_ms()
        if not self._is_mine(table):
            return
        server.held.sure_until_ms = until_when(asked_ms, times)
        communities = server.communities()
        self._view = observe_leases(self._view, table, communities, asked_ms=asked_ms, heard_ms=heard_ms, times=times)
        self._agree(table.held_by(self._me.run))
        plan = plan_leases(self._standing(GIVE_DEAF_MS), self._view, table, communities, asked_ms, times)
        self._follow(plan, table)

    def _standing(self, patience_ms: int) -> Member:
        hears = self._server.hears(patience_ms) and self._silent_ms(self._server.monotonic_ms()) < patience_ms
        return Member(self._me.name, self._me.run, ready=hears)

    def _is_mine(self, table: LeaseTable) -> bool:
        """Whether our row still is; if not, everything that we held is somebody else's, or free."""
        row = table.members.get(self._me.name)
        if row is not None and row.run == self._me.run:
            return True
        self._lose([*self._server.held.fences, *self._server.adopting()], "held for dead")
        if row is not None:
            raise SetupError(
                f"another relay has been started under the name {self._me.name!r}: no two relays may share one; "
                "this one has let go of everything and ends"
            )
        self._me, self._joined, self._view = Member(self._me.name, self._new_run()), False, LeaseView()
        self._next_ms = self._server.monotonic_ms()
        return False

    def _agree(self, ours: Mapping[str, int]) -> None:
        """Bring what the runtime serves in line with what the database says."""
        server = self._server
        serving = {**server.held.fences, **dict.fromkeys(server.adopting(), -1)}
        lost = [community for community in serving if community not in ours]
        stale = [community for community, fence in server.held.fences.items() if ours.get(community, fence) != fence]
        self._lose([*lost, *stale], "taken")
        fresh = {community: fence for community, fence in ours.items() if community not in serving}
        if fresh:
            server.adopt(fresh)

    def _lose(self, communities: Collection[str], why: str) -> None:
        if communities:
            self._server.forget(communities)
            self._server.counts["lease.lost"] += len(communities)
            self._log.warning("leases.lost", communities=len(communities), why=why)

    def _follow(self, plan: LeasePlan, table: LeaseTable) -> None:
        server = self._server
        if plan.bury:
            self._log.warning("relay.silent", relays=[member.name for member in plan.bury])
            self._store.bury(plan.bury)
        if plan.give:
            # First out of memory, then out of the table: nobody may begin while we are at it.
            held = table.held_by(self._me.run)
            server.forget(plan.give)
            self._store.give(self._me, {community: held[community] for community in plan.give if community in held})
            server.counts["lease.given"] += len(plan.give)
            self._log.info("leases.given", communities=len(plan.give), why="balance")
        if plan.take:
            before = server.held.fences.keys() | set(server.adopting())
            ours = self._store.take(self._me, plan.take)
            taken = {community: fence for community, fence in ours.items() if community not in before}
            if taken:
                server.adopt(taken)
                server.counts["lease.taken"] += len(taken)
                self._log.info("leases.taken", communities=len(taken), of=len(plan.take))
