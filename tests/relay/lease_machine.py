"""Relays that beat, die, are stopped, wake up and write in any order, on one store of leases: a machine for hypothesis.

What must always be true: of two writes about a community the later one never carries the smaller number, and no number
belongs to two relays. So once another relay has written, or could have, nothing of the one before is taken any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import count

import structlog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.core.lease import LeaseTimes
from relay.held import Held
from relay.leases import LeaseDesk
from relay.ports import Batch, JournalRow, LeaseLostError, LeaseStore, Store, StoreError
from tests.relay.rows import T0

TOWN = ("east", "north", "south")
NAMES = ("one", "two", "three")
TIMES = LeaseTimes()


class Seat:
    """One relay: its process may be stopped (``awake`` False) and its desk may be replaced by a new process's."""

    def __init__(self, name: str, store: Store, leases: LeaseStore, clock: Callable[[], int]) -> None:
        self.name = name
        self.store = store
        self.leases = leases
        self.clock = clock
        self.awake = True
        self.running = True
        self.start()

    def start(self) -> None:
        """A new process."""
        runs = count(1)
        self.held = Held()
        self.counts: Counter[str] = Counter()
        self.decided: list[tuple[str, int]] = []
        self.born = self.clock()
        self.hearing = True
        self.desk = LeaseDesk(
            self.leases, self, self.name, times=TIMES, new_run=lambda: f"{self.name}-{self.born}-{next(runs)}"
        )

    # relay.leases.Server: what is adopted is loaded at once

    def communities(self) -> Collection[str]:
        return TOWN

    def monotonic_ms(self) -> int:
        return self.clock()

    def hears(self, patience_ms: int) -> bool:
        return self.hearing

    def adopt(self, fences: Mapping[str, int]) -> None:
        for community, fence in fences.items():
            self.held.put(community, fence)

    def adopting(self) -> Collection[str]:
        return ()

    def forget(self, communities: Collection[str]) -> None:
        self.held.drop(list(communities))


def _commit(store: Store, batch: Batch) -> None:
    """As the loop does it: a connection that has ended (burying ends a relay's sessions) is made anew."""
    for _ in range(3):
        try:
            store.commit(batch)
        except StoreError as error:
            if not error.retryable:
                raise
        else:
            return
    raise AssertionError("the database does not come back")


class LeaseMachine(RuleBasedStateMachine):
    """Subclasses say how to open the shared store."""

    def open_shared(self, name: str) -> tuple[Store, LeaseStore]:
        """The shared database, by connections of one more relay."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(50), logger_factory=structlog.ReturnLoggerFactory()
        )
        self.now_ms = 0
        self.accepted: dict[str, list[tuple[int, str]]] = {community: [] for community in TOWN}
        self.seats = {name: Seat(name, *self.open_shared(name), self.clock) for name in NAMES}

    def clock(self) -> int:
        """All machines' clocks run alike; each process sees them only while it is awake."""
        return self.now_ms

    @rule(ms=st.sampled_from([100, 1_000, 1_000, 1_000, 4_500, 6_000, 60_000]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(name=st.sampled_from(NAMES))
    def beats(self, name: str) -> None:
        seat = self.seats[name]
        if seat.running and seat.awake:
            seat.desk.tend()

    @rule(seconds=st.integers(1, 12), but=st.sampled_from([None, *NAMES]))
    def all_live_on(self, seconds: int, but: str | None) -> None:
        for _ in range(seconds):
            self.now_ms += 1_000
            for name in NAMES:
                if name != but:
                    self.beats(name)

    @rule(name=st.sampled_from(NAMES))
    def is_stopped_or_wakes(self, name: str) -> None:
        self.seats[name].awake = not self.seats[name].awake

    @rule(name=st.sampled_from(NAMES))
    def loses_or_finds_the_broker(self, name: str) -> None:
        self.seats[name].hearing = not self.seats[name].hearing

    @rule(name=st.sampled_from(NAMES), orderly=st.booleans())
    def ends(self, name: str, orderly: bool) -> None:
        seat = self.seats[name]
        if seat.running and orderly and seat.awake:
            seat.desk.leave()
        seat.running = False

    @precondition(lambda self: any(not seat.running for seat in self.seats.values()))
    @rule()
    def starts_again(self) -> None:
        for seat in self.seats.values():
            if not seat.running:
                seat.running = seat.awake = True
                seat.start()

    @rule(name=st.sampled_from(NAMES), community=st.sampled_from(TOWN))
    def decides(self, name: str, community: str) -> None:
        """Something to be written later, under the number of now."""
        seat = self.seats[name]
        if seat.running and seat.awake and community in seat.held:
            seat.decided.append((community, seat.held.fences[community]))

    @rule(name=st.sampled_from(NAMES))
    def writes(self, name: str) -> None:
        """What was decided first, however long ago, and even by a process that has been given up since."""
        seat = self.seats[name]
        if not seat.decided:
            return
        community, fence = seat.decided.pop(0)
        batch = Batch(journal=[JournalRow(T0, community, name)], fences={community: fence})
        try:
            _commit(seat.store, batch)
        except LeaseLostError as lost:
            seat.forget(lost.communities)
        else:
            self.accepted[community].append((fence, name))

    @rule(name=st.sampled_from(NAMES), community=st.sampled_from(TOWN))
    def is_stopped_between_a_decision_and_its_write(self, name: str, community: str) -> None:
        """And all the others go on, and write."""
        self.decides(name, community)
        self.all_live_on(9, name)
        for other in NAMES:
            if other != name:
                self.decides(other, community)
                self.writes(other)
        self.writes(name)

    @invariant()
    def numbers_rise_and_have_one_relay_each(self) -> None:
        for community, writes in self.accepted.items():
            numbers = [fence for fence, _ in writes]
            assert numbers == sorted(numbers), f"{community}: a stale write was taken: {writes}"
            assert len(set(writes)) == len(set(numbers)), f"{community}: two relays under one number: {writes}"

    @invariant()
    def two_that_are_sure_of_themselves_never_hold_the_same(self) -> None:
        """What may be published is one relay's, without asking the database."""
        sure = [seat for seat in self.seats.values() if seat.running and seat.held.sure(self.now_ms)]
        holders = Counter(community for seat in sure for community in seat.held.fences)
        assert all(number == 1 for number in holders.values()), holders

    def teardown(self) -> None:
        """Everything heals: in the time of a failover each community has one holder, and shares are even."""
        for seat in self.seats.values():
            seat.awake = seat.hearing = True
        self.starts_again() if any(not seat.running for seat in self.seats.values()) else None
        self.all_live_on(20, None)
        held = sorted(community for seat in self.seats.values() for community in seat.held.fences)
        assert held == sorted(TOWN)
        assert all(len(seat.held.fences) == 1 for seat in self.seats.values())
