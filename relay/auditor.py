"""The auditor: is there an open alarm that nobody will look at again?

It reads the database itself, on a connection and a thread of its own, and trusts nothing that the relay has in memory:
what it is there to find is a mistake of the relay's. It changes nothing. What it finds it says as loudly as a program
can, and to the relay, which then looks at that alarm (``Engine.recover``).

An alarm counts as forgotten when it was seen twice, ``CONFIRM_S`` apart, with the same deadline that is missing or
older than ``TOLERANCE_S``: a clock that was set moves every deadline within a second or two, and no sooner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from doorbell.logs import LogOnce
from doorbell.wire import format_time
from relay.looker import Looker
from relay.ports import AuditFound, Forgotten, StoreError

INTERVAL_S = 20.0
"""The product asks for every minute; a look costs a millisecond of a thread of its own."""
TOLERANCE_S = 15.0
"""Ten seconds in which another relay may have to take a community over, and five that a commit may wait for a lock."""
CONFIRM_S = 5.0
MAX_FORGOTTEN = 100
"""Named in one look; after them come the others."""
LOGGED_EVERY = 180
"""Looks: once an hour the log says that the auditor lives, even if nobody reads its metrics."""


class Evidence(Protocol):
    """What the auditor reads. Every failure is a ``StoreError``."""

    def forgotten(self, before: datetime, limit: int) -> Sequence[Forgotten]:
        """Open alarms without a deadline, or with one before this time, oldest first."""
        ...


class Auditor(Looker):
    """``start`` it beside the relay; any thread may read what it found.

    ``tell`` gets an ``AuditFound`` after every look that confirms something; ``now`` is aware UTC; ``monotonic``
    seconds, the clock of ``looked_s``. Without ``start``, ``look`` is one look, which returns the seconds to the next.
    """

    def __init__(
        self,
        evidence: Evidence,
        tell: Callable[[AuditFound], None],
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("auditor")
        self._evidence = evidence
        self._tell = tell
        self._now = now
        self._monotonic = monotonic
        self._log = structlog.get_logger("relay.auditor").bind()
        self._complaints = LogOnce(self._log)
        self.looks = self.failures = self.found = 0
        self.forgotten = 0
        """Confirmed by the newest look."""
        self.looked_s = monotonic()
        """When it last looked with success; before the first time, when it was made."""
        self._suspected: Mapping[str, Forgotten] = {}
        self._told: set[str] = set()

    def crashed(self) -> float:
        """See ``Looker``."""
        self._failed()
        self._log.error("auditor.crashed", exc_info=True)
        return INTERVAL_S

    def look(self) -> float:
        """One look; returns how many seconds to wait before the next."""
        try:
            rows = self._evidence.forgotten(self._now() - timedelta(seconds=TOLERANCE_S), MAX_FORGOTTEN)
        except StoreError as error:
            self._failed()
            self._complaints.warning("auditor.failed", reason=str(error))
            return INTERVAL_S
        self._complaints.clear()
        seen = {row.alarm: row for row in rows}
        confirmed = [row for row in rows if self._suspected.get(row.alarm) == row]
        fresh = seen.keys() - self._suspected.keys()
        self._suspected = seen
        self.looks += 1
        self.looked_s = self._monotonic()
        self.forgotten = len(confirmed)
        self._told &= seen.keys()
        for row in confirmed:
            if row.alarm not in self._told:
                self._complain(row)
        if confirmed:
            self._tell(AuditFound(tuple(row.alarm for row in confirmed)))
        elif self.looks % LOGGED_EVERY == 0:
            self._log.info("auditor.content", looks=self.looks, found=self.found)
        return CONFIRM_S if fresh else INTERVAL_S

    def _complain(self, row: Forgotten) -> None:
        self._told.add(row.alarm)
        self.found += 1
        deadline = row.deadline and format_time(row.deadline)
        late_s = None if row.deadline is None else round((self._now() - row.deadline).total_seconds(), 1)
        self._log.error("alarm.forgotten", alarm=row.alarm, community=row.community, deadline=deadline, late_s=late_s)

    def _failed(self) -> None:
        self.failures += 1
        self._suspected = {}
