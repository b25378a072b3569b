"""Readings of the health over hours of virtual time: what is told, when, how often, and what never is."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from device.core.machine import Trouble
from device.core.wellness import (
    CALM_S,
    MAX_HOLD_S,
    Condition,
    Episode,
    Reading,
    WellnessLimits,
    WellnessState,
    advance_wellness,
)
from device.settings import DaemonSettings
from doorbell.wire import Health
from tests.thorough import examples

PRODUCT_RULE_S = 180
DAY_S = 86_400
WELL: dict[str, Any] = {
    "cpu_c": 48.0, "wifi_dbm": -61, "undervoltage": False, "throttled": False, "disk_free_mb": 5_000,
    "disk_total_mb": 30_000, "disk_read_only": False, "disk_errors": 0, "disk_worn_pct": 10, "battery_pct": 90,
    "on_battery": False,
}  # fmt: skip
BAD: dict[Condition, dict[str, Any]] = {
    Condition.UNDERVOLTAGE: {"undervoltage": True},
    Condition.THROTTLED: {"throttled": True},
    Condition.HOT: {"cpu_c": 80.0},
    Condition.DISK_NEARLY_FULL: {"disk_free_mb": 49},
    Condition.DISK_READ_ONLY: {"disk_read_only": True},
    Condition.DISK_FAILING: {"disk_errors": 1},
    Condition.CLOCK_UNSYNCED: {"synced": False},
    Condition.WIFI_WEAK: {"wifi_dbm": -80},
    Condition.ON_BATTERY: {"on_battery": True},
    Condition.BATTERY_LOW: {"battery_pct": 20},
}


@dataclass
class Watch:
    """Feeds readings at a steady pace and notes what was told, with its second."""

    limits: WellnessLimits = field(default_factory=WellnessLimits)
    every_s: int = 5
    state: WellnessState = field(default_factory=WellnessState)
    now_s: int = 1_000
    told: list[tuple[int, Trouble]] = field(default_factory=list)

    def read(self, *, synced: bool = True, connected: bool = True, **health: Any) -> list[Trouble]:
        """One reading, as well as can be but for what is named."""
        self.now_s += self.every_s
        reading = Reading(Health(**{**WELL, **health}), self.now_s * 1000, synced, connected)
        self.state, troubles = advance_wellness(self.state, reading, self.limits)
        self.told += [(self.now_s, one) for one in troubles]
        return list(troubles)

    def last(self, seconds: int, **what: Any) -> list[Trouble]:
        """The same for some time; what was told in it."""
        before = len(self.told)
        for _ in range(seconds // self.every_s):
            self.read(**what)
        return [trouble for _, trouble in self.told[before:]]


def codes(troubles: list[Trouble]) -> list[tuple[str, bool]]:
    return [(one.code, one.cleared) for one in troubles]


@pytest.mark.parametrize("condition", Condition)
def test_what_stays_bad_is_told_once_within_the_product_rule_and_cleared_once_after_a_calm(
    condition: Condition,
) -> None:
    watch = Watch()
    assert watch.last(600) == []
    began_s = watch.now_s
    assert codes(watch.last(3_600, **BAD[condition])) == [(condition.value, False)]
    ((told_s, _),) = watch.told
    assert told_s - began_s + watch.every_s < PRODUCT_RULE_S
    assert watch.last(CALM_S - 10) == []
    assert codes(watch.last(20)) == [(condition.value, True)]
    assert watch.last(7_200) == []


@pytest.mark.parametrize("condition", Condition)
def test_what_passes_by_itself_is_given_its_time_and_no_more(condition: Condition) -> None:
    """A busy minute slows a processor down, a van weakens a signal; power that fails is power lost."""
    slow = {
        Condition.HOT: 120,
        Condition.WIFI_WEAK: 120,
        Condition.THROTTLED: 60,
        Condition.CLOCK_UNSYNCED: 150,
    }
    hold_s = slow.get(condition, 20)
    watch = Watch()
    assert watch.last(hold_s, **BAD[condition]) == []
    assert codes(watch.last(5, **BAD[condition])) == [(condition.value, False)]


def test_what_is_just_good_enough_is_never_told() -> None:
    just = {"cpu_c": 79.9, "wifi_dbm": -79, "disk_free_mb": 50, "battery_pct": 21, "disk_worn_pct": 99}
    assert Watch().last(400, **just) == []


@pytest.mark.parametrize("condition", Condition)
def test_a_blip_is_told_never_however_often(condition: Condition) -> None:
    watch = Watch()
    for _ in range(50):
        watch.read(**BAD[condition])
        watch.last(35)
    assert watch.told == []


@pytest.mark.parametrize("condition", Condition)
def test_nothing_is_told_while_it_wobbles_on_the_good_side(condition: Condition) -> None:
    watch, chance = Watch(), random.Random(5)
    for _ in range(5_000):
        watch.read(
            cpu_c=chance.uniform(20, 79.9),
            wifi_dbm=chance.randint(-79, -30),
            disk_free_mb=chance.randint(50, 9_000),
            battery_pct=chance.randint(21, 100),
            disk_worn_pct=chance.choice([None, 10, 90]),
        )
    assert watch.told == []


def test_an_undervoltage_that_flickers_for_half_a_day_is_one_fault() -> None:
    watch, chance = Watch(), random.Random(3)
    for _ in range(DAY_S // watch.every_s // 2):
        watch.read(undervoltage=chance.random() < 0.5)
    assert codes([one for _, one in watch.told]) == [("undervoltage", False)]


@pytest.mark.parametrize(
    ("condition", "told", "still", "well"),
    [
        (Condition.HOT, {"cpu_c": 81.0}, {"cpu_c": 76.0}, {"cpu_c": 74.0}),
        (Condition.WIFI_WEAK, {"wifi_dbm": -83}, {"wifi_dbm": -76}, {"wifi_dbm": -74}),
        (Condition.BATTERY_LOW, {"battery_pct": 19}, {"battery_pct": 29}, {"battery_pct": 31}),
        (Condition.DISK_NEARLY_FULL, {"disk_free_mb": 40}, {"disk_free_mb": 62}, {"disk_free_mb": 63}),
    ],
)
def test_a_told_fault_is_over_only_some_way_on_the_good_side(
    condition: Condition, told: dict[str, Any], still: dict[str, Any], well: dict[str, Any]
) -> None:
    watch = Watch()
    assert watch.last(3_600, **still) == []
    assert codes(watch.last(200, **told)) == [(condition.value, False)]
    assert watch.last(3_600, **still) == []
    assert codes(watch.last(3_600, **well)) == [(condition.value, True)]


def test_a_value_that_is_gone_neither_begins_nor_ends_anything() -> None:
    watch = Watch()
    nothing = dict.fromkeys(WELL)
    assert watch.last(3_600, **nothing) == []
    watch.last(200, undervoltage=True, wifi_dbm=-90)
    assert len(watch.told) == 2
    assert watch.last(7_200, **nothing) == []
    assert watch.last(CALM_S - 10) == [], "a value that is missing is no calm"
    assert len(watch.last(20)) == 2


def test_a_small_partition_is_nearly_full_at_a_tenth() -> None:
    watch = Watch()
    assert watch.last(600, disk_total_mb=64, disk_free_mb=7) == []
    assert codes(watch.last(600, disk_total_mb=64, disk_free_mb=6)) == [("disk_nearly_full", False)]


def test_a_disk_that_is_read_only_is_not_also_called_full() -> None:
    assert codes(Watch().last(600, disk_read_only=True, disk_free_mb=0)) == [("disk_read_only", False)]


@pytest.mark.parametrize(("worn_pct", "told"), [(90, 0), (100, 1), (110, 1)])
def test_a_worn_out_card_is_told(worn_pct: int, told: int) -> None:
    assert len(Watch().last(600, disk_worn_pct=worn_pct, disk_errors=None)) == told


def test_a_clock_without_ntp_is_told_only_once_there_is_a_broker() -> None:
    """After a power cut of the whole street the router takes minutes; nobody should be told of 100 clocks."""
    watch = Watch()
    assert watch.last(7_200, synced=False, connected=False) == []
    assert watch.last(140, synced=False) == []
    assert watch.last(600, synced=False, connected=False) == []
    assert watch.last(140, synced=False) == []
    assert codes(watch.last(20, synced=False)) == [("clock_unsynced", False)]


def test_no_setting_makes_the_clock_later_than_the_product_rule() -> None:
    watch = Watch(WellnessLimits(clock_unsynced_s=100_000))
    assert len(watch.last(MAX_HOLD_S + 10, synced=False)) == 1
    assert MAX_HOLD_S + 2 * watch.every_s < PRODUCT_RULE_S


def per_day(watch: Watch, *, cleared: bool, days: int, began_s: int) -> list[int]:
    at = [now_s - began_s for now_s, one in watch.told if one.cleared is cleared]
    return [sum(day * DAY_S <= s < (day + 1) * DAY_S for s in at) for day in range(days)]


def test_the_unkindest_source_is_told_at_most_9_times_on_the_first_day_and_4_times_on_others() -> None:
    """It is bad until it is told, well until it is over, and bad again at once."""
    watch, days = Watch(every_s=10), 3
    began_s, bad = watch.now_s, True
    while watch.now_s < began_s + days * DAY_S:
        for trouble in watch.read(undervoltage=bad):
            bad = trouble.cleared
    assert per_day(watch, cleared=False, days=days, began_s=began_s) == [9, 4, 4]
    assert per_day(watch, cleared=True, days=days, began_s=began_s) == [8, 4, 4]


@examples(few=6, many=100)
@given(st.lists(st.tuples(st.integers(1, 600), st.integers(1, 4_000)), min_size=1, max_size=40))
def test_no_other_source_is_told_more_often(phases: list[tuple[int, int]]) -> None:
    watch = Watch(every_s=20)
    began_s, at = watch.now_s, 0
    while watch.now_s < began_s + DAY_S:
        bad_s, well_s = phases[at % len(phases)]
        watch.last(bad_s + watch.every_s, undervoltage=True)
        watch.last(well_s + watch.every_s)
        at += 1
    told = [one.cleared for now_s, one in watch.told if now_s < began_s + DAY_S]
    assert told == [False, True] * (len(told) // 2) + [False] * (len(told) % 2)
    assert told.count(False) <= 9
    assert told.count(True) <= 8


def test_after_a_day_without_it_a_fault_is_over_as_soon_as_the_first_time() -> None:
    watch = Watch(every_s=10)
    for _ in range(4):
        watch.last(60, undervoltage=True)
        watch.last(20_000)
    assert len(watch.told) == 8
    watch.last(DAY_S)
    watch.last(60, undervoltage=True)
    assert codes(watch.last(CALM_S + 10)) == [("undervoltage", True)]


@pytest.mark.parametrize(("well_ms", "calm_s"), [(86_400_000 - 1, 8 * CALM_S), (86_400_000, CALM_S)])
def test_only_a_whole_day_without_it_is_forgiven(well_ms: int, calm_s: int) -> None:
    over_ms = 5_000_000
    state = WellnessState({Condition.UNDERVOLTAGE: Episode(relapses=3, over_ms=over_ms)})
    began_ms = over_ms + well_ms
    told: list[tuple[int, bool]] = []
    for after_ms, bad in (
        (0, True),
        (20_000, True),
        (20_000 + calm_s * 1000 - 1, False),
        (20_000 + calm_s * 1000, False),
    ):
        reading = Reading(Health(**{**WELL, "undervoltage": bad}), began_ms + after_ms, synced=True, connected=True)
        state, troubles = advance_wellness(state, reading, WellnessLimits())
        told += [(after_ms, one.cleared) for one in troubles]
    assert told == [(20_000, False), (20_000 + calm_s * 1000, True)]


@pytest.mark.parametrize(("pause_s", "told"), [(30, True), (31, False)])
def test_a_lull_of_more_than_half_a_minute_begins_anew(pause_s: int, *, told: bool) -> None:
    state = WellnessState()
    for now_ms in (1_000_000, 1_000_000 + pause_s * 1000):
        reading = Reading(Health(undervoltage=True), now_ms, synced=True, connected=True)
        state, troubles = advance_wellness(state, reading, WellnessLimits())
    assert bool(troubles) is told


def test_what_is_bad_from_the_first_second_after_the_power_came_is_told_as_soon_as_ever() -> None:
    watch = Watch(now_s=0)
    assert watch.last(20, undervoltage=True) == []
    assert codes(watch.last(5, undervoltage=True)) == [("undervoltage", False)]


def test_the_settings_of_a_technician_are_the_limits() -> None:
    base = {"device": "d", "community": "c", "role": "panel", "state_dir": "var"}
    assert DaemonSettings.model_validate(base).wellness() == WellnessLimits()
    asked = {"hot_c": 70, "disk_free_mb": 9, "wifi_dbm": -70, "battery_pct": 50, "clock_unsynced_s": 60}
    assert DaemonSettings.model_validate({**base, "health": asked}).wellness() == WellnessLimits(**asked)
    with pytest.raises(ValidationError):
        DaemonSettings.model_validate({**base, "health": {"clock_unsynced_s": MAX_HOLD_S + 1}})


def test_the_text_has_the_figures() -> None:
    watch = Watch()
    watch.last(200, cpu_c=82.4, wifi_dbm=-88, disk_errors=3, battery_pct=7)
    texts = {one.code: one.text for _, one in watch.told}
    assert texts == {
        "hot": "82 °C", "wifi_weak": "-88 dBm", "disk_failing": "ext4 errors: 3, worn: 10 %",
        "battery_low": "battery 7 %",
    }  # fmt: skip


def test_a_disk_of_which_only_a_part_is_known_is_judged_by_that() -> None:
    assert codes(Watch().last(30, disk_total_mb=None, disk_free_mb=49)) == [("disk_nearly_full", False)]
    assert Watch().last(30, disk_total_mb=None, disk_free_mb=50) == []
    assert codes(Watch().last(30, disk_errors=None, disk_worn_pct=100)) == [("disk_failing", False)]
    watch = Watch()
    assert codes(watch.last(30, disk_errors=1, disk_worn_pct=None)) == [("disk_failing", False)]
    assert watch.last(2 * CALM_S, disk_errors=None, disk_worn_pct=None) == [], "nothing known is no good news"


def test_the_text_is_empty_where_there_is_no_figure() -> None:
    watch = Watch()
    watch.last(70, throttled=True, cpu_c=None, undervoltage=True, disk_free_mb=7, disk_total_mb=100)
    assert {one.code: one.text for _, one in watch.told} == {
        "throttled": "", "undervoltage": "", "disk_nearly_full": "7 of 100 MB free",
    }  # fmt: skip
