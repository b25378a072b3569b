"""How the Pi is, from a few small files of the kernel: well under a millisecond, no process started.

What the firmware knows of the supply comes from the driver's ``get_throttled`` file (Raspberry Pi's kernel) and from
the hwmon chip ``rpi_volt`` (every kernel since 4.19). Where there is neither, ``vcgencmd`` is asked on a thread of its
own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from doorbell.wire import Health

UNDERVOLTAGE, FREQUENCY_CAPPED, THROTTLED, SOFT_TEMP_LIMIT = 0x1, 0x2, 0x4, 0x8
"""The firmware's bits for now, as Raspberry Pi documents ``vcgencmd get_throttled``."""
SINCE_BOOT_SHIFT = 16
"""So far to the left are the same bits for "has been since boot"."""
VCGENCMD = ("vcgencmd", "get_throttled")
_ASK_S, _ASK_AFTER_FAILURE_S = 30.0, 600.0
"""How often a process may be started for it, where nothing else tells."""
_ASK_WITHIN_S = 5.0
FIND_EVERY = 12
"""Reads between two searches for the kernel's files while there are none: a driver may be loaded after us."""
_MAX_BYTES = 4_096
"""No file of sysfs is larger than a page; of /proc/net/wireless the first lines are enough."""
_MAINS = {"mains", "usb"}
_LIFE_STEP_PCT = 10
"""JEDEC eMMC 5.0: 0x01 stands for up to 10 % of the rated life used, 0x0a for up to 100 %, 0x0b for more."""
_MAX_LIFE_STEP = 0x0B


class SystemHealth:
    """The ``HealthSource`` of a real device; what cannot be read is None. ``state_dir``: on the disk to look at.

    ``sys``, ``proc``: where those file systems are mounted. ``vcgencmd``: the command to ask without them.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        sys: Path = Path("/sys"),
        proc: Path = Path("/proc"),
        vcgencmd: Sequence[str] = VCGENCMD,
    ) -> None:
        self._state_dir = str(state_dir)
        self._sys = sys
        self._temperature = f"{sys}/class/thermal/thermal_zone0/temp"
        self._wireless = f"{proc}/net/wireless"
        self._supplies = f"{sys}/class/power_supply"
        self._throttled_file: str | None = None
        self._alarm_file: str | None = None
        self._reads = 0
        self._disk_files: tuple[int, str, str] | None = None
        """The number of the device, its file of errors, and that of its wear."""
        self._asked = _Vcgencmd(vcgencmd)
        self._seen = 0
        """The kernel clears the firmware's own memory every 2 s to notice what is new, so we remember."""

    def read(self) -> Health:
        """What can be known now."""
        bits = self._throttled_bits()
        if bits is not None:
            self._seen |= bits | bits >> SINCE_BOOT_SHIFT
        alarm = _integer(self._alarm_file)
        if alarm:
            self._seen |= UNDERVOLTAGE
        knows_power = bits is not None or alarm is not None
        slow = FREQUENCY_CAPPED | THROTTLED
        battery_pct, on_battery = self._battery()
        return Health(
            cpu_c=_thousandth(_integer(self._temperature)),
            wifi_dbm=self._wifi_dbm(),
            undervoltage=bool(alarm) or bool((bits or 0) & UNDERVOLTAGE) if knows_power else None,
            battery_pct=battery_pct,
            undervoltage_seen=bool(self._seen & UNDERVOLTAGE) if knows_power else None,
            throttled=None if bits is None else bool(bits & slow),
            throttled_seen=None if bits is None else bool(self._seen & slow),
            soft_temp_limit=None if bits is None else bool(bits & SOFT_TEMP_LIMIT),
            on_battery=on_battery,
            **self._disk(),
        )

    def _throttled_bits(self) -> int | None:
        """From the kernel, which writes hexadecimal without a prefix; else what ``vcgencmd`` has said last."""
        if not self._has_files() and self._reads % FIND_EVERY == 0:
            self._find_files()
        self._reads += 1
        return _integer(self._throttled_file, base=16) if self._has_files() else self._asked.bits()

    def _has_files(self) -> bool:
        return self._throttled_file is not None or self._alarm_file is not None

    def _find_files(self) -> None:
        self._throttled_file = _first(
            self._sys.glob("bus/platform/drivers/raspberrypi-firmware/*/get_throttled"),
            self._sys.glob("devices/platform/*/*firmware/get_throttled"),
        )
        chips = (name.parent for name in self._sys.glob("class/hwmon/hwmon*/name") if _text(str(name)) == "rpi_volt")
        self._alarm_file = _first(chip / "in0_lcrit_alarm" for chip in chips)

    def _wifi_dbm(self) -> int | None:
        """The level of the first interface: fourth column of the third line."""
        lines = (_text(self._wireless) or "").splitlines()
        try:
            return int(float(lines[2].split()[3]))
        except (ValueError, IndexError):
            return None

    def _disk(self) -> dict[str, int | bool | None]:
        try:
            disk, number = os.statvfs(self._state_dir), os.stat(self._state_dir).st_dev  # noqa: PTH116 - twice as fast
        except OSError:
            return {}
        if self._disk_files is None or self._disk_files[0] != number:
            self._disk_files = number, *self._files_of(number)
        _, errors, life_time = self._disk_files
        return {
            "disk_free_mb": disk.f_bavail * disk.f_frsize // 1_000_000,
            "disk_total_mb": disk.f_blocks * disk.f_frsize // 1_000_000,
            "disk_read_only": bool(disk.f_flag & os.ST_RDONLY),
            "disk_errors": _integer(errors),
            "disk_worn_pct": _worn_pct(_text(life_time)),
        }

    def _files_of(self, number: int) -> tuple[str, str]:
        """The ext4 directory is named as the partition (mmcblk0p2), the life is the whole card's (mmcblk0)."""
        device = (self._sys / f"dev/block/{os.major(number)}:{os.minor(number)}").resolve()
        whole = device.parent if (device / "partition").exists() else device
        return f"{self._sys}/fs/ext4/{device.name}/errors_count", f"{whole}/device/life_time"

    def _battery(self) -> tuple[int | None, bool | None]:
        """Per cent of the first battery that feeds the Pi, and whether nothing else feeds it now."""
        percent: int | None = None
        discharging, mains = None, []
        try:
            supplies = sorted(os.listdir(self._supplies))  # noqa: PTH208 - strings, for the same reason
        except OSError:
            return None, None
        for supply in (f"{self._supplies}/{name}" for name in supplies):
            kind = (_text(f"{supply}/type") or "").lower()
            if _text(f"{supply}/scope") == "Device":  # the battery of a mouse
                continue
            if kind in _MAINS and (online := _integer(f"{supply}/online")) is not None:
                mains.append(online > 0)
            elif kind == "battery" and discharging is None:
                percent = _integer(f"{supply}/capacity")
                discharging = _text(f"{supply}/status") == "Discharging"
        if discharging is None:
            return None, None
        return percent, not any(mains) if mains else discharging


