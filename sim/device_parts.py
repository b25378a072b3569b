"""Disk and speaker of a simulated Pi: what they do outlives, or ends with, the process that uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from device.core.effects import OutboxRow, Play
from device.core.role import ChimeStarted, ChimeStopped
from device.core.signals import Call
from device.ports import StoredOutbox, StoreError

if TYPE_CHECKING:
    from sim.device_machine import DeviceMachine


class Disk:
    """The outbox's disk: transactions are whole or not at all, and outlive the process."""

    def __init__(self, machine: DeviceMachine) -> None:
        self.rows: dict[str, OutboxRow] = {}
        self.failing = False
        self.refused: set[str] = set()
        """Events that it was asked to keep while it failed: they may go out from memory."""
        self.unread = False
        """The program that runs could not read it, and does not know what lies there."""
        self._machine = machine
        self._next_seq = 0

    def load(self) -> StoredOutbox:
        """Everything that was committed."""
        self.unread = self.failing
        if self.failing:
            raise StoreError("the simulated disk is full")
        return StoredOutbox(tuple(sorted(self.rows.values(), key=lambda row: row.seq)), self._next_seq)

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """One transaction; the process may die before or after it."""
        self._machine.fuse.burn()
        if self.failing:
            self.refused.update(row.id for row in keep)
            self._machine.watcher.outbox_refused(self._machine, keep)
            raise StoreError("the simulated disk is full")
        for row in keep:
            self.rows.setdefault(row.id, row)
            self._next_seq = max(self._next_seq, row.seq + 1)
        self._machine.watcher.outbox_committed(self._machine, keep, forget)
        for one in forget:
            self.rows.pop(one, None)
        self._machine.fuse.burn()

    def reserve(self, seq: int) -> None:
        """Numbers below this are never given again."""
        if self.failing:
            raise StoreError("the simulated disk is full")
        self._next_seq = max(self._next_seq, seq)


class Speaker:
    """Starts a chime a little after it is asked to, if it is whole, and tells when it really began and ended."""

    def __init__(self, machine: DeviceMachine) -> None:
        self.broken = False
        self.running: dict[str, int] = {}
        """What really sounds, and since when (village ms)."""
        self.ended_ms: dict[str, int] = {}
        self._wanted: tuple[str, ...] = ()
        self._machine = machine

    def play(self, notice: Play) -> None:
        """Play a tone."""
        self._machine.fuse.burn()
        self._machine.trail.note(self._machine.name, "tone", notice.tone.value)
        if notice.words is not None:
            self._machine.watcher.words_spoken(self._machine, notice.words)

    def chime(self, calls: Sequence[Call]) -> None:
        """Sound for exactly these from now on."""
        self._machine.fuse.burn()
        self._wanted = tuple(call.alarm for call in calls)
        for alarm in list(self.running):
            if alarm not in self._wanted:
                self._end(alarm)
        for alarm in self._wanted:
            if alarm not in self.running:
                self._machine.schedule.after(self._machine.chance.randint(20, 200), self._begin, alarm)

    def tune(self, percent: int | None, language: str | None) -> None:
        """Nothing here is loud, and nobody listens."""

    def break_down(self) -> None:
        """The player dies and does not start again."""
        self.broken = True
        for alarm in list(self.running):
            self._end(alarm)

    def repair(self) -> None:
        """It plays again what is still wanted."""
        self.broken = False
        for alarm in self._wanted:
            self._begin(alarm)

    def cut(self) -> None:
        """The process is gone, and its sound with it."""
        self._wanted = ()
        for alarm in list(self.running):
            self._end(alarm)

    def _begin(self, alarm: str) -> None:
        machine = self._machine
        if alarm not in self._wanted or alarm in self.running or self.broken:
            return
        self.running[alarm] = machine.schedule.now_ms
        machine.trail.note(machine.name, "chime", alarm)
        machine.take(ChimeStarted(alarm))
        machine.watcher.chime_changed(machine, alarm, sounds=True)

    def _end(self, alarm: str) -> None:
        machine = self._machine
        del self.running[alarm]
        self.ended_ms[alarm] = machine.schedule.now_ms
        machine.trail.note(machine.name, "silence", alarm)
        machine.watcher.chime_changed(machine, alarm, sounds=False)
        machine.schedule.after(machine.chance.randint(1, 50), self._tell_end, alarm)

    def _tell_end(self, alarm: str) -> None:
        if alarm not in self.running:
            self._machine.take(ChimeStopped(alarm))
