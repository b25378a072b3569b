"""From readings of the device's health over time to faults, told once and cleared once. Pure.

A fault is told when a condition was bad again and again for ``hold_s`` without a lull of ``LULL_S``; it is over when
nothing bad was read for a calm of ``CALM_S``. Every time that it comes back the calm doubles, up to ``MAX_CALM_S``, and
falls back when a day has passed without it. So a source that flickers is one fault, and one that comes and goes as
unkindly as it can is told at most 9 times on its first day and 4 times on every other. A telling, a clearing and their
receipts are two commits of the outbox each: 34 a day for one condition at the very worst, none while nothing changes.

Product rule: what is wrong reaches the relay within 180 s. No ``hold_s`` is above ``MAX_HOLD_S``, and readings come
every few seconds. A value that cannot be read is no news: it neither begins nor ends anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from device.core.machine import Trouble
from doorbell.wire import Health

LULL_S = 30
CALM_S = 600
MAX_CALM_S = 6 * 3_600
FORGIVEN_S = 86_400
MAX_HOLD_S = 165
"""Leaves 15 s of the 180 for the next reading and the way."""
_WORN_OUT_PCT = 100
"""The last step of the rated life: time to bring a new card, not yet too late."""


class Condition(StrEnum):
    """What may be wrong with a device's surroundings; the values are the codes of the faults."""

    UNDERVOLTAGE = "undervoltage"
    THROTTLED = "throttled"
    HOT = "hot"
    DISK_NEARLY_FULL = "disk_nearly_full"
    DISK_READ_ONLY = "disk_read_only"
    DISK_FAILING = "disk_failing"
    CLOCK_UNSYNCED = "clock_unsynced"
    WIFI_WEAK = "wifi_weak"
    ON_BATTERY = "on_battery"
    BATTERY_LOW = "battery_low"


_SUBJECTS: dict[Condition, str] = {
    Condition.UNDERVOLTAGE: "power",
    Condition.THROTTLED: "processor",
    Condition.HOT: "processor",
    Condition.DISK_NEARLY_FULL: "disk",
    Condition.DISK_READ_ONLY: "disk",
    Condition.DISK_FAILING: "disk",
    Condition.CLOCK_UNSYNCED: "clock",
    Condition.WIFI_WEAK: "wifi",
    Condition.ON_BATTERY: "power",
    Condition.BATTERY_LOW: "power",
}


@dataclass(frozen=True, slots=True)
class WellnessLimits:
    """From where on a reading is bad. A told fault is over only some way on the good side of it."""

    hot_c: float = 80.0
    """Degrees Celsius: from here on a Pi slows itself down."""
    disk_free_mb: int = 50
    """MB; on a partition of less than ten times as much: a tenth of it. An outbox of a week needs 1 MB."""
    wifi_dbm: int = -80
    battery_pct: int = 20
    clock_unsynced_s: int = 150
    """Seconds with a broker and without NTP, at most ``MAX_HOLD_S``. Without a broker there may be no network at all:
    then the clock's turn comes when it is back."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The health as read at ``now_ms`` (monotonic), whether NTP has set the clock, whether there is a broker."""

    health: Health
    now_ms: int
    synced: bool
    connected: bool


@dataclass(frozen=True, slots=True)
class Episode:
    """A condition that is or was bad. Times are monotonic ms; ``began_ms`` is None while it is well."""

    began_ms: int | None = None
    bad_ms: int = 0
    """When it was last read as bad."""
    told: bool = False
    relapses: int = 0
    over_ms: int = 0
    """When it was last told as over."""


@dataclass(frozen=True, slots=True)
class WellnessState:
    """Every condition that was ever bad since start."""

    episodes: Mapping[Condition, Episode] = field(default_factory=lambda: MappingProxyType({}))


def advance_wellness(
    state: WellnessState, reading: Reading, limits: WellnessLimits
) -> tuple[WellnessState, tuple[Trouble, ...]]:
    """Take in a reading; returns what is to be told."""
    episodes, troubles = dict(state.episodes), []
    for condition in Condition:
        before = episodes.get(condition, Episode())
        bad = _is_bad(condition, reading, limits, told=before.told)
        after = _advance(before, bad, reading.now_ms, _hold_s(condition, limits) * 1000)
        if after is before:
            continue
        episodes[condition] = after
        if after.told != before.told:
            text = _words(condition, reading)
            troubles.append(Trouble(condition.value, _SUBJECTS[condition], text, cleared=not after.told))
    return WellnessState(MappingProxyType(episodes)), tuple(troubles)


