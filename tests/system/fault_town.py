"""A town on SQLite and mosquitto whose disk, lines and clocks can be spoilt while a story is told.

The database has a small ext4 of its own, so that what happens to it is what the kernel does: a disk that is full, that
stands still, that fails. Each program has a line of its own to the broker. In a town ``with_clocks`` every program has
a wall clock of its own (``wall_clock.c``); every other clock is the machine's.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from relay.adapters.store import SqlStore
from relay.adapters.store_rows import JournalLine
from tests.device.mounts import Mount, mounted
from tests.system.fault import Bound, Fault
from tests.system.faults import PAUSE_S
from tests.system.liar import Lies
from tests.system.lines import Line
from tests.system.processes import ROOT, run_to_end, until
from tests.system.town import FIRST, PANEL, SECOND, Town

FELT_S = 3.5
"""Longer than a step, so that something is to be written meanwhile, whatever the moment."""
REFUSALS = "doorbell_relay_store_errors_total"
DISK_BYTES = 64 * 1024 * 1024
WALL_CLOCK = ROOT / "tests" / "system" / "wall_clock.c"


class FaultTown(Town):
    """``with FaultTown(directory) as town:``"""

    def __init__(self, directory: Path, *, with_clocks: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._before = ExitStack()
        self._clocks = {name: directory / f"{name}.clock" for name in ("relay", PANEL, FIRST, SECOND)}
        self._with_clocks = with_clocks
        self.lines: dict[str, Line] = {}
        self.disk_path = directory / "disk"
        self._reading = True
        self._disk = ExitStack()
        try:
            self._before.callback(self._disk.close)
            self.disk: Mount = self._disk.enter_context(mounted("ext4", self.disk_path, DISK_BYTES))
            for name in self._clocks:
                self.set_clock(name, 0)
            super().__init__(directory, "mosquitto", database=self.disk_path / "relay.sqlite3")
            for name in self._clocks:
                self.port_for(name)
        except BaseException:
            self._before.close()
            raise

    def __enter__(self) -> Self:
        try:
            return super().__enter__()
        except BaseException:
            self._before.close()
            raise

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            self._before.close()

    def port_for(self, name: str) -> int:
        if name not in self.lines:
            self.lines[name] = Line(("127.0.0.1", 0), ("127.0.0.1", self.broker.port), Lies())
            self._before.callback(self.lines[name].close)
        return self.lines[name].port

    def variables_of(self, name: str) -> dict[str, str]:
        if not self._with_clocks:
            return {}
        library = self._clocks[name].with_name("wall_clock.so")
        if not library.exists():
            run_to_end(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", str(WALL_CLOCK), "-o", str(library)])
        return {"LD_PRELOAD": str(library), "WALL_CLOCK_FILE": str(self._clocks[name])}

    def set_clock(self, name: str, ahead_s: int) -> None:
        """Set a program's wall clock so many seconds ahead of the machine's."""
        file = os.open(self._clocks[name], os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, ahead_s.to_bytes(8, sys.byteorder, signed=True), 0)
        finally:
            os.close(file)

    def journal(self) -> list[JournalLine]:
        return super().journal() if self._reading else [*self._journal]

    def look_away(self) -> None:
        """Stop reading the database: its disk is about to go."""
        self._reading = False
        self.store.close()

    def look_again(self) -> None:
        """Go on reading it."""
        self.store = SqlStore.open(self.database)
        self._leaving.callback(self.store.close)
        self._reading = True

    def refusals(self) -> float:
        """How often the database has refused the relay, as the relay counts it."""
        _, page = self.status_page("/metrics")
        return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{REFUSALS} "))

    def shrink_log(self) -> None:
        """Empty SQLite's write-ahead log, so that whatever is written next needs room on the disk."""
        with closing(sqlite3.connect(self.database, isolation_level=None, timeout=10.0)) as other:
            until(lambda: other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "its log is empty")
        run_to_end(["sync", "--file-system", str(self.disk_path)])  # ext4 gives room back with its next transaction

    def change_disk(self) -> None:
        """Take the disk out and put it in again; nobody may use it."""
        self._disk.close()
        image = self.disk.image
        subprocess.run(["mount", "-o", "loop", str(image), str(self.disk_path)], check=True)
        self._disk.callback(subprocess.run, ["umount", "-l", str(self.disk_path)], check=True)


class Locked(Fault):
    """Another program has the database for itself, and keeps it, or takes it again and again."""

    bound = Bound.WHEN_OVER

    def __init__(self, town: FaultTown, lasts_s: float = FELT_S) -> None:
        self._town, self.lasts_s = town, lasts_s

    def strike(self) -> None:
        self._other = sqlite3.connect(self._town.database, isolation_level=None, timeout=10.0)
        self._other.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self._other.execute("ROLLBACK")
        self._other.close()


