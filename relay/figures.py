"""What the relay measures of itself: how long things take, how many, and when each last went well.

The loop's thread writes (of certificates the threads that look after them), any thread may read: every value is one
number, or a list whose length never changes, so a reader sees each of them whole and at worst one turn late. Nothing in
here locks, allocates much or can fail: it runs after a turn's rings are published, and a press must not wait for being
counted.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from doorbell.broker_order import Need
from doorbell.wire import AlarmKind
from relay.core.alarm import AlarmStage, NoteType
from relay.turn import Turn

SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for what is milliseconds on a well relay, and must be told apart up to the 10 s after which a panel says that
it reaches nobody."""
LONG_S = (0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0)
"""Bounds for a press until a bell sounds; 60 s and 180 s are those of the telecare measures."""
LAG_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Bounds for how late a deadline was looked at: 1 s is what is promised, 10 s across a failover."""
SIZES = (0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)
ENDS_SOON_DAYS, ENDS_NOW_DAYS = 30, 7
"""A certificate: who renews it may be on holiday, and then it must be today."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """How a relay stands. Devices: ``registered``, of these ``heard`` since the start, of these ``online`` now.

    ``counts`` is ``RelayRuntime.counts``: what happened how often, by dotted names.
    """

    link_is_up: bool
    open_alarms: Mapping[tuple[AlarmKind, AlarmStage], int]
    held: int
    """Communities that it serves."""
    registered: int
    heard: int
    online: int
    counts: Mapping[str, int]

    @property
    def need(self) -> Need:
        """What the link's connection is needed for: while an alarm rings, a moment without it is a moment too long.

        Not for ever: a town may have one that rings all day, and it may do so for want of a better connection.
        """
        ringing = any(count for (_, stage), count in self.open_alarms.items() if stage is AlarmStage.RINGING)
        return Need.RECEIPT if ringing else Need.NONE


class Whose(StrEnum):
    """Whose certificate may run out. Stable words: they are labels."""

    RELAY = "relay"
    """This relay's own."""
    ISSUING = "issuing"
    """Who has signed it."""
    AUTHORITY = "authority"
    """Whom this relay trusts."""
    BROKER = "broker"
    BROKER_ISSUING = "broker_issuing"
    """As the brokers show them."""
    SIGNING = "signing"
    """Who would sign here today, where the authority's folder is on this machine."""


@dataclass(frozen=True, slots=True)
class CertificateEnds:
    """What a look at the certificates has found."""

    days: Mapping[Whose, float] = field(default_factory=dict)
    """Until the first of each kind ends; negative: since. Who was never seen is not in it."""
    clock_wrong: bool = False
    """The wall clock is provably wrong: there are fewer days than these, and nobody knows how many."""


class Spread:
    """A quantity, counted by upper bound. ``counts`` has one more place than ``bounds``: what is above all of them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count a value that was seen so often; a negative one (a clock was set) counts as none at all, which is 0."""
        value = max(value, 0.0)
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


class Figures:
    """The figures of one relay since its start. ``monotonic`` is the clock, in seconds, of every time in here."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.press_to_ring = Spread(SHORT_S)
        """From when the link took a new press in until its rings were handed to the link."""
        self.commit_to_publish = Spread(SHORT_S)
        """Of the same presses: from the end of their commit."""
        self.press_to_sound = Spread(LONG_S)
        """From the press, by the best clock there was, until the first bell said that it sounds."""
        self.commit = Spread(SHORT_S)
        self.commit_events = Spread(SIZES)
        self.deadline_lag = Spread(LAG_S)
        self.turns = 0
        self.store_errors = 0
        self.turned_s = self.moved_s = self.proven_s = monotonic()
        """When a turn last ended, when the loop last did anything (a turn, or a try at the database), and when the
        database last took a commit; the start counts as each."""
        self.failing_since_s: float | None = None
        self.shed_s: float | None = None
        """When a heartbeat was last shed."""
        self.certificates = CertificateEnds()
        self.certificates_s = monotonic()
        """When every certificate was last seen; the start counts as that."""
        self.renewals_waiting = self.renewals_signed = self.renewals_refused = 0
        """Of devices: those that wait for the issuing key at the last look, and what this relay has answered."""
        self._sounded: set[str] = set()

    def turned(self, turn: Turn) -> None:
        """A turn is over: committed, acknowledged, published, logged."""
        self.turns += 1
        self.turned_s = self.moved_s = self.monotonic()
        self.failing_since_s = None
        if turn.committed_s is not None:
            self.proven_s = turn.committed_s
            self.commit.add(turn.committed_s - turn.begun_s)
            self.commit_events.add(len(turn.batch.events))
            if turn.raised:
                self._rang(turn, turn.committed_s)
        for lag_s in turn.lags_s:
            self.deadline_lag.add(lag_s)
        for line in turn.batch.journal:
            if line.type == NoteType.SOUNDING and line.alarm is not None and line.alarm not in self._sounded:
                self._sounded.add(line.alarm)
                self.press_to_sound.add(line.data["after_ms"] / 1000)
            elif line.type == NoteType.CLOSED:
                self._sounded.discard(line.alarm or "")

    def _rang(self, turn: Turn, committed_s: float) -> None:
        self.commit_to_publish.add(turn.published_s - committed_s, len(turn.raised))
        for arrived_s in turn.raised.values():
            if arrived_s:
                self.press_to_ring.add(turn.published_s - arrived_s)

    def store_failed(self) -> None:
        """The database refused; the loop lives and tries again."""
        self.store_errors += 1
        self.moved_s = self.monotonic()
        if self.failing_since_s is None:
            self.failing_since_s = self.moved_s
