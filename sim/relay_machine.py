"""The machine of the relay: its clocks, its database, its hooks, and the real ``RelayRuntime`` turned as the loop does.

What waits in the queue is one turn. A commit that fails is tried again, and nothing else happens meanwhile. The
process can die at every call to the outside: so also between a decision and its commit, between the commit and an
acknowledgement, between two publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from doorbell.link import LinkUp
from doorbell.wire import Topics
from relay.core.register import Hook, Register
from relay.inbox import TURN_SIZE
from relay.loop import BEAT_S, RETRY_FIRST_S, RETRY_MAX_S
from relay.ports import Batch, NoticeDelivered, NoticeRow, Snapshot, StoreError
from relay.runtime import RelayInput, RelayRuntime
from relay.turn import Turn
from sim.device_machine import VILLAGE_START
from sim.network import RELAY, SimBroker, SimLink
from sim.schedule import Fuse, ProcessDied, Schedule, Trail
from sim.stores import MemoryStore


class RelayWatcher(Protocol):
    """Who looks at everything that the relay does."""

    def relay_committed(self, machine: RelayMachine, batch: Batch) -> None:
        """A turn is in the database."""
        ...

    def relay_published(self, machine: RelayMachine, topic: str, payload: bytes) -> None:
        """A desired state leaves the relay."""
        ...

    def hook_told(self, notice: NoticeRow, hook: Hook) -> None:
        """A hook was told successfully."""
        ...


class RelayDisk(MemoryStore):
    """The relay's database, watched; the process may die before and after each commit."""

    def __init__(self, register: Register, machine: RelayMachine) -> None:
        super().__init__(register)
        self._machine = machine

    def load(self, communities: Collection[str] | None = None) -> Snapshot:
        """Everything a relay starts from."""
        self._machine.fuse.burn()
        return super().load(communities)

    def commit(self, batch: Batch) -> None:
        """Write a batch whole, or not at all."""
        self._machine.fuse.burn()
        super().commit(batch)
        self._machine.committed(batch)
        self._machine.fuse.burn()


