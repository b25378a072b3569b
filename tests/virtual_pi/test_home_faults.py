"""The same home with a bad disk and a wrong clock, for real: a press goes out all the same, and the fault is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from device.core.signals import Light
from tests.system.processes import until
from tests.virtual_pi.conftest import Home
from tests.virtual_pi.disk import LABEL
from tests.virtual_pi.house import LONG_S, PANEL_SIDE, STATE_MOUNT
from tests.virtual_pi.outside import PANEL

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.virtual_pi]

STATE = "/var/lib/doorbell-device"


@pytest.fixture(autouse=True)
def at_rest(home: Home) -> Iterator[None]:
    """At rest before, no alarm after."""
    home.house.await_rest(home.outside)
    yield
    home.outside.close_alarms()


@pytest.fixture
def other_card(home: Home) -> Iterator[None]:
    """Afterwards the panel runs on another, empty card."""
    yield
    home.disk.refusing = False
    stop, start = (f"systemctl {verb} '{STATE_MOUNT}'" for verb in ("stop", "start"))
    home.machine.sh(f"systemctl stop {PANEL_SIDE.unit}; {stop}; mke2fs -q -F -t ext4 -L {LABEL} /dev/vdb && {start}")
    home.machine.sh(f"systemctl start {PANEL_SIDE.unit}", within_s=LONG_S)


@pytest.fixture
def right_time(home: Home) -> Iterator[None]:
    """Afterwards the clock is right again."""
    yield
    home.machine.set_clock()


@pytest.mark.usefixtures("other_card")
def test_a_full_state_partition_loses_no_press_and_is_told(home: Home) -> None:
    """Full before the daemon starts, so that nothing of its file is there yet."""
    machine, known = home.machine, len(home.outside.faults(PANEL))
    machine.sh(f"systemctl stop {PANEL_SIDE.unit}")
    machine.sh(f"rm -f {STATE}/outbox.sqlite3*")
    machine.sh(f"dd if=/dev/zero of={STATE}/filler bs=1M; dd if=/dev/zero of={STATE}/filler2 bs=512", check=False)
    assert machine.sh(f"df --output=avail {STATE}").split()[-1] == "0"
    machine.sh(f"systemctl start {PANEL_SIDE.unit}", within_s=LONG_S)
    _assert_pressed_and_told(home, "outbox_failed", known)


@pytest.mark.usefixtures("other_card")
def test_a_disk_that_refuses_every_write_loses_no_press_and_is_told(home: Home) -> None:
    """A worn card: each write is an I/O error, so ext4 goes read-only by itself."""
    known = len(home.outside.faults(PANEL))
    home.disk.refusing = True
    _assert_pressed_and_told(home, "outbox_failed", known)
    assert home.machine.run(f"touch {STATE}/anything").code != 0, "the disk works: the test proves nothing"


@pytest.mark.usefixtures("other_card")
def test_a_spoilt_outbox_loses_no_press_and_is_told(home: Home) -> None:
    """Rubbish all over the file, written while the daemon was down."""
    machine, known = home.machine, len(home.outside.faults(PANEL))
    machine.sh(f"systemctl stop {PANEL_SIDE.unit}")
    machine.sh(f"dd if=/dev/urandom of={STATE}/outbox.sqlite3 bs=512 seek=1 count=16 conv=notrunc status=none")
    machine.sh(f"systemctl start {PANEL_SIDE.unit}", within_s=LONG_S)
    _assert_pressed_and_told(home, "outbox_corrupt", known)
    assert machine.sh(f"ls {STATE} | grep -c corrupt").strip() != "0"


@pytest.mark.usefixtures("right_time")
def test_a_wrong_clock_changes_neither_order_nor_time(home: Home) -> None:
    """1970, the right time, 2040: presses arrive in their order, with the times at which they really happened."""
    house, outside = home.house, home.outside
    known = {one.id for one in outside.heard(PANEL, "help")}
    windows: list[tuple[datetime, datetime]] = []
    for clock in (86_400.0, None, datetime(2040, 1, 1, tzinfo=UTC).timestamp(), 86_400.0):
        home.machine.set_clock(clock)
        before = datetime.now(UTC)
        house.press(PANEL_SIDE, "help")
        pressed = len(windows) + 1

        def all_here(pressed: int = pressed) -> bool:
            return len({one.id for one in outside.heard(PANEL, "help")} - known) == pressed

        until(all_here, f"press {pressed} is at the relay", LONG_S)
        windows.append((before, datetime.now(UTC)))
    presses = [one for one in outside.heard(PANEL, "help") if one.id not in known]
    assert {one.clock for one in presses} == {"unsynced"}
    for press, (before, after) in zip(presses, windows, strict=True):
        # In the order of the device's own count; a millisecond is lost to rounding.
        assert before - timedelta(milliseconds=2) <= press.at <= after
    alarms = {
        line.alarm for line in outside.journal("raised", "pressed_again") if line.event in {p.id for p in presses}
    }
    assert len(alarms) == 1


def _assert_pressed_and_told(home: Home, code: str, known: int) -> None:
    """A press arrives, and the fault does, after the first ``known`` ones."""
    house, outside = home.house, home.outside
    house.await_light(PANEL_SIDE, Light.THIN)
    helps = len(outside.heard(PANEL, "help"))
    house.press(PANEL_SIDE, "help")
    until(lambda: len(outside.heard(PANEL, "help")) == helps + 1, "the press is at the relay", LONG_S)
    until(lambda: (code, False) in outside.faults(PANEL)[known:], f"{code} is at the relay", LONG_S)
