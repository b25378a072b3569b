"""The machine's clocks keep the promises of ``relay.ports.Clock``."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

import pytest
import time_machine

from relay.adapters.clock import SystemClock
from relay.ports import Clock


def test_now_is_utc_in_whole_milliseconds() -> None:
    clock: Clock = SystemClock()
    with time_machine.travel("2026-11-23T14:43:00.123999+08:00", tick=False):
        now = clock.now()
    assert now.isoformat() == "2026-11-23T06:43:00.123000+00:00"
    assert now.tzinfo is UTC
    assert now.utcoffset() == timedelta(0)


def test_the_time_since_boot_never_falls() -> None:
    clock = SystemClock()
    readings = [clock.monotonic_ms() for _ in range(1_000)]
    assert readings == sorted(readings)
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert readings[0] <= uptime_s * 1000 + 1_000


def test_the_boot_has_a_name_that_stays() -> None:
    assert SystemClock().boot_id() == SystemClock().boot_id() != ""


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_machine_without_that_file_names_no_boot(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "boot_id"
    if content is not None:
        file.write_bytes(content)
    assert SystemClock(file).boot_id() == ""