class RelayMachine:
    """The relay of the village; it is also its own clock and notifier."""

    def __init__(
        self,
        register: Register,
        *,
        schedule: Schedule,
        broker: SimBroker,
        chance: Random,
        watcher: RelayWatcher,
        trail: Trail,
        poll_ms: int,
    ) -> None:
        self.schedule = schedule
        self.chance = chance
        self.fuse = Fuse()
        self.store = RelayDisk(register, self)
        self.runtime: RelayRuntime | None = None
        self.link: SimLink | None = None
        self.wall_error_ms = 0
        self.decided_error_ms = 0
        """How wrong the wall clock was when the turn that is committed now was decided."""
        self.knows_boot = True
        """Whether the operating system can name the boot."""
        self.hooks_refuse: Callable[[], NoticeDelivered | None] = lambda: None
        self.restart_ms: Callable[[], int] = lambda: 1_000
        self.serving_since_ms: int | None = None
        """Since when it has run without a failing database, in village ms; None while it does not."""
        self.link_up_ms = 0
        """When it last took notice of a new connection: later than that came up, if its database failed just then."""
        self.booting = False
        """Whether the machine restarts, so that nobody could notice a set clock."""
        self.deaths = 0
        self._broker = broker
        self._watcher = watcher
        self._trail = trail
        self._poll_ms = poll_ms
        self._booted_ms = schedule.now_ms - 86_400_000
        self._boots = 0
        self._run = 0
        self._inbox: list[RelayInput] = []
        self._turn_at_ms: int | None = None
        self._busy = False
        self._beat = False
        """Turn even if nothing is due: the loop does so every ``BEAT_S``, and is what notices a set clock."""
        self._retry_s = RETRY_FIRST_S

    # --- the process ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, if it does not run."""
        if self.runtime is not None:
            return
        self._run += 1
        self._inbox, self._turn_at_ms, self._busy, self._retry_s = [], None, False, RETRY_FIRST_S
        self.link = SimLink(
            self._broker, RELAY, sink=self.take, fuse=self.fuse, presence_topic=None, on_publish=self._published
        )
        runtime = RelayRuntime(self.store, self.link, self, self, Topics(), poll_ms=self._poll_ms)
        try:
            runtime.start()
        except ProcessDied:
            self.die(self.restart_ms())
            return
        except StoreError:
            # The service manager starts it again until its database can be read.
            self.link.die(0)
            self.schedule.after(2_000, self.start)
            return
        self.runtime = runtime
        self.booting = False
        self.serving_since_ms = self.schedule.now_ms
        self._trail.note(RELAY, "starts", len(runtime.book.by_id), "open")
        self._beat = True
        self.link.start()
        self._turn_in(1)

    def die(self, restart_after_ms: int, *, machine: bool = False) -> None:
        """The process ends now; with ``machine`` the boot ends too."""
        self.deaths += 1
        self._trail.note(RELAY, "machine reboots" if machine else "dies")
        self.fuse.left = None
        self.runtime = None
        self.serving_since_ms = None
        self._run += 1
        if self.link is not None:
            self.link.die(self.chance.randint(10_000, 60_000) if machine else self.chance.randint(0, 20))
            self.link = None
        self.booting = machine
        if machine:
            self._boots += 1
            self._booted_ms = self.schedule.now_ms + restart_after_ms - self.chance.randint(10_000, 60_000)
        self.schedule.after(restart_after_ms, self.start)

    def take(self, item: RelayInput) -> None:
        """Something for the queue."""
        self._inbox.append(item)
        if not self._busy:
            self._turn_in(self.chance.randint(0, 3))

    def step_wall(self, delta_ms: int) -> None:
        """Somebody sets the wall clock; the loop's beat is what notices."""
        self._trail.note(RELAY, "wall clock steps", delta_ms, "ms")
        self.wall_error_ms += delta_ms
        self._beat = True
        if self.runtime is not None and not self._busy:
            self._turn_in(self.chance.randint(0, round(BEAT_S * 1000)))

    def _turn_in(self, wait_ms: int) -> None:
        at_ms = self.schedule.now_ms + wait_ms
        if self._turn_at_ms is None or at_ms < self._turn_at_ms:
            self._turn_at_ms = at_ms
            self.schedule.at(at_ms, self._wake, at_ms, self._run)

    def _wake(self, at_ms: int, run: int) -> None:
        runtime = self.runtime
        if run != self._run or at_ms != self._turn_at_ms or self._busy or runtime is None:
            return
        self._turn_at_ms = None
        if self._inbox or self._beat or runtime.next_wake_ms() <= self.monotonic_ms():
            self._beat = False
            inputs, self._inbox = self._inbox[:TURN_SIZE], self._inbox[TURN_SIZE:]
            self._decide(inputs, run)
        else:
            self._sleep()

    def _decide(self, inputs: list[RelayInput], run: int) -> None:
        runtime = self.runtime
        if run != self._run or runtime is None:
            return
        self.decided_error_ms = self.wall_error_ms
        try:
            turn = runtime.decide(inputs)
        except StoreError as error:
            self._fail(error, self._decide, inputs, run)
            return
        if any(isinstance(item, LinkUp) for item in inputs):
            self.link_up_ms = self.schedule.now_ms
        self._perform(turn, run)

    def _perform(self, turn: Turn, run: int) -> None:
        runtime = self.runtime
        if run != self._run or runtime is None:
            return
        try:
            runtime.perform(turn)
        except ProcessDied:
            self.die(self.restart_ms())
            return
        except StoreError as error:
            self._fail(error, self._perform, turn, run)
            return
        if self._busy:
            self._busy, self._retry_s = False, RETRY_FIRST_S
            self.serving_since_ms = self.schedule.now_ms
        self._sleep()

    def _fail(self, error: StoreError, again: Callable[..., None], *args: object) -> None:
        if not error.retryable:
            raise error
        self._trail.note(RELAY, "database fails")
        self._busy = True
        self.serving_since_ms = None
        self.schedule.after(round(self._retry_s * 1000), again, *args)
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S)

    def _sleep(self) -> None:
        runtime = self.runtime
        if runtime is None:
            return
        if self._inbox:
            self._turn_in(0)
        else:
            self._turn_in(max(runtime.next_wake_ms() - self.monotonic_ms(), 0))

    # --- relay.ports.Clock and Notifier -----------------------------------------------------------------------------

    def now(self) -> datetime:
        """The wall clock, right or wrong."""
        return VILLAGE_START + timedelta(milliseconds=self.schedule.now_ms + self.wall_error_ms)

    def monotonic_ms(self) -> int:
        """Milliseconds since the machine booted."""
        return self.schedule.now_ms - self._booted_ms

    def boot_id(self) -> str:
        """This boot."""
        return f"boot-{self._boots}" if self.knows_boot else ""

    def send(self, notice: NoticeRow, hook: Hook) -> None:
        """Tell a hook; the outcome comes a little later."""
        self.fuse.burn()
        self.schedule.after(self.chance.randint(20, 400), self._told, notice, hook, self._run)

    def _told(self, notice: NoticeRow, hook: Hook, run: int) -> None:
        refused = self.hooks_refuse()
        outcome = NoticeDelivered(notice.id, ok=True)
        if refused is None:
            self._watcher.hook_told(notice, hook)
        else:
            outcome = NoticeDelivered(notice.id, ok=False, retryable=refused.retryable, detail=refused.detail)
        if run == self._run:
            self.take(outcome)

    def committed(self, batch: Batch) -> None:
        """The database has taken a batch."""
        self._watcher.relay_committed(self, batch)

    def _published(self, topic: str, payload: bytes) -> None:
        self._watcher.relay_published(self, topic, payload)
