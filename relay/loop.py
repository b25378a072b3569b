"""The relay's real loop: one inbox, one thread, the runtime, and what to do when the database does not answer.

Everything that waits in the queue is one turn and so one transaction: under load the commits grow, not the queue.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from doorbell.link import LinkDied, LinkUp
from doorbell.logs import lines_held
from relay.figures import Figures
from relay.inbox import Inbox
from relay.intake import Backlog
from relay.ports import LeaseLostError, StoreError
from relay.runtime import RelayInput, RelayRuntime
from relay.turn import Turn

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 0.8
"""Between two tries of a commit: a lock passes in milliseconds, a full disk takes a person. Under a second, so that a
deadline is kept within a second of the moment when there is room again; a try that is refused costs a millisecond."""
GATHER_S = 0.1
"""After a connect: what the broker has kept for us comes at once, several copies of an event among it, and only all of
them together tell when it happened (``relay.intake.latest_copies``)."""
BEAT_S = 1.0
"""The loop turns at least this often, so that its proof of life is fresh."""
PROOF_S = 30.0
"""A relay that has had nothing to commit for so long commits one row: that the database took something yesterday does
not tell that it takes a press now. 2,880 small writes a day where nothing else happens, none on a busy relay."""

GAP_S = 5.0
"""If the inbox was not emptied for so long, whatever the loop waited for, the relay has not heard what was said to it
meanwhile: most of it lies with the broker, which waits for acknowledgements."""
SHED_LOG_S = 60.0

T = TypeVar("T")


class Alive(Protocol):
    """Something that can say whether its thread still runs."""

    def alive(self) -> bool:
        """False once it is gone for good."""
        ...


class Tended(Protocol):
    """The leases (``relay.leases``)."""

    @property
    def next_ms(self) -> float:
        """When ``tend`` wants to be called next, by the runtime's monotonic clock."""
        ...

    def tend(self) -> None:
        """Do what is due."""
        ...


class _NoLeases:
    next_ms = math.inf

    def tend(self) -> None:
        pass


def run_loop(
    runtime: RelayRuntime,
    inbox: Inbox,
    *,
    stopping: Callable[[], bool],
    links: Alive,
    alive: Callable[[], None],
    figures: Figures,
    leases: Tended | None = None,
    traced: Callable[[Turn], None] = lambda _turn: None,
) -> bool:
    """Turn until ``stopping`` says so. Returns False if the link's thread died: the process must end at once.

    ``leases`` are looked after between two turns, and whenever they want it.

    ``alive`` is called after every turn: it feeds the watchdog. While the database refuses, nothing feeds it, and the
    service manager's restart is the last resort. ``figures`` is told of every turn and every refusal,
    ``traced`` of every turn.
    """
    log = structlog.get_logger("relay")
    leases = leases or _NoLeases()
    shedding = ShedLog(log, figures)
    before_s = taken_s = figures.monotonic()

    def decide() -> Turn:
        late = figures.monotonic() - before_s > GAP_S
        return runtime.decide([*inputs, Backlog()] if late else inputs)

    while not stopping():
        leases.tend()
        wait_s = (min(runtime.next_wake_ms(), leases.next_ms) - runtime.monotonic_ms()) / 1000
        inputs = inbox.take(min(max(wait_s, 0.0), BEAT_S))
        if any(isinstance(item, LinkUp) for item in inputs):
            inputs += inbox.gather(GATHER_S)
        before_s, taken_s = taken_s, figures.monotonic()
        if any(isinstance(item, LinkDied) for item in inputs) or not links.alive():
            log.error("link.dead")
            return False
        leases.tend()  # again: while nothing came in, or this process was stopped, they may have run out
        if figures.monotonic() - figures.proven_s >= PROOF_S:
            runtime.prove_disk()
        turn = _turn(runtime, decide, stopping, figures)
        if turn is None:
            return True
        figures.turned(turn)
        shedding.tell(inputs)
        traced(turn)
        alive()
    return True


class ShedLog:
    """Tells whoever reads the log that heartbeats were shed: at once, and then their number once a minute."""

    def __init__(self, log: Any, figures: Figures) -> None:
        self._log = log
        self._figures = figures
        self._count = self._waiting = 0
        self._next_s: float | None = None

    def tell(self, inputs: Sequence[RelayInput]) -> None:
        """After a turn with these inputs."""
        now_s = self._figures.turned_s
        for item in inputs:
            if isinstance(item, Backlog) and item.shed:
                self._figures.shed_s = now_s
                self._count += len(item.shed)
                self._waiting = item.waiting
        if self._next_s is None and self._count:
            self._next_s = now_s  # the first of them is told at once
        if self._next_s is not None and now_s >= self._next_s:
            if self._count:
                self._log.warning("heartbeats.shed", count=self._count, waiting=self._waiting)
            self._next_s, self._count = (now_s + SHED_LOG_S if self._count else None), 0


def _turn(
    runtime: RelayRuntime, decide: Callable[[], Turn], stopping: Callable[[], bool], figures: Figures
) -> Turn | None:
    """Decide and perform; once more from the beginning if another relay has taken what it was decided for."""
    while (turn := _insist(decide, stopping, figures)) is not None:
        try:
            return _insist(partial(runtime.perform, turn), stopping, figures)
        except LeaseLostError as lost:
            runtime.start_over(lost.communities)
    return None


def _insist(action: Callable[[], T], stopping: Callable[[], bool], figures: Figures) -> T | None:
    """Do it until the database agrees; None if it is time to stop first (nothing was acknowledged: nothing is lost)."""
    log = structlog.get_logger("relay")
    wait_s, failures = RETRY_FIRST_S, 0
    while True:
        try:
            with lines_held():  # not around the waiting: a database that fails must be told now
                result = action()
        except StoreError as error:
            if not error.retryable:
                raise
            failures += 1
            figures.store_failed()
            if failures == 1:
                log.warning("store.failed", reason=str(error))
            if stopping():
                return None
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)
        else:
            if failures:
                log.warning("store.recovered", failures=failures)
            return result
