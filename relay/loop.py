"""The relay's real loop: one queue, one thread, the runtime, and what to do when the database does not answer.

Everything that waits in the queue is one turn and so one transaction: under load the commits grow, not the queue.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import structlog

from doorbell.link import LinkDied, LinkUp
from doorbell.logs import lines_held
from relay.figures import Figures
from relay.ports import LeaseLostError, StoreError
from relay.runtime import RelayInput, RelayRuntime
from relay.turn import Turn

QUEUE_SIZE = 50_000
"""Inputs that may wait; then the link's thread waits too, and the broker holds the rest (about 100 MB at the worst)."""
TURN_SIZE = 250
"""Inputs of one turn at the most: keeps the first press of a burst from waiting for the last."""
RETRY_FIRST_S, RETRY_MAX_S = 0.2, 5.0
"""Between two tries of a commit: a lock passes in milliseconds, a full disk takes a person."""
GATHER_S = 0.1
"""After a connect: what the broker has kept for us comes at once, several copies of an event among it, and only all of
them together tell when it happened (``relay.intake.latest_copies``)."""
BEAT_S = 1.0
"""The loop turns at least this often, so that its proof of life is fresh."""
PROOF_S = 30.0
"""A relay that has had nothing to commit for so long commits one row: that the database took something yesterday does
not tell that it takes a press now. 2,880 small writes a day where nothing else happens, none on a busy relay."""

T = TypeVar("T")


class Inbox:
    """The one way in: a bounded queue that any thread may fill."""

    def __init__(self) -> None:
        self._queue: queue.Queue[RelayInput] = queue.Queue(QUEUE_SIZE)

    def put(self, item: RelayInput) -> None:
        """Hand in an input; waits while the queue is full, which is how the broker learns to wait."""
        self._queue.put(item)

    def gather(self, for_s: float) -> list[RelayInput]:
        """Everything that comes in so long, ``TURN_SIZE`` at the most."""
        until, gathered = time.monotonic() + for_s, list[RelayInput]()
        while len(gathered) < TURN_SIZE and (left_s := until - time.monotonic()) > 0:
            gathered += self.take(left_s)
        return gathered

    def take(self, timeout_s: float) -> list[RelayInput]:
        """Everything that waits, ``TURN_SIZE`` at the most; empty after ``timeout_s``."""
        taken: list[RelayInput] = []
        try:
            taken.append(self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait())
            while len(taken) < TURN_SIZE:
                taken.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return taken


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
) -> bool:
    """Turn until ``stopping`` says so. Returns False if the link's thread died: the process must end at once.

    ``leases`` are looked after between two turns, and whenever they want it.

    ``alive`` is called after every turn: it feeds the watchdog. While the database refuses, nothing feeds it, and the
    service manager's restart is the last resort. ``figures`` is told of every turn and every refusal.
    """
    log = structlog.get_logger("relay")
    leases = leases or _NoLeases()
    while not stopping():
        leases.tend()
        wait_s = (min(runtime.next_wake_ms(), leases.next_ms) - runtime.monotonic_ms()) / 1000
        inputs = inbox.take(min(max(wait_s, 0.0), BEAT_S))
        if any(isinstance(item, LinkUp) for item in inputs):
            inputs += inbox.gather(GATHER_S)
        if any(isinstance(item, LinkDied) for item in inputs) or not links.alive():
            log.error("link.dead")
            return False
        leases.tend()  # again: while nothing came in, or this process was stopped, they may have run out
        if figures.monotonic() - figures.proven_s >= PROOF_S:
            runtime.prove_disk()
        turn = _turn(runtime, inputs, stopping, figures)
        if turn is None:
            return True
        figures.turned(turn)
        alive()
    return True


def _turn(
    runtime: RelayRuntime, inputs: list[RelayInput], stopping: Callable[[], bool], figures: Figures
) -> Turn | None:
    """Decide and perform; once more from the beginning if another relay has taken what it was decided for."""
    while (turn := _insist(partial(runtime.decide, inputs), stopping, figures)) is not None:
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
