"""Virtual time: a heap of things to do, and the trail of what was done. Nothing in the village has another clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

TRAIL_LENGTH = 40
"""What is printed when something is wrong; a replay may ask for more."""
MOST_AT_ONCE = 10_000
"""More than this within one millisecond is a loop that never sleeps."""


class ProcessDied(BaseException):
    """A simulated process ends here, in the middle of whatever it was doing. No program may catch it."""


class Violation(Exception):  # noqa: N818 - a word of the checks: a rule was broken
    """A safety rule was broken, or the village did not come to rest. The message says which and how."""


class Schedule:
    """The village's clock (``now_ms``, from 0) and what is to happen when. Equal times happen in order of asking."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.happened = 0
        self._moved = 0
        """How much had happened when time last moved."""
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def at(self, at_ms: int, action: Callable[..., None], *args: Any) -> None:
        """Do it at ``at_ms``, or now if that has passed."""
        self._asked += 1
        heapq.heappush(self._heap, (max(at_ms, self.now_ms), self._asked, action, args))

    def after(self, wait_ms: int, action: Callable[..., None], *args: Any) -> None:
        """Do it ``wait_ms`` from now."""
        self.at(self.now_ms + wait_ms, action, *args)

    def run_until(self, end_ms: int) -> None:
        """Let everything happen that is due up to and including ``end_ms``. What happens may call this in its turn: a
        program that waits in the middle of something, while all others go on."""
        heap = self._heap
        while heap and heap[0][0] <= end_ms:
            at_ms, _, action, args = heapq.heappop(heap)
            self.happened += 1
            if at_ms > self.now_ms:
                self.now_ms, self._moved = at_ms, self.happened
            elif self.happened - self._moved > MOST_AT_ONCE:
                raise Violation(f"time stands still at {at_ms} ms: something wakes itself for ever")
            action(*args)
        self.now_ms = max(self.now_ms, end_ms)


class Trail:
    """The newest of what happened, formatted only when somebody reads it."""

    def __init__(self, schedule: Schedule, length: int = TRAIL_LENGTH) -> None:
        self._schedule = schedule
        self._steps: deque[tuple[int, str, str, tuple[Any, ...]]] = deque(maxlen=length)
        self.count = 0

    def note(self, who: str, what: str, *facts: Any) -> None:
        """Add a step."""
        self.count += 1
        self._steps.append((self._schedule.now_ms, who, what, facts))

    def lines(self) -> list[str]:
        """The newest steps, oldest first, with the virtual time of each."""
        return [
            f"{clock_text(at_ms)}  {who:<12} {what} {' '.join(_short(fact) for fact in facts)}".rstrip()
            for at_ms, who, what, facts in self._steps
        ]


def clock_text(at_ms: int) -> str:
    """Virtual time as hours, minutes, seconds and milliseconds since the village began."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"


def _short(fact: Any) -> str:
    text = fact.decode("utf-8", "replace") if isinstance(fact, bytes) else str(fact)
    return text if len(text) <= 400 else text[:400] + "…"


class Fuse:
    """Decides at which of its calls to the outside a process dies, or what else happens to it. Not lit: never."""

    def __init__(self) -> None:
        self.left: int | None = None
        self._then: Callable[[], None] | None = None

    def light(self, calls: int, then: Callable[[], None] | None = None) -> None:
        """Die at the call after so many more, or let ``then`` happen in the middle of it."""
        self.left, self._then = calls, then

    def burn(self) -> None:
        """One call to the outside, or one half of it."""
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            if self._then is None:
                raise ProcessDied
            self._then()
