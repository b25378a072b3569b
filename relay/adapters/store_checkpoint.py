"""Carrying SQLite's write-ahead log back into the database file, beside the thread that commits.

SQLite does it within the commit that makes the log long enough: 10 ms and more in which presses wait, several times a
second in a flood. Here a thread does it on a connection of its own, which holds up no writer. The log begins anew only
if a commit finds all of it carried over; under load something has always been added meanwhile. So when it has become
long the writer is asked to carry over the short rest itself, between two commits.

Nothing depends on it: what is committed is in the log and on the disk. A pass that fails is made again later, and
SQLite's own limit (``LIMIT_PAGES``) stands behind all this.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

PASS_PAGES = 1_000
"""Between two passes. Few, because the disk is busy with what a pass has carried over, and the next commit waits."""
LONG_PAGES = 8_000
"""A log that has become so long (32 MB) is to begin anew."""
LIMIT_PAGES = 16_000
"""A commit that makes the log longer than this carries it over as SQLite does without us."""
SHORT_PAGES = 250
"""A rest that can be carried over within a millisecond; a longer one, added during a pass, gets a pass of its own."""

_CARRY = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """For the one relay that owns ``file``. ``written`` and ``finish`` are its writing thread's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._pages = 0
        self._wanted = threading.Event()
        self._asked = threading.Event()
        """The writer is to carry over the rest."""
        self._stopping = False
        self._thread: threading.Thread | None = None

    def written(self, rows: int) -> None:
        """A commit has changed so many rows."""
        self._pages += _pages(rows)
        if self._pages >= PASS_PAGES:
            self._pages = 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()
            self._wanted.set()

    def finish(self, driver: Any) -> None:
        """Before a commit on this connection: carry over the rest, if the log has become long."""
        if self._asked.is_set():
            self._asked.clear()
            with suppress(sqlite3.Error):
                driver.execute(_CARRY).fetchone()

    def close(self) -> None:
        """End the thread; a pass that runs is waited for."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while self._is_wanted():
            with suppress(sqlite3.Error), closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                self._carry_over(connection)
                while self._is_wanted():
                    self._carry_over(connection)

    def _is_wanted(self) -> bool:
        if not self._stopping:
            self._wanted.wait()
            self._wanted.clear()
        return not self._stopping

    def _carry_over(self, connection: sqlite3.Connection) -> None:
        _, _, carried = connection.execute(_CARRY).fetchone()
        # Only a pass to which nothing is added has SQLite wait for the disk: the second, which is short.
        _, length, _ = connection.execute(_CARRY).fetchone()
        if length >= LONG_PAGES and length - carried <= SHORT_PAGES:
            self._asked.set()


def _pages(rows: int) -> int:
    """What a commit adds to the log, roughly: a press alone 18 pages, 25 in one turn 122, 250 in one turn 425."""
    return min(12 + rows, 100 + rows // 4)
