"""The numbers of a device's events: what happened later has the greater one, whatever was lost in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from device.core.role import ButtonName
from doorbell.wire import EventType
from tests.device.doubles import START, Bench

HELP = ButtonName.HELP


def test_numbers_go_on_rising_over_a_lost_file() -> None:
    bench = Bench()
    bench.connect()
    bench.press(HELP)
    bench.store.rows.clear()
    bench.store.next_seq = 0
    bench.boot()
    bench.connect()
    bench.press(HELP)
    first, second = bench.events()
    assert first.seq is not None
    assert second.seq is not None
    assert second.seq > first.seq


@pytest.mark.parametrize("kept_before", [True, False])
@pytest.mark.parametrize("readable", [True, False])
def test_numbers_go_on_rising_over_presses_that_the_disk_did_not_take(readable: bool, kept_before: bool) -> None:
    """Used to be: after a failing disk and a power cut the green press was numbered below the red one before it, and
    the relay took it for older."""
    bench = Bench()
    bench.connect()
    if kept_before:
        bench.press(HELP)
    bench.store.failing = True
    for _ in range(3):
        bench.press(HELP)
    before = max(event.seq or 0 for event in bench.events())
    bench.clock.wall_now = START - timedelta(hours=1)
    bench.store.failing = not readable
    bench.reboot()
    bench.store.failing = False
    bench.connect()
    bench.advance(60_000)
    bench.press(ButtonName.OK)
    ok = next(event for event in bench.events() if event.type is EventType.OK)
    assert (ok.seq or 0) > before
