"""The health adapter on a built /sys and /proc: what the kernel's files say, and that anything may be missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from device.adapters.health import FIND_EVERY, SystemHealth
from doorbell.wire import Health
from tests.device.waiting import wait_until

WIRELESS = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   62.  -48.  -256        0      0      0      0     12        0
"""


@dataclass
class Pi:
    """The parts of a Pi that a test has built."""

    root: Path

    def __post_init__(self) -> None:
        self.state_dir.mkdir()
        self.source = SystemHealth(
            self.state_dir, sys=self.root / "sys", proc=self.root / "proc", vcgencmd=[str(self.root / "vcgencmd")]
        )

    @property
    def state_dir(self) -> Path:
        return self.root / "state"

    def has(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def has_firmware(self, text: str) -> None:
        self.has("sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled", text)

    def has_voltage_alarm(self, text: str) -> None:
        self.has("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
        self.has("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
        self.has("sys/class/hwmon/hwmon1/in0_lcrit_alarm", text)

    def has_command(self, body: str) -> None:
        self.has("vcgencmd", f"#!/bin/sh\n{body}\n").chmod(0o755)

    def has_disk(self, life_time: str | None = None, errors: str = "0\n") -> None:
        """The disk of the state directory is a partition called mmcblk9p2."""
        number = self.state_dir.stat().st_dev
        self.has("sys/devices/mmc/block/mmcblk9/mmcblk9p2/partition", "2\n")
        if life_time is not None:
            self.has("sys/devices/mmc/block/mmcblk9/device/life_time", life_time)
        self.has("sys/fs/ext4/mmcblk9p2/errors_count", errors)
        link = self.root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
        link.parent.mkdir(parents=True)
        link.symlink_to(self.root / "sys/devices/mmc/block/mmcblk9/mmcblk9p2")

    def has_supply(self, name: str, **files: object) -> None:
        for file, value in files.items():
            self.has(f"sys/class/power_supply/{name}/{file}", f"{value}\n")

    def read(self) -> Health:
        return self.source.read()


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_where_nothing_can_be_read_nothing_is_said(pi: Pi) -> None:
    health = pi.read()
    disk = health.disk_free_mb, health.disk_total_mb, health.disk_read_only
    assert None not in disk
    rest = {"disk_free_mb": None, "disk_total_mb": None, "disk_read_only": None}
    assert health.model_copy(update=rest) == Health()
    pi.state_dir.rmdir()
    assert pi.read() == Health()


def test_temperature_and_wifi(pi: Pi) -> None:
    pi.has("sys/class/thermal/thermal_zone0/temp", "48312\n")
    pi.has("proc/net/wireless", WIRELESS)
    health = pi.read()
    assert (health.cpu_c, health.wifi_dbm) == (48.312, -48)
    pi.has("sys/class/thermal/thermal_zone0/temp", "rubbish\n")
    pi.has("proc/net/wireless", "\n".join(WIRELESS.splitlines()[:2]))
    assert (pi.read().cpu_c, pi.read().wifi_dbm) == (None, None)


@pytest.mark.parametrize(
    ("bits", "undervoltage", "undervoltage_seen", "throttled", "throttled_seen", "soft_temp_limit"),
    [
        ("0", False, False, False, False, False),
        ("1", True, True, False, False, False),
        ("2", False, False, True, True, False),
        ("4", False, False, True, True, False),
        ("8", False, False, False, False, True),
        ("10000", False, True, False, False, False),
        ("20000", False, False, False, True, False),
        ("40000", False, False, False, True, False),
        ("80000", False, False, False, False, False),
        ("50005", True, True, True, True, False),
        ("rubbish", None, None, None, None, None),
    ],
)
def test_the_bits_of_the_firmware(
    pi: Pi,
    bits: str,
    *,
    undervoltage: bool | None,
    undervoltage_seen: bool | None,
    throttled: bool | None,
    throttled_seen: bool | None,
    soft_temp_limit: bool | None,
) -> None:
    pi.has_firmware(f"{bits}\n")
    health = pi.read()
    assert health.undervoltage is undervoltage
    assert health.undervoltage_seen is undervoltage_seen
    assert health.throttled is throttled
    assert health.throttled_seen is throttled_seen
    assert health.soft_temp_limit is soft_temp_limit


def test_what_was_seen_is_remembered_though_the_kernel_makes_the_firmware_forget(pi: Pi) -> None:
    pi.has_firmware("50005\n")
    pi.read()
    pi.has_firmware("0\n")
    health = pi.read()
    assert (health.undervoltage, health.undervoltage_seen) == (False, True)
    assert (health.throttled, health.throttled_seen) == (False, True)


def test_the_voltage_alarm_alone_knows_undervoltage_and_nothing_of_throttling(pi: Pi) -> None:
    pi.has_voltage_alarm("0\n")
    assert (pi.read().undervoltage, pi.read().undervoltage_seen, pi.read().throttled) == (False, False, None)
    pi.has_voltage_alarm("1\n")
    assert (pi.read().undervoltage, pi.read().undervoltage_seen) == (True, True)
    pi.has_voltage_alarm("0\n")
    assert (pi.read().undervoltage, pi.read().undervoltage_seen) == (False, True)


def test_either_of_the_two_is_believed(pi: Pi) -> None:
    """The alarm covers the last 2 s, the bit this moment."""
    pi.has_firmware("0\n")
    pi.has_voltage_alarm("1\n")
    assert pi.read().undervoltage is True


def test_a_driver_that_is_loaded_later_is_found(pi: Pi) -> None:
    assert pi.read().undervoltage is None
    pi.has_voltage_alarm("1\n")
    assert True in [pi.read().undervoltage for _ in range(FIND_EVERY)]


def test_no_process_is_started_where_the_kernel_tells(pi: Pi) -> None:
    pi.has_voltage_alarm("0\n")
    pi.has_command(f"touch {pi.root}/ran; echo throttled=0x1")
    assert pi.read().undervoltage is False
    assert pi.source._asked._running is None


def test_without_the_kernels_files_vcgencmd_is_asked_aside(pi: Pi) -> None:
    pi.has_command("echo throttled=0x50005")
    assert pi.read().undervoltage is None
    wait_until(lambda: pi.read().undervoltage is True)
    assert pi.read().throttled is True


@pytest.mark.parametrize(
    "body", ["echo VCHI initialization failed; exit 255", "echo error=1", "head -c 9 /dev/urandom", "exit 0"]
)
def test_a_vcgencmd_that_fails_says_nothing_and_is_not_asked_at_every_read(pi: Pi, body: str) -> None:
    pi.has_command(f"echo x >>{pi.root}/ran\n{body}")
    pi.read()
    asked = pi.source._asked._running
    assert asked is not None
    asked.join(10)
    assert pi.read().undervoltage is None
    assert pi.source._asked._running is asked
    assert (pi.root / "ran").read_text() == "x\n"


def test_a_vcgencmd_that_hangs_holds_nobody_up(pi: Pi) -> None:
    pi.has("go", "").unlink()
    pi.has_command(f"until [ -e {pi.root}/go ]; do :; done; echo throttled=0x1")
    assert [pi.read().undervoltage for _ in range(3)] == [None, None, None]
    pi.has("go", "")
    wait_until(lambda: pi.read().undervoltage is True)


def test_the_disk_of_the_state_directory(pi: Pi) -> None:
    pi.has_disk("0x01 0x0a\n", "3\n")
    pi.has("sys/fs/ext4/sda1/errors_count", "99\n")
    health = pi.read()
    assert (health.disk_errors, health.disk_worn_pct, health.disk_read_only) == (3, 100, False)
    assert 0 <= (health.disk_free_mb or 0) <= (health.disk_total_mb or 0)


@pytest.mark.parametrize(
    ("life_time", "worn_pct"),
    [("0x01 0x01", 10), ("0x0b 0x02", 110), ("0x00 0x00", None), ("0xff 0x01", None), ("", None), ("what", None)],
)
def test_the_life_of_the_card(pi: Pi, life_time: str, worn_pct: int | None) -> None:
    pi.has_disk(f"{life_time}\n")
    assert pi.read().disk_worn_pct == worn_pct


def test_a_card_that_does_not_tell_its_life(pi: Pi) -> None:
    pi.has_disk(None)
    assert (pi.read().disk_worn_pct, pi.read().disk_errors) == (None, 0)


def test_a_battery_and_what_feeds_it(pi: Pi) -> None:
    pi.has_supply("mouse", type="Battery", scope="Device", capacity=3, status="Discharging")
    pi.has_supply("ac", type="Mains", online=1)
    assert (pi.read().battery_pct, pi.read().on_battery) == (None, None)
    pi.has_supply("ups", type="Battery", capacity=87, status="Charging")
    assert (pi.read().battery_pct, pi.read().on_battery) == (87, False)
    pi.has_supply("ac", online=0)
    pi.has_supply("ups", status="Discharging")
    assert (pi.read().battery_pct, pi.read().on_battery) == (87, True)
    pi.has_supply("usb", type="USB", online=1)
    assert pi.read().on_battery is False


def test_a_battery_alone_tells_by_its_status(pi: Pi) -> None:
    pi.has_supply("ups", type="Battery", capacity=40, status="Discharging")
    assert pi.read().on_battery is True
    pi.has_supply("ups", status="Full")
    assert pi.read().on_battery is False
