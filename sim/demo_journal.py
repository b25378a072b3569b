"""The relay's journal as it grows, read beside the relay from its database: so only what is committed is seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from relay.adapters.sealing import Seal
from relay.adapters.store import SqlStore
from relay.ports import StoreError
from sim.demo_sightings import JournalLine, Seen

LOOK_S = 0.1
"""How often the database is asked: a screen's pace. A line's time is the relay's own, however late it is read."""


class JournalFollower:
    """Hands every new line to ``add`` with the monotonic second of its commit, on a thread, until ``stop``."""

    def __init__(self, database: Path, key_file: Path, add: Callable[[Seen, float | None], None]) -> None:
        self._database = database
        self._key_file = key_file
        self._add = add
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin; the database must be there."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with closing(SqlStore.open(self._database, seal=Seal(self._key_file))) as store:
            seq = 0
            while not self._stopping.wait(LOOK_S):
                try:
                    for line in store.journal(after_seq=seq):
                        seq = line.seq
                        self._tell(
                            JournalLine(line.at, line.type, line.alarm, line.household, line.device, dict(line.data))
                        )
                except StoreError as error:
                    if not error.retryable:
                        raise

    def _tell(self, line: JournalLine) -> None:
        ago_s = (datetime.now(UTC) - line.at) / timedelta(seconds=1)
        self._add(line, time.monotonic() - ago_s)