def _advance(one: Episode, bad: bool | None, now_ms: int, hold_ms: int) -> Episode:
    if bad is None:
        # A value that is missing is no proof of calm.
        return replace(one, bad_ms=now_ms) if one.told else one
    if bad:
        lulled = not one.told and now_ms - one.bad_ms > LULL_S * 1000
        if one.began_ms is None or lulled:
            forgiven = now_ms - one.over_ms >= FORGIVEN_S * 1000
            one = replace(one, began_ms=now_ms, relapses=0 if forgiven else one.relapses)
        began_ms = now_ms if one.began_ms is None else one.began_ms
        return replace(one, bad_ms=now_ms, told=one.told or now_ms - began_ms >= hold_ms)
    calm_s = min(CALM_S << one.relapses, MAX_CALM_S)
    if not one.told or now_ms - one.bad_ms < calm_s * 1000:
        return one
    return Episode(relapses=one.relapses + 1, over_ms=now_ms)


def _hold_s(condition: Condition, limits: WellnessLimits) -> int:
    """How long it must be bad before it is told: as long as it takes to be no passing thing."""
    match condition:
        case Condition.CLOCK_UNSYNCED:
            return min(limits.clock_unsynced_s, MAX_HOLD_S)
        case Condition.WIFI_WEAK | Condition.HOT:
            return 120
        case Condition.THROTTLED:
            return 60
        case Condition.UNDERVOLTAGE | Condition.ON_BATTERY | Condition.BATTERY_LOW:
            return 20
        case Condition.DISK_NEARLY_FULL | Condition.DISK_READ_ONLY | Condition.DISK_FAILING:
            return 20


def _is_bad(condition: Condition, reading: Reading, limits: WellnessLimits, *, told: bool) -> bool | None:
    """Whether the condition is bad now, None if nothing is known; a told one must be clearly good to be well."""
    health = reading.health
    match condition:
        case Condition.UNDERVOLTAGE:
            return health.undervoltage
        case Condition.THROTTLED:
            return health.throttled
        case Condition.HOT:
            return None if health.cpu_c is None else health.cpu_c >= limits.hot_c - (5 if told else 0)
        case Condition.DISK_NEARLY_FULL:
            return _nearly_full(health, limits, told=told)
        case Condition.DISK_READ_ONLY:
            return health.disk_read_only
        case Condition.DISK_FAILING:
            return _failing(health)
        case Condition.CLOCK_UNSYNCED:
            return False if reading.synced else (True if reading.connected else None)
        case Condition.WIFI_WEAK:
            return None if health.wifi_dbm is None else health.wifi_dbm <= limits.wifi_dbm + (5 if told else 0)
        case Condition.ON_BATTERY:
            return health.on_battery
        case Condition.BATTERY_LOW:
            low_pct = limits.battery_pct + (10 if told else 0)
            return None if health.battery_pct is None else health.battery_pct <= low_pct


def _nearly_full(health: Health, limits: WellnessLimits, *, told: bool) -> bool | None:
    if health.disk_free_mb is None or health.disk_read_only:  # nothing is written there: another fault
        return None
    enough_mb: float = limits.disk_free_mb
    if health.disk_total_mb is not None:
        enough_mb = min(enough_mb, health.disk_total_mb / 10)
    return health.disk_free_mb < enough_mb * (1.25 if told else 1)


def _failing(health: Health) -> bool | None:
    if health.disk_errors is None and health.disk_worn_pct is None:
        return None
    return bool(health.disk_errors) or (health.disk_worn_pct or 0) >= _WORN_OUT_PCT


def _words(condition: Condition, reading: Reading) -> str:
    """The figures, for a technician."""
    health = reading.health
    match condition:
        case Condition.HOT | Condition.THROTTLED:
            return "" if health.cpu_c is None else f"{health.cpu_c:.0f} °C"
        case Condition.DISK_NEARLY_FULL | Condition.DISK_READ_ONLY:
            return f"{health.disk_free_mb} of {health.disk_total_mb} MB free"
        case Condition.DISK_FAILING:
            return f"ext4 errors: {health.disk_errors}, worn: {health.disk_worn_pct} %"
        case Condition.WIFI_WEAK:
            return f"{health.wifi_dbm} dBm"
        case Condition.ON_BATTERY | Condition.BATTERY_LOW:
            return f"battery {health.battery_pct} %"
        case Condition.UNDERVOLTAGE | Condition.CLOCK_UNSYNCED:
            return ""
