"""The machine of the relay: its clocks, its database, its hooks, and the real ``RelayRuntime`` turned as the loop does.

What waits in the queue is one turn. A commit that fails is tried again, and nothing else happens meanwhile. The
process can die at every call to the outside: so also between a decision and its commit, between the commit and an
acknowledgement, between two publishes. It can be stopped there too (SIGSTOP), and go on much later with what it knew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random

from doorbell.link import LinkUp
from doorbell.wire import Topics
from relay.core.lease import LeaseTimes
from relay.core.register import Hook
from relay.echo import Echo
from relay.held import Held
from relay.inbox import TURN_SIZE
from relay.intake import Backlog
from relay.leases import LeaseDesk
from relay.loop import BEAT_S, GAP_S, RETRY_FIRST_S, RETRY_MAX_S
from relay.ports import Batch, LeaseLostError, NoticeDelivered, NoticeRow, StoreError
from relay.runtime import RelayInput, RelayRuntime
from relay.turn import Turn
from sim.device_machine import VILLAGE_START
from sim.link import SimLink
from sim.network import RELAY, SimBroker
from sim.relay_disk import RelayDisk, RelayLeases
from sim.relay_watcher import RelayWatcher
from sim.schedule import Fuse, ProcessDied, Schedule, Trail
from sim.stores import MemoryStore


class RelayMachine:
    """A relay of the village, alone or, with ``several``, beside others; it is also its own clock and notifier."""

    def __init__(
        self,
        data: MemoryStore,
        *,
        name: str = RELAY,
        several: bool = False,
        schedule: Schedule,
        broker: SimBroker,
        chance: Random,
        watcher: RelayWatcher,
        trail: Trail,
        poll_ms: int,
    ) -> None:
        self.name = name
        self.several = several
        self.schedule = schedule
        self.chance = chance
        self.fuse = Fuse()
        self.store = RelayDisk(data, self)
        self.held = Held()
        self.stopped = False
        """Whether the process is stopped (SIGSTOP) in the middle of a call."""
        self.looked_ms = 0
        """When it last looked at its monotonic clock, in village ms."""
        self.runtime: RelayRuntime | None = None
        self.link: SimLink | None = None
        self.wall_error_ms = 0
        self.decided_error_ms = 0
        """How wrong the wall clock was when the turn that is committed now was decided."""
        self.decided_ms = 0
        """When that was, in village ms."""
        self.knows_boot = True
        """Whether the operating system can name the boot."""
        self.hooks_refuse: Callable[[], NoticeDelivered | None] = lambda: None
        self.restart_ms: Callable[[], int] = lambda: 1_000
        self.troubled_ms = 0
        """When it last ceased to serve."""
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
        self._waiting = False
        """Whether a call to the database takes its time, or the process is stopped in one."""
        self._blocked_ms = 0
        """How long the loop has not taken anything in, if that was not its own wish."""
        self._desk: LeaseDesk | None = None

    @property
    def run(self) -> int:
        """Which process of this machine it is."""
        return self._run

    # --- the process ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, if it does not run."""
        if self.runtime is not None:
            return
        self._run += 1
        self._inbox, self._turn_at_ms, self._busy, self._retry_s = [], None, False, RETRY_FIRST_S
        self._waiting, self._blocked_ms, self._desk = False, 0, None
        self.store.opened()
        run, topics = self._run, Topics()
        echo = Echo(topics, self.name, f"{self.name}/{run}", self.take)
        self.link = SimLink(
            self._broker,
            self.name,
            sink=echo.take if self.several else self.take,
            fuse=self.fuse,
            presence_topic=None,
            on_publish=self._published,
        )
        self.link.stopped = lambda: self.stopped
        self.held = Held(everything=not self.several)
        runtime = RelayRuntime(
            self.store,
            self.link,
            self,
            self,
            topics,
            poll_ms=self._poll_ms,
            held=self.held,
            stopwatch=lambda: self.schedule.now_ms / 1000,
        )
        if self.several:
            runs = count(1)
            self._desk = LeaseDesk(
                RelayLeases(self.store, self),
                runtime,
                self.name,
                times=LeaseTimes(),
                new_run=lambda: f"{self.name}/{run}/{next(runs)}",
                say=partial(echo.say, self.link),
                silent_ms=echo.silent_ms,
            )
        try:
            runtime.start()
        except ProcessDied:
            self._died(run)
            return
        except StoreError:
            # The service manager starts it again until its database can be read.
            self.link.die(0)
            self.schedule.after(2_000, self.start)
            return
        self.runtime = runtime
        self.booting = False
        self._works_again()
        self._trail.note(self.name, "starts", len(runtime.book.by_id), "open")
        self._beat = True
        self.link.start()
        self._turn_in(1)

    def die(self, restart_after_ms: int, *, machine: bool = False) -> None:
        """The process ends now; with ``machine`` the boot ends too."""
        self.deaths += 1
        self._trail.note(self.name, "machine reboots" if machine else "dies")
        self.fuse.left = None
        self.runtime = None
        self._serves_no_more()
        self.stopped = False
        self.held = Held()
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
        if not self._busy and not self._waiting:
            self._turn_in(self.chance.randint(0, 3))

    def step_wall(self, delta_ms: int) -> None:
        """Somebody sets the wall clock; the loop's beat is what notices."""
        self._trail.note(self.name, "wall clock steps", delta_ms, "ms")
        self.wall_error_ms += delta_ms
        self._beat = True
        if self.runtime is not None and not self._busy and not self._waiting:
            self._turn_in(self.chance.randint(0, round(BEAT_S * 1000)))

    def stop(self, ms: int) -> None:
        """SIGSTOP in the middle of a call, and SIGCONT after ``ms``: everybody else lives on meanwhile. Its kernel
        keeps the connections open, and the broker gives up a client that answers no ping."""
        self._trail.note(self.name, "is stopped for", ms, "ms")
        unanswered_ms = self.chance.randint(10_000, 90_000)
        if unanswered_ms < ms:
            self.schedule.after(unanswered_ms, self._unanswered, self._run)
        self.stopped = True
        self._block(ms)
        self.stopped = False
        self._trail.note(self.name, "goes on")

    def _unanswered(self, run: int) -> None:
        if run == self._run and self.stopped:
            self._broker.unanswered(self.name)

    def wait(self, ms: int) -> None:
        """A call takes so long; only the loop waits for it."""
        self._block(ms)

    def _block(self, ms: int) -> None:
        if self._waiting:  # stopped in a call that takes long
            return
        run, self._waiting = self._run, True
        self._serves_no_more()
        self.schedule.run_until(self.schedule.now_ms + ms)
        if run != self._run:
            raise ProcessDied
        self._waiting = False
        self._blocked_ms += ms
        self._works_again()

    def heal(self) -> None:
        """Nothing of what was to go wrong goes wrong any more."""
        self.fuse.left = None
        self.hooks_refuse = lambda: None
        if not self.store.works:
            self.cut_off()
        self.store.heal()

    def cut_off(self, *, away: bool = False, read_only: bool = False) -> None:
        """Its database cannot be reached any more, or not be written; with neither, it can."""
        self.store.away, self.store.read_only = away, read_only
        self._serves_no_more()
        self._works_again()

    def _works_again(self) -> None:
        """From now on it serves, unless something else is still in the way."""
        if self.runtime is not None and not self._busy and not self._waiting and self.store.works:
            self.serving_since_ms = self.schedule.now_ms

    def _serves_no_more(self) -> None:
        if self.serving_since_ms is not None:
            self.serving_since_ms, self.troubled_ms = None, self.schedule.now_ms

    def _died(self, run: int) -> None:
        """A call to the outside was the last; unless the process had been ended while it was stopped in one."""
        if run == self._run:
            self.die(self.restart_ms())

    def _turn_in(self, wait_ms: int) -> None:
        at_ms = self.schedule.now_ms + wait_ms
        if self._turn_at_ms is None or at_ms < self._turn_at_ms:
            self._turn_at_ms = at_ms
            self.schedule.at(at_ms, self._wake, at_ms, self._run)

    def _wake(self, at_ms: int, run: int) -> None:
        runtime = self.runtime
        if run != self._run or at_ms != self._turn_at_ms or self._busy or self._waiting or runtime is None:
            return
        self._turn_at_ms = None
        if not self._tend(run):
            return
        if self._inbox or self._beat or runtime.next_wake_ms() <= self.monotonic_ms():
            self._beat = False
            inputs, self._inbox = self._inbox[:TURN_SIZE], self._inbox[TURN_SIZE:]
            self._decide(inputs, run)
        else:
            self._sleep()

    def _tend(self, run: int) -> bool:
        """Look after the leases; False if that was the end of the process."""
        if self._desk is not None:
            try:
                self._desk.tend()
            except ProcessDied:
                self._died(run)
                return False
        return True

    def _decide(self, inputs: list[RelayInput], run: int) -> None:
        runtime = self.runtime
        if run != self._run or runtime is None:
            return
        self.decided_error_ms = self.wall_error_ms
        self.decided_ms = self.schedule.now_ms
        late = [Backlog()] if self._blocked_ms > GAP_S * 1000 else []
        try:
            turn = runtime.decide([*inputs, *late])
        except ProcessDied:
            self._died(run)
            return
        except StoreError as error:
            self._fail(error, self._decide, inputs, run)
            return
        if any(isinstance(item, LinkUp) for item in inputs):
            self.link_up_ms = self.schedule.now_ms
        self._perform(turn, inputs, run)

    def _perform(self, turn: Turn, inputs: list[RelayInput], run: int) -> None:
        runtime = self.runtime
        if run != self._run or runtime is None:
            return
        try:
            runtime.perform(turn)
        except ProcessDied:
            self._died(run)
            return
        except LeaseLostError as lost:
            self._trail.note(self.name, "may not write", sorted(lost.communities))
            runtime.start_over(lost.communities)
            self._decide(inputs, run)
            return
        except StoreError as error:
            self._fail(error, self._perform, turn, inputs, run)
            return
        self._blocked_ms = 0
        if self._busy:
            self._busy, self._retry_s = False, RETRY_FIRST_S
            self._works_again()
        self._sleep()

    def _fail(self, error: StoreError, again: Callable[..., None], *args: object) -> None:
        if not error.retryable:
            raise error
        self._trail.note(self.name, "database fails")
        self._busy = True
        self._serves_no_more()
        self._blocked_ms += round(self._retry_s * 1000)
        self.schedule.after(round(self._retry_s * 1000), again, *args)
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S)

    def _sleep(self) -> None:
        runtime = self.runtime
        if runtime is None:
            return
        if self._inbox:
            self._turn_in(0)
        else:
            wake_ms = runtime.next_wake_ms()
            if self._desk is not None:
                wake_ms = min(wake_ms, self._desk.next_ms)
            self._turn_in(max(wake_ms - self.monotonic_ms(), 0))

    # --- relay.ports.Clock and Notifier -----------------------------------------------------------------------------

    def now(self) -> datetime:
        """The wall clock, right or wrong."""
        return VILLAGE_START + timedelta(milliseconds=self.schedule.now_ms + self.wall_error_ms)

    def monotonic_ms(self) -> int:
        """Milliseconds since the machine booted."""
        self.looked_ms = self.schedule.now_ms
        return self.monotonic_at(self.looked_ms)

    def monotonic_at(self, now_ms: int) -> int:
        """The same of a moment in village ms."""
        return now_ms - self._booted_ms

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
