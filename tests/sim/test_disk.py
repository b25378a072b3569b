"""The village's outbox disk keeps the contract of the real one: the same tests, run on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from device.core.effects import OutboxRow
from device.core.role import Role
from device.core.signals import Light, Words
from device.ports import OutboxStore, StoreError
from sim.device_machine import DeviceMachine
from sim.network import SimBroker
from sim.schedule import ProcessDied, Schedule, Trail
from tests.device.test_outbox_store import (  # noqa: F401 - collected here, with this module's ``reopen``
    row,
    test_an_empty_outbox_has_nothing,
    test_numbers_are_not_used_again_after_rows_are_deleted,
    test_the_same_row_again_and_an_unknown_id_are_no_error,
    test_what_is_committed_is_there_again_in_every_field_and_in_order,
)


class Nobody:
    """Watches nothing."""

    def outbox_committed(self, machine: DeviceMachine, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        pass

    def outbox_refused(self, machine: DeviceMachine, keep: Sequence[OutboxRow]) -> None:
        pass

    def device_published(self, machine: DeviceMachine, topic: str, payload: bytes) -> None:
        pass

    def peer_heard(self, machine: DeviceMachine, payload: bytes) -> None:
        pass

    def device_turned(self, machine: DeviceMachine) -> None:
        pass

    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:
        pass

    def words_spoken(self, machine: DeviceMachine, words: Words) -> None:
        pass

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:
        pass


@pytest.fixture
def machine() -> DeviceMachine:
    """A panel that was never started."""
    schedule = Schedule()
    trail = Trail(schedule)
    return DeviceMachine(
        "panel-1",
        "west-lake",
        Role.PANEL,
        schedule=schedule,
        broker=SimBroker(schedule, Random(1), trail),
        chance=Random(1),
        watcher=Nobody(),
        trail=trail,
        report_interval_s=60,
    )


@pytest.fixture
def reopen(machine: DeviceMachine) -> Callable[[], OutboxStore]:
    """Each call is a new process that opens the same outbox."""
    return lambda: machine.disk


def test_a_refused_transaction_does_nothing(machine: DeviceMachine) -> None:
    machine.disk.failing = True
    with pytest.raises(StoreError):
        machine.disk.commit((row(1),), ())
    with pytest.raises(StoreError):
        machine.disk.load()
    machine.disk.failing = False
    assert machine.disk.load().rows == ()


@pytest.mark.parametrize(("calls", "kept"), [(0, 0), (1, 1)], ids=["before", "after"])
def test_a_process_dies_before_or_after_a_transaction_and_never_within(
    machine: DeviceMachine, calls: int, kept: int
) -> None:
    machine.fuse.light(calls)
    with pytest.raises(ProcessDied):
        machine.disk.commit((row(1), row(2)), ())
    assert len(machine.disk.load().rows) == kept * 2