class _Vcgencmd:
    """Asks the firmware by a process, at most every 30 s, never on the thread that wants to know."""

    def __init__(self, command: Sequence[str], now_s: Callable[[], float] = time.monotonic) -> None:
        self._command = tuple(command)
        self._now_s = now_s
        self._ask_at_s = 0.0
        self._running: threading.Thread | None = None
        self._bits: int | None = None

    def bits(self) -> int | None:
        """The last answer; None before the first, and where the command is missing or fails."""
        last = self._bits  # what is asked now tells the next read, however quickly it is answered
        if self._now_s() >= self._ask_at_s and (self._running is None or not self._running.is_alive()):
            self._ask_at_s = self._now_s() + _ASK_AFTER_FAILURE_S
            if shutil.which(self._command[0]) is not None:
                self._running = threading.Thread(target=self._ask, name="vcgencmd", daemon=True)
                self._running.start()
        return last

    def _ask(self) -> None:
        self._bits, answer = None, ""
        with suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="ascii",
                errors="replace",
                timeout=_ASK_WITHIN_S,
                check=True,
            ).stdout
        with suppress(ValueError):
            self._bits = int(answer.strip().removeprefix("throttled="), 16)
            self._ask_at_s = self._now_s() + _ASK_S


def _text(path: str) -> str | None:
    """A small file of the kernel's; without Python's layers of buffers it costs a third."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, _MAX_BYTES).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    finally:
        os.close(file)


def _integer(path: str | None, base: int = 10) -> int | None:
    try:
        return None if path is None else int(_text(path) or "", base)
    except ValueError:
        return None


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _first(*candidates: Iterator[Path]) -> str | None:
    return next((str(path) for found in candidates for path in found), None)


def _worn_pct(life_time: str | None) -> int | None:
    """The worse of the two kinds of memory on the card; 0x00 stands for "not told"."""
    try:
        worse = max(int(step, 16) for step in (life_time or "").split())
    except ValueError:
        return None
    return worse * _LIFE_STEP_PCT if 0 < worse <= _MAX_LIFE_STEP else None
