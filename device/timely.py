"""The outbox's disk with a limit of time: a card that hangs must hold up no press.

A worn card does not refuse at once: it is tried again by the kernel for up to half a minute, and until then the write
returns nothing. So the disk has a thread of its own. Who has waited ``ANSWER_S`` goes on as with a disk that refuses,
and until the late answer has come the disk counts as refusing at once. What was done late is done all the same: rows
that are there and rows that are gone already are no error of an ``OutboxStore``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import structlog

from device.core.effects import OutboxRow
from device.ports import OutboxStore, StoredOutbox, StoreError

ANSWER_S = 2.0
"""SD cards may be busy for half a second at most, by their standard; a commit is some four writes."""
LOAD_S = 10.0
"""At start everybody reads from the card at once, and nothing can be sent yet."""

_log = structlog.get_logger("device.outbox")


class ClosableStore(OutboxStore, Protocol):
    """An ``OutboxStore`` that holds a file open."""

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(slots=True)
class _Job:
    do: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    late: bool = False
    result: Any = None
    error: Exception | None = None


class TimelyOutbox:
    """An ``OutboxStore`` that answers in time, whatever ``store`` does; ``store`` is used on one thread only."""

    def __init__(self, store: ClosableStore, *, answer_s: float = ANSWER_S, load_s: float = LOAD_S) -> None:
        self._store = store
        self._answer_s = answer_s
        self._load_s = load_s
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._last: _Job | None = None
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def load(self) -> StoredOutbox:
        """As the store's. Raises ``StoreError`` also where the disk does not answer in time."""
        stored: StoredOutbox = self._ask(self._store.load, self._load_s)
        return stored

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """As the store's. Where the disk does not answer in time it may be done later, or never."""
        self._ask(partial(self._store.commit, tuple(keep), tuple(forget)), self._answer_s)

    def reserve(self, seq: int) -> None:
        """As the store's."""
        self._ask(partial(self._store.reserve, seq), self._answer_s)

    def alive(self) -> bool:
        """Whether the thread runs, however long the disk takes."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Close the store and end the thread; a disk that hangs is left behind."""
        with suppress(StoreError):
            self._ask(self._store.close, self._answer_s)
        self._jobs.put(None)

    def _ask(self, do: Callable[[], Any], within_s: float) -> Any:
        if self._last is not None and not self._last.done.is_set():
            raise StoreError("the disk has not answered yet")
        self._last = job = _Job(do)
        self._jobs.put(job)
        if not job.done.wait(within_s):
            job.late = True
            raise StoreError(f"the disk has not answered within {within_s:g} s")
        if job.error is not None:
            raise job.error
        return job.result

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            began = time.monotonic()
            try:
                job.result = job.do()
            except Exception as error:  # noqa: BLE001 - raised where it was asked
                job.error = error
            if job.late:
                reason = None if job.error is None else str(job.error)
                _log.warning("outbox.answered_late", after_s=round(time.monotonic() - began, 1), error=reason)
            job.done.set()
