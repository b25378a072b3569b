"""The health of a device in its shell: faults that reach the outbox with the link up or down, and a disk left alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from device.adapters.outbox import SqliteOutbox
from device.core.machine import Trouble
from device.core.role import ButtonName, Role
from doorbell.wire import EventType, Fault, Health, Panel
from tests.device.doubles import Bench
from tests.thorough import THOROUGH

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def faults(bench: Bench) -> list[tuple[object, object]]:
    """Every fault event sent, once, as code and whether it is over."""
    found = {e.id: e.detail or {} for e in bench.events() if e.type is EventType.FAULT}
    return [(detail["code"], detail["cleared"]) for detail in found.values()]


def test_a_fault_is_committed_and_sent_at_once_and_stands_in_every_report_until_it_is_over() -> None:
    bench = Bench()
    bench.connect()
    bench.health.now = Health(undervoltage=True)
    bench.advance(MINUTE_MS)
    assert faults(bench) == [("undervoltage", False)]
    assert len(bench.store.rows) == 1
    bench.advance(2 * MINUTE_MS)
    assert bench.reports()[-1].faults == (Fault(code="undervoltage", subject="power"),)
    assert bench.reports()[-1].health.undervoltage is True
    bench.health.now = Health(undervoltage=False)
    bench.advance(12 * MINUTE_MS)
    assert faults(bench) == [("undervoltage", False), ("undervoltage", True)]
    assert bench.reports()[-1].faults == ()


def test_health_is_judged_while_the_link_is_down_and_told_when_it_is_back() -> None:
    bench = Bench()
    bench.health.now = Health(on_battery=True, battery_pct=80)
    bench.advance(10 * MINUTE_MS)
    assert [row.detail["code"] for row in bench.store.rows.values() if row.detail] == ["on_battery"]
    bench.reboot()
    bench.connect()
    assert faults(bench) == [("on_battery", False)]
    assert bench.events()[0].age_ms >= 0


@pytest.mark.parametrize("role", Role)
def test_an_idle_hour_reads_the_health_every_5_s_and_commits_nothing(role: Role) -> None:
    bench = Bench(role=role)
    bench.connect()
    bench.desire(panel=Panel())
    before, chance = bench.health.reads, random.Random(11)
    for _ in range(360):
        bench.health.now = Health(
            cpu_c=chance.uniform(35, 79), wifi_dbm=chance.randint(-79, -40), undervoltage=chance.random() < 0.01,
            disk_free_mb=chance.randint(900, 1_000), disk_total_mb=2_000, battery_pct=chance.randint(60, 90),
        )  # fmt: skip
        bench.advance(10_000)
    assert bench.store.commits == 0
    assert bench.health.reads - before == pytest.approx(720 + 60, abs=5)
    assert len(bench.reports()) == pytest.approx(60, abs=3)


@pytest.mark.thorough
def test_an_idle_day_leaves_the_files_of_the_outbox_untouched(tmp_path: Path) -> None:
    """The figure: 0 commits, 0 bytes a day. (A whole one in the slow suite, four hours of it every day.)"""
    bench = Bench()
    bench.store = store = SqliteOutbox(tmp_path / "outbox.sqlite3")  # type: ignore[assignment]
    bench.boot()
    bench.connect()
    bench.press(ButtonName.HELP)
    bench.desire(stored=tuple({e.id for e in bench.events()}), panel=Panel())
    bench.forget()

    def files() -> dict[str, tuple[int, int]]:
        return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.iterdir()}

    before = files()
    assert {"outbox.sqlite3", "outbox.sqlite3-wal"} <= before.keys()
    for hour in range(24 if THOROUGH else 4):
        bench.health.now = Health(cpu_c=40.0 + hour, wifi_dbm=-60 - hour % 10, undervoltage=False)
        bench.advance(HOUR_MS)
        bench.forget()
    assert files() == before
    store.close()


@pytest.mark.thorough
def test_the_unkindest_source_costs_at_most_34_commits_a_day() -> None:
    """Undervoltage until it is told, none until it is over, and the relay receipts each at once.

    A whole day in the slow suite. Every day its first four hours: with calms of 10, 20, 40, 80 and 160 minutes four
    tellings are over by then and the fifth is not, each with its receipt two commits.
    """
    hours, least, most = (24, 30, 34) if THOROUGH else (4, 18, 18)
    bench = Bench()
    bench.connect()
    end_ms = bench.clock.now_ms + hours * HOUR_MS
    while bench.clock.now_ms < end_ms:
        bench.health.now = Health(undervoltage=not bench.runtime.state.faults)
        bench.advance(10_000)
        if waiting := tuple(bench.store.rows):
            bench.desire(stored=waiting)
            bench.forget()
    assert least <= bench.store.commits <= most


def test_a_fault_of_another_part_stands_in_the_report_too() -> None:
    bench = Bench()
    bench.turn(Trouble("player_failed", "sound", "no device"))
    bench.connect()
    assert bench.reports()[-1].faults == (Fault(code="player_failed", subject="sound"),)


def test_a_clock_without_ntp_is_told_within_180_s_of_the_link_and_over_when_it_is_set() -> None:
    bench = Bench()
    bench.clock.is_synced = False
    bench.advance(HOUR_MS)
    bench.connect()
    bench.advance(170_000)
    assert faults(bench) == [("clock_unsynced", False)]
    bench.clock.is_synced = True
    bench.advance(11 * MINUTE_MS)
    assert faults(bench) == [("clock_unsynced", False), ("clock_unsynced", True)]