class Full(Fault):
    """Not a byte is left on the disk, until somebody makes room."""

    bound = Bound.WHEN_OVER

    def __init__(self, town: FaultTown, lasts_s: float = FELT_S) -> None:
        self._town, self.lasts_s = town, lasts_s

    def strike(self) -> None:
        self._before = self._town.refusals()
        self._town.shrink_log()
        self._town.disk.fill()

    def end(self) -> None:
        try:
            assert self._town.refusals() > self._before, "the relay has not felt it"
        finally:
            self._town.disk.make_room()


class Limited(Fault):
    """The relay's files may not grow, its log neither: the operating system says no to it alone."""

    bound = Bound.WHEN_OVER

    def __init__(self, town: FaultTown, lasts_s: float = FELT_S) -> None:
        self._town, self.lasts_s = town, lasts_s

    def strike(self) -> None:
        town = self._town
        self._pid = town.relay.pid
        assert self._pid is not None
        self._refusals = town.refusals()
        town.shrink_log()
        self._before = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, self._before[1]))

    def end(self) -> None:
        assert self._pid is not None
        try:
            assert self._town.refusals() > self._refusals, "the relay has not felt it"
        finally:
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)


class Still(Fault):
    """The disk takes every write and finishes none, for one long time or again and again for a short one."""

    bound = Bound.WHEN_OVER

    def __init__(self, town: FaultTown, *, times: int = 1, stands_s: float = PAUSE_S, goes_s: float = 0.05) -> None:
        # The test reads the same disk and stands still with it: another process lets both go on.
        freeze, thaw = (f"fsfreeze --{what}freeze {town.disk_path}" for what in ("", "un"))
        self._script = f"for n in $(seq {times}); do {freeze}; sleep {stands_s}; {thaw}; sleep {goes_s}; done"
        self.lasts_s = times * (stands_s + goes_s)

    def strike(self) -> None:
        self._helper = subprocess.Popen(["sh", "-c", self._script], stdin=subprocess.DEVNULL)

    def end(self) -> None:
        assert self._helper.wait(20.0) == 0


class Broken(Fault):
    """The disk fails, and is read-only from then on; the relay is started again on its content, on a good one."""

    bound = Bound.WHEN_OVER
    lasts_s = PAUSE_S

    def __init__(self, town: FaultTown) -> None:
        self._town = town

    def strike(self) -> None:
        self._town.look_away()
        self._town.disk.remount("abort")

    def end(self) -> None:
        town = self._town
        if town.relay.pid is not None:
            town.relay.kill()
        town.change_disk()
        town.relay.start()
        started = until(lambda: town.relay.logged("relay.started"), "the relay has started on the other disk")
        self._ready_at = datetime.fromisoformat(started["at"])
        town.look_again()

    def ready_at(self) -> datetime:
        return self._ready_at


class Spoilt(Fault):
    """The relay dies, and finds the rows of its open alarms spoilt when it is started again."""

    bound = Bound.WHEN_OVER

    def __init__(self, town: FaultTown) -> None:
        self._town = town

    def strike(self) -> None:
        town = self._town
        town.relay.kill()
        with closing(sqlite3.connect(town.database, isolation_level=None, timeout=10.0)) as hand:
            spoilt = hand.execute("UPDATE alarm SET state = 'x' || state WHERE stage <> 'closed'").rowcount
        town.relay.start()
        started = until(lambda: town.relay.logged("relay.started"), "the relay starts")
        assert (town.relay.logged("alarm.rebuilt") is not None) == (spoilt > 0)
        self._ready_at = datetime.fromisoformat(started["at"])

    def ready_at(self) -> datetime:
        return self._ready_at


class Forgetful(Fault):
    """The broker dies and comes back without anything that it had on its disk."""

    def __init__(self, town: FaultTown) -> None:
        self._town = town

    def strike(self) -> None:
        town = self._town
        town.broker.kill()
        for kept in (town.disk_path.parent / "broker").glob("*.db*"):
            kept.unlink()
        town.broker.start()


class ClockSet(Fault):
    """The wall clock of a program's machine is set, while everything runs; set right again when the story is over."""

    moves_clocks = True
    lasts_s = None

    def __init__(self, town: FaultTown, name: str, by: timedelta) -> None:
        self._town, self._name, self._by = town, name, by

    def strike(self) -> None:
        self._town.set_clock(self._name, round(self._by.total_seconds()))

    def end(self) -> None:
        self._town.set_clock(self._name, 0)
