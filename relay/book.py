"""What the relay holds in memory: the open alarms with the look-ups that a turn needs, and the devices' twins.

The database is the truth; this is its open part, and everything in here has been or is about to be committed.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from doorbell.wire import AlarmKind
from relay.core.alarm import Alarm, AlarmStage

_KINDS = tuple(AlarmKind)
"""Going through the class itself takes longer than all that is done with its members."""


class AlarmBook:
    """The open alarms, by id, by household and kind, by bell, by press, and by deadline."""

    def __init__(self) -> None:
        self.by_id: dict[str, Alarm] = {}
        self.stages: Counter[tuple[AlarmKind, AlarmStage]] = Counter()
        """How many are open, by kind and stage: counted as they change, for nobody may walk through 100,000 of them."""
        self.by_household: dict[tuple[str, AlarmKind], Alarm] = {}
        self._by_bell: dict[str, dict[str, None]] = {}
        self._press_of: dict[str, str] = {}
        self._presses: dict[str, list[str]] = {}
        self._due: list[tuple[datetime, str]] = []

    def put(self, alarm: Alarm) -> None:
        """Take the new state of an alarm; a closed one leaves the book."""
        old = self.by_id.get(alarm.id)
        if old is not None:
            self.stages[old.kind, old.stage] -= 1
        if not alarm.is_open:
            self._drop(alarm, old)
            return
        self.stages[alarm.kind, alarm.stage] += 1
        self.by_id[alarm.id] = alarm
        self.by_household[alarm.household, alarm.kind] = alarm
        if old is None or old.called != alarm.called:
            for bell in alarm.called:
                self._by_bell.setdefault(bell, {})[alarm.id] = None
        if alarm.deadline is not None and (old is None or old.deadline != alarm.deadline):
            heapq.heappush(self._due, (alarm.deadline, alarm.id))

    def forget(self, communities: Container[str]) -> None:
        """Hold the alarms of these communities no more."""
        for alarm in list(self.by_id.values()):
            if alarm.community in communities:
                self.stages[alarm.kind, alarm.stage] -= 1
                self._drop(alarm, alarm)

    def _drop(self, alarm: Alarm, old: Alarm | None) -> None:
        self.by_id.pop(alarm.id, None)
        self.by_household.pop((alarm.household, alarm.kind), None)
        for bell in (old or alarm).called:
            alarms = self._by_bell.get(bell, {})
            alarms.pop(alarm.id, None)
            if not alarms:
                self._by_bell.pop(bell, None)
        for press in self._presses.pop(alarm.id, ()):
            self._press_of.pop(press, None)

    def add_press(self, press: str, alarm_id: str) -> None:
        """Remember that a later press was counted to an alarm: bells may know the alarm by it."""
        self._press_of[press] = alarm_id
        self._presses.setdefault(alarm_id, []).append(press)

    def find(self, alarm_or_press: str) -> Alarm | None:
        """An open alarm by its id or by the id of one of its presses."""
        return self.by_id.get(alarm_or_press) or self.by_id.get(self._press_of.get(alarm_or_press, ""))

    def calling(self, bell: str) -> list[Alarm]:
        """The open alarms that have called this bell."""
        return [self.by_id[alarm_id] for alarm_id in self._by_bell.get(bell, ())]

    def of_household(self, household: str) -> Iterator[Alarm]:
        """The household's open alarms of every kind."""
        for kind in _KINDS:
            if (alarm := self.by_household.get((household, kind))) is not None:
                yield alarm

    def pop_due(self, now: datetime, at_most: int) -> list[str]:
        """So many of the alarms whose deadline has come, each once, the oldest deadline first."""
        due: dict[str, None] = {}
        while len(due) < at_most and (head := self._head()) is not None and head[0] <= now:
            heapq.heappop(self._due)
            due[head[1]] = None
        return list(due)

    def put_back(self, alarm: Alarm) -> None:
        """Watch the deadline of an alarm that ``pop_due`` gave and that has not moved since."""
        if alarm.deadline is not None:
            heapq.heappush(self._due, (alarm.deadline, alarm.id))

    def next_deadline(self) -> datetime | None:
        """The nearest deadline of an open alarm."""
        head = self._head()
        return head[0] if head is not None else None

    def _head(self) -> tuple[datetime, str] | None:
        while self._due:
            deadline, alarm_id = self._due[0]
            alarm = self.by_id.get(alarm_id)
            if alarm is not None and alarm.deadline == deadline:
                return self._due[0]
            heapq.heappop(self._due)
        return None


@dataclass(slots=True)
class Twin:
    """A device's desired state, and how the telling of it stands (monotonic ms)."""

    rev: int = 0
    stored: tuple[str, ...] = ()
    content: bytes = b""
    registered: int = 0
    """The length of the end of ``content`` that the register alone decides; 0 if it is not known."""
    registers: int = 0
    """Which register that was, counted from the start of the relay."""
    repair_at_ms: int | None = None
    repair_wait_ms: int = 0


@dataclass(slots=True)
class Wakeups:
    """Things that fall due by the monotonic clock: a heap of moments in ms, with all keys of a moment in one list.

    Only the newest entry of a key counts: older ones are found out when their moment has come. A turn of 250 presses
    sets 500 keys to one moment.
    """

    _moments: list[int] = field(default_factory=list)
    _keys: dict[int, list[str]] = field(default_factory=dict)
    _due: dict[str, int] = field(default_factory=dict)

    def set(self, key: str, at_ms: int) -> None:
        """Wake ``key`` at ``at_ms`` instead of whenever it was set before. Later settings cost nothing at once."""
        known = self._due.get(key)
        self._due[key] = at_ms
        if known is None or at_ms < known:
            self._enter(key, at_ms)

    def clear(self, key: str) -> None:
        """Forget ``key``."""
        self._due.pop(key, None)

    def pop_due(self, now_ms: int) -> list[str]:
        """The keys that are due, each once; they are forgotten."""
        due: list[str] = []
        while self._moments and self._moments[0] <= now_ms:
            at_ms = heapq.heappop(self._moments)
            for key in sorted(self._keys.pop(at_ms)):
                wanted = self._due.get(key)
                if wanted == at_ms:
                    del self._due[key]
                    due.append(key)
                elif wanted is not None and wanted > at_ms:
                    self._enter(key, wanted)
        return due

    def next_ms(self) -> int | None:
        """When the next key falls due."""
        while self._moments:
            at_ms = self._moments[0]
            keys = self._keys[at_ms]
            while keys:
                wanted = self._due.get(keys[-1])
                if wanted == at_ms:
                    return at_ms
                key = keys.pop()
                if wanted is not None and wanted > at_ms:
                    self._enter(key, wanted)
            heapq.heappop(self._moments)
            del self._keys[at_ms]
        return None

    def _enter(self, key: str, at_ms: int) -> None:
        keys = self._keys.get(at_ms)
        if keys is None:
            self._keys[at_ms] = [key]
            heapq.heappush(self._moments, at_ms)
        else:
            keys.append(key)
