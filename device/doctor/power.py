"""The supply and the heat, as the firmware tells them."""

from __future__ import annotations

from collections.abc import Iterator

from device.core.wellness import WellnessLimits
from device.findings import Finding, Severity
from doorbell.wire import Health


def check_power(health: Health, limits: WellnessLimits) -> Iterator[Finding]:
    """Undervoltage now or since the start, and heat."""
    if health.undervoltage:
        yield Finding("power", "undervoltage_now", Severity.FAILURE)
    elif health.undervoltage_seen:
        yield Finding("power", "undervoltage_since_boot", Severity.WARNING)
    elif health.undervoltage is None:
        yield Finding("power", "unknown", Severity.NOTE)
    else:
        yield Finding("power", "good", Severity.OK)
    if health.cpu_c is not None and (health.cpu_c >= limits.hot_c or health.soft_temp_limit):
        yield Finding("power", "hot", Severity.WARNING, {"cpu_c": round(health.cpu_c)})
    if health.battery_pct is not None and health.battery_pct < limits.battery_pct:
        yield Finding("power", "battery_low", Severity.WARNING, {"pct": health.battery_pct})
    elif health.on_battery:
        yield Finding(
            "power", "on_battery", Severity.WARNING, {"pct": "?" if health.battery_pct is None else health.battery_pct}
        )
