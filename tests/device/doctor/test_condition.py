"""Clock, disk, power and network: each reading has its finding, good and bad."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device.core.wellness import WellnessLimits
from device.doctor.clock import ClockReading, check_clock, read_clock
from device.doctor.disk import DiskReading, check_disk, read_disk
from device.doctor.network import SystemNetwork, check_network, check_port
from device.doctor.power import check_power
from device.ports import StoreError
from doorbell.settings import MqttSettings
from doorbell.wire import Health
from tests.device.doctor.showing import codes, severities
from tests.device.doubles import START, VirtualClock

LIMITS = WellnessLimits()

# --- clock ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        (ClockReading(START, True, None), {"clock.synced": "ok", "clock.no_rtc": "note"}),
        (ClockReading(START, True, 2), {"clock.synced": "ok", "clock.rtc": "ok"}),
        (ClockReading(START, True, -31), {"clock.synced": "ok", "clock.rtc_off": "warning"}),
        (ClockReading(START, False, 86_400), {"clock.unsynced": "warning", "clock.rtc": "ok"}),  # who is right?
        (ClockReading(START.replace(year=1970), False, 0), {"clock.lost": "failure", "clock.rtc": "ok"}),
    ],
)
def test_the_clock(reading: ClockReading, found: dict[str, str]) -> None:
    assert severities(check_clock(reading)) == found


def test_the_rtc_is_compared_with_the_clock(tmp_path: Path) -> None:
    rtc = tmp_path / "since_epoch"
    assert read_clock(VirtualClock(), rtc).rtc_offset_s is None
    rtc.write_text(f"{round(START.timestamp()) + 90}\n")
    assert read_clock(VirtualClock(), rtc).rtc_offset_s == 90
    rtc.write_text("rubbish")
    assert read_clock(VirtualClock(), rtc) == ClockReading(START, True, None)


# --- disk -----------------------------------------------------------------------------------------------------------


def disk(*, fsync_ms: int | None = 12, aside: tuple[str, ...] = (), there: bool = True, **health: Any) -> DiskReading:
    return DiskReading(
        "/var/lib/doorbell-device",
        there,
        Health(**{"disk_free_mb": 5_000, "disk_total_mb": 16_000, **health}),
        fsync_ms,
        None if fsync_ms is not None else "disk full",
        aside,
    )


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        (disk(), {"disk.good": "ok"}),
        (disk(disk_free_mb=None), {"disk.good": "ok"}),
        (disk(disk_free_mb=49), {"disk.low": "warning"}),
        (disk(disk_free_mb=49, disk_total_mb=100), {"disk.good": "ok"}),
        (disk(fsync_ms=None), {"disk.unwritable": "failure"}),
        (disk(fsync_ms=None, disk_read_only=True), {"disk.read_only": "failure"}),
        (disk(fsync_ms=1_001), {"disk.slow": "warning"}),
        (disk(disk_errors=3), {"disk.errors": "warning", "disk.good": "ok"}),
        (disk(aside=("outbox.sqlite3.corrupt-1",)), {"disk.set_aside": "warning", "disk.good": "ok"}),
        (disk(there=False), {"disk.missing": "warning"}),
    ],
)
def test_the_disk(reading: DiskReading, found: dict[str, str]) -> None:
    assert severities(check_disk(reading, LIMITS)) == found


def test_a_disk_is_read_by_writing_on_it(tmp_path: Path) -> None:
    def refuse(_path: Path) -> None:
        raise StoreError("read-only")

    (tmp_path / "outbox.sqlite3.corrupt-2").touch()
    times = iter([10.0, 10.25])
    good = read_disk(tmp_path, Health(), now=lambda: next(times))
    assert (good.fsync_ms, good.reason, good.set_aside) == (250, None, ("outbox.sqlite3.corrupt-2",))
    bad = read_disk(tmp_path, Health(), prove=refuse)
    assert (bad.fsync_ms, bad.reason) == (None, "read-only")
    assert not read_disk(tmp_path / "none", Health()).there


# --- power ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "found"),
    [
        (Health(undervoltage=False), {"power.good": "ok"}),
        (Health(), {"power.unknown": "note"}),
        (Health(undervoltage=True, undervoltage_seen=True), {"power.undervoltage_now": "failure"}),
        (Health(undervoltage=False, undervoltage_seen=True), {"power.undervoltage_since_boot": "warning"}),
        (Health(undervoltage=False, cpu_c=80.0), {"power.good": "ok", "power.hot": "warning"}),
        (Health(undervoltage=False, cpu_c=79.0), {"power.good": "ok"}),
        (Health(undervoltage=False, battery_pct=19), {"power.good": "ok", "power.battery_low": "warning"}),
        (
            Health(undervoltage=False, battery_pct=80, on_battery=True),
            {"power.good": "ok", "power.on_battery": "warning"},
        ),
    ],
)
def test_power_and_heat(health: Health, found: dict[str, str]) -> None:
    assert severities(check_power(health, LIMITS)) == found


# --- network --------------------------------------------------------------------------------------------------------


class FakeNetwork:
    """A network of one host, or one that fails as told."""

    def __init__(self, *, route: bool | None = True, error: OSError | None = None) -> None:
        self._route = route
        self._error = error

    def has_route(self) -> bool | None:
        return self._route

    def resolve(self, host: str) -> list[str]:
        if self._error is not None:
            raise self._error
        return ["192.0.2.7"]

    def connect(self, host: str, port: int, within_s: float) -> None:
        if self._error is not None:
            raise self._error


MQTT = MqttSettings(host="relay.example", port=8883)


@pytest.mark.parametrize(
    ("network", "health", "found"),
    [
        (FakeNetwork(), Health(), {"network.resolved": "ok"}),
        (FakeNetwork(route=None), Health(), {"network.resolved": "ok"}),
        (FakeNetwork(route=False), Health(), {"network.no_route": "failure"}),
        (FakeNetwork(error=socket.gaierror(-2, "Name unknown")), Health(), {"network.unresolved": "failure"}),
        (FakeNetwork(), Health(wifi_dbm=-61), {"network.resolved": "ok", "network.wifi": "ok"}),
        (FakeNetwork(), Health(wifi_dbm=-80), {"network.resolved": "ok", "network.wifi_weak": "warning"}),
    ],
)
def test_the_way_to_the_broker(network: FakeNetwork, health: Health, found: dict[str, str]) -> None:
    assert severities(check_network(network, MQTT.host, health, LIMITS)) == found


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, "broker.reachable"),
        (ConnectionRefusedError(111, "refused"), "broker.refused"),
        (TimeoutError(), "broker.timeout"),
        (OSError(113, "No route to host"), "broker.unreachable"),
    ],
)
def test_the_brokers_port(error: OSError | None, code: str) -> None:
    finding = check_port(FakeNetwork(error=error), MQTT)
    assert codes([finding]) == [code]
    assert finding.data["where"] == "relay.example:8883"


def test_a_broker_on_this_machine_needs_no_route() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert "network.no_route" not in codes(check_network(FakeNetwork(route=False), host, Health(), LIMITS))


def test_this_machine_resolves_and_connects() -> None:
    network = SystemNetwork()
    assert network.has_route() in (True, False)
    assert network.resolve("127.0.0.1") == ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        network.connect("127.0.0.1", listening.getsockname()[1], 5.0)
        port = listening.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        network.connect("127.0.0.1", port, 5.0)


def test_start_is_a_time_that_can_be_shown() -> None:
    (finding, _) = check_clock(ClockReading(START + timedelta(hours=8), True, None))
    assert finding.data["at"] == datetime(2026, 11, 23, 14, 43, tzinfo=UTC).isoformat("T", "seconds")
