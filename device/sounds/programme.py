"""What a speaker plays next: answers, and a ring's 叮咚, announcements and waking chime. Pure; it knows no time.

A ring begins with 叮咚 three times, then who calls and where, then the waking chime; after ``WAKING_TURNS`` of it the
calls are named again in turn. A new call while it rings begins anew with 叮咚 and its own name. What answers a press is
played at once, in between; after it the call that is now the first is named, because the next press will answer that.

Without a ring the newest notice takes the place of the one before, but for the answer to a press: that is said to its
end, and only the newest of what has come meanwhile is said after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from device.core.effects import Play
from device.core.signals import Call, Tone

WAKING_TURNS = 3
"""Twelve seconds of the waking chime between two announcements, so about 15 s from one to the next."""
CALLS_NAMED = 2
"""So many calls are named in one round; more would leave too little of what wakes."""
MAX_ANSWERS = 4
"""Waiting while it rings: more presses than that in one sentence's time are restless fingers."""
SOFT_START, FULL_AFTER_S = 0.6, 30.0
"""A ring begins at this part of its volume and is at full volume so many seconds later."""


@dataclass(frozen=True, slots=True)
class DingDong:
    """叮咚 three times."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Who calls, and where."""

    call: Call


@dataclass(frozen=True, slots=True)
class Count:
    """How many call."""

    calls: int


@dataclass(frozen=True, slots=True)
class Wake:
    """One turn of the waking chime."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A notice: its tone, and its sentence."""

    notice: Play


Item = DingDong | Announce | Count | Wake | Answer


class Programme:
    """The order of what is played. Not for several threads at once."""

    def __init__(self) -> None:
        self._queue: deque[Item] = deque()
        self._calls: tuple[Call, ...] = ()
        self._named = 0
        self._now: Item | None = None

    @property
    def calls(self) -> tuple[Call, ...]:
        """The alarms that ring."""
        return self._calls

    def ring(self, calls: Sequence[Call]) -> bool:
        """Ring for exactly these from now on. Whether what plays now must end for it."""
        known = {call.alarm for call in self._calls}
        began_or_ended = bool(self._calls) != bool(calls)
        self._calls = tuple(calls)
        new = [call for call in calls if call.alarm not in known]
        if not calls:
            self._queue.clear()
            self._named = 0
        elif new:
            answers = [] if began_or_ended else self._answers()
            count = [Count(len(calls))] if len(calls) > 1 else []
            self._queue = deque([*answers, DingDong(), *map(Announce, new[:CALLS_NAMED]), *count])
        else:
            wanted = {call.alarm for call in calls}
            kept = (one for one in self._queue if not isinstance(one, Announce) or one.call.alarm in wanted)
            self._queue = deque(kept)
            return isinstance(self._now, Announce) and self._now.call.alarm not in wanted
        return began_or_ended or bool(new)

    def tell(self, notice: Play) -> bool:
        """Play this notice. Whether what plays now must end for it."""
        if self._calls:
            answers = self._answers()[-(MAX_ANSWERS - 1) :]
            others = [one for one in self._queue if not isinstance(one, Answer)]
            if not others or not isinstance(others[0], DingDong):
                first = Announce(self._calls[0])
                others = [first, *(one for one in others if one != first)]
            self._queue = deque([*answers, Answer(notice), *others])
            return not isinstance(self._now, Answer) or notice.tone is Tone.HEARD
        self._queue = deque([Answer(notice)])
        return not (isinstance(self._now, Answer) and self._now.notice.tone is Tone.HEARD) or notice.tone is Tone.HEARD

    def next(self) -> Item | None:
        """What plays now, None: nothing."""
        if not self._queue and self._calls:
            self._queue.extend([Wake()] * WAKING_TURNS)
            count = len(self._calls)
            named = [self._calls[(self._named + i) % count] for i in range(min(CALLS_NAMED, count))]
            self._named = (self._named + len(named)) % count
            self._queue.extend(map(Announce, named))
            if count > 1:
                self._queue.append(Count(count))
        self._now = self._queue.popleft() if self._queue else None
        return self._now

    def now(self) -> Item | None:
        """What ``next`` gave last."""
        return self._now

    def waits(self) -> bool:
        """Whether there is something to play."""
        return bool(self._queue or self._calls)

    def clear(self) -> None:
        """Forget everything."""
        self._queue.clear()
        self._calls, self._now = (), None

    def forget_notices(self) -> None:
        """What waits and cannot be played now must not be said later, as if it were news."""
        self._queue = deque(one for one in self._queue if not isinstance(one, Answer))

    def _answers(self) -> list[Item]:
        return [one for one in self._queue if isinstance(one, Answer)]


def ring_share(rung_s: float) -> float:
    """The part of a ring's volume so many seconds after it began."""
    return min(1.0, SOFT_START + (1.0 - SOFT_START) * rung_s / FULL_AFTER_S)
