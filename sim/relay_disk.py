"""A relay's way to the village's database: watched, and with everything that can go wrong on it.

The database itself (``sim.stores``) is one for all relays. The process may die or be stopped at every call, before it
and after it; the way may be cut, the database may refuse, be slow, or take a commit and lose the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from relay.core.alarm import Alarm
from relay.core.lease import Claim, LeaseTable, Member
from relay.core.register import Register
from relay.core.renewal import Renewal, RenewalRow
from relay.ports import Batch, Command, Snapshot, StoreError
from sim.schedule import Fuse
from sim.stores import MemoryStore


class Process(Protocol):
    """The process that calls."""

    fuse: Fuse

    def committed(self, batch: Batch) -> None:
        """The database has taken a batch."""
        ...

    def wait(self, ms: int) -> None:
        """The call takes so long."""
        ...


class RelayDisk:
    """``relay.ports.Store`` of one relay."""

    def __init__(self, data: MemoryStore, process: Process) -> None:
        self.data = data
        self.away = False
        """Nothing can be asked or written: the network to the database is cut, or it is down."""
        self.read_only = False
        """Everything can be read and nothing written: locked by another, full, or remounted."""
        self.fail_commits = 0
        """So many of the next commits fail, retryably, and write nothing."""
        self.fail_reads = 0
        """So many of the next reads fail, retryably."""
        self.lose_answers = 0
        """So many of the next commits are written, and the connection ends before the relay hears so."""
        self.slow_ms = 0
        """How long a commit takes."""
        self._process = process
        self._doubtful: Batch | None = None

    @property
    def works(self) -> bool:
        """Whether it can be asked and written: what a single refusal is not."""
        return not (self.away or self.read_only)

    def heal(self) -> None:
        """Everything works from now on."""
        self.away = self.read_only = False
        self.fail_commits = self.fail_reads = self.lose_answers = self.slow_ms = 0

    def opened(self) -> None:
        """A new process opens it: it knows nothing of what the one before was in doubt of."""
        self._doubtful = None

    # relay.ports.Store

    def load(self, communities: Collection[str] | None = None) -> Snapshot:
        """Everything a relay starts from."""
        self._read()
        return self.data.load(communities)

    def known_events(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are committed."""
        self._read(burns=False)
        return self.data.known_events(ids)

    def find_alarm(self, alarm_id: str) -> Alarm | None:
        """An alarm by id, or by the id of any event that concerned it."""
        self._read(burns=False)
        return self.data.find_alarm(alarm_id)

    def load_register(self) -> tuple[int, Register]:
        """The register and its version."""
        self._read(burns=False)
        return self.data.load_register()

    def poll(self) -> tuple[int, Sequence[Command]]:
        """The register's version and the commands not yet done."""
        self._read(burns=False)
        return self.data.poll()

    def renewals(self, *, devices: Sequence[str] | None = None, state: Renewal | None = None) -> list[RenewalRow]:
        """Requests for certificates."""
        self._read(burns=False)
        return self.data.renewals(devices=devices, state=state)

    def commit(self, batch: Batch) -> None:
        """Write a batch whole, or not at all. One that was in doubt is found to be written when it is tried again."""
        self._process.fuse.burn()
        if self.away or self.read_only:
            raise StoreError("the simulated database does not take it", retryable=True)
        if batch is self._doubtful:
            self._doubtful = None
            return
        if self.fail_commits > 0:
            self.fail_commits -= 1
            raise StoreError("the simulated disk did not take it", retryable=True)
        if self.slow_ms:
            self._process.wait(self.slow_ms)
        self.data.commit(batch)
        self._process.committed(batch)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            self._doubtful = batch
            raise StoreError("the simulated connection ended during the commit", retryable=True)
        self._process.fuse.burn()

    def _read(self, *, burns: bool = True) -> None:
        if burns:
            self._process.fuse.burn()
        if self.away:
            raise StoreError("the simulated database is away", retryable=True)
        if self.fail_reads > 0:
            self.fail_reads -= 1
            raise StoreError("the simulated disk did not answer", retryable=True)


class RelayLeases:
    """``relay.ports.LeaseStore`` of one relay, by the same way."""

    def __init__(self, disk: RelayDisk, process: Process) -> None:
        self._disk = disk
        self._process = process

    def join(self, me: Member) -> None:
        """Put this run's row there."""
        self._write(lambda: self._disk.data.leases.join(me))

    def beat(self, me: Member) -> LeaseTable:
        """Raise our beat; returns all rows."""
        self._reach()
        table = self._disk.data.leases.beat(me)
        self._process.fuse.burn()
        return table

    def take(self, me: Member, claims: Sequence[Claim]) -> dict[str, int]:
        """Take what is still as claimed."""
        self._reach()
        ours = self._disk.data.leases.take(me, claims)
        self._process.fuse.burn()
        return ours

    def give(self, me: Member, fences: Mapping[str, int]) -> None:
        """Let go of communities."""
        self._write(lambda: self._disk.data.leases.give(me, fences))

    def bury(self, dead: Sequence[Member]) -> None:
        """Remove the rows of members that have not beaten since."""
        self._write(lambda: self._disk.data.leases.bury(dead))

    def leave(self, me: Member) -> None:
        """Let go of everything, and be gone."""
        self._write(lambda: self._disk.data.leases.leave(me))

    def _reach(self) -> None:
        self._process.fuse.burn()
        if self._disk.away or self._disk.read_only:
            raise StoreError("the simulated database is away", retryable=True)

    def _write(self, action: Callable[[], None]) -> None:
        self._reach()
        action()
        self._process.fuse.burn()
