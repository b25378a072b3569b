"""The real loop: bounds, the watchdog's proof of life, and how it ends; and the small adapters of clock and health."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device import loop
from device.adapters.clock import SystemClock
from device.adapters.health import SystemHealth
from device.core.role import ButtonName, ChimeStopped
from device.loop import MAX_INPUTS, MAX_TURN_INPUTS, Inbox, run_device
from device.ports import PinEdge
from doorbell.link import LinkDied, LinkUp
from doorbell.service import ExitCode, ServiceNotifier
from tests.device.doubles import ALARM, Bench
from tests.device.waiting import wait_until

EDGE = PinEdge(ButtonName.HELP, True, 0)


def test_edges_over_the_bound_are_dropped_and_counted_and_never_block() -> None:
    inbox = Inbox()
    for _ in range(MAX_INPUTS + 5):
        inbox.put_edge(EDGE)
    assert inbox.dropped == 5
    taken, stop = inbox.take(0)
    assert (len(taken), stop) == (MAX_TURN_INPUTS, False)


def test_the_link_waits_for_room_instead() -> None:
    inbox = Inbox()
    for _ in range(MAX_INPUTS):
        inbox.put_edge(EDGE)
    thread = threading.Thread(target=inbox.put_link, args=(LinkUp(1),))
    thread.start()
    seen: list[Any] = []

    def drained() -> bool:
        seen.extend(inbox.take(0)[0])
        return LinkUp(1) in seen

    wait_until(drained)
    thread.join(10)
    assert len(seen) == MAX_INPUTS + 1


def test_what_came_before_the_stop_is_still_taken() -> None:
    inbox = Inbox()
    inbox.put_sound(ChimeStopped(ALARM))
    inbox.stop()
    assert inbox.take(None) == ([ChimeStopped(ALARM)], True)


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[tuple[ServiceNotifier, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        yield ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}), manager


def run_in_thread(inbox: Inbox, notifier: ServiceNotifier, alive: Any) -> tuple[threading.Thread, list[ExitCode]]:
    bench, clock, codes = Bench(), SystemClock(), list[ExitCode]()

    def work() -> None:
        codes.append(run_device(bench.runtime, inbox, clock, notifier=notifier, alive=alive, after_turn=lambda: None))

    thread = threading.Thread(target=work, daemon=True)  # a failed test must not wait for it
    thread.start()
    return thread, codes


def test_noise_that_has_queued_up_behind_a_slow_turn_is_no_press() -> None:
    bench, inbox = Bench(), Inbox()
    began = bench.clock.now_ms
    bench.clock.advance(60_000)
    bench.pins.levels[ButtonName.HELP] = True  # as some pulse of now leaves it
    inbox.put_edge(PinEdge(ButtonName.OK, False, began))
    for number in range(0, MAX_INPUTS - 2, 2):  # each turn but the last ends between the two edges of a pulse
        inbox.put_edge(PinEdge(ButtonName.HELP, True, began + 10 * number))
        inbox.put_edge(PinEdge(ButtonName.HELP, False, began + 10 * number + 10))
    inbox.stop()
    code = run_device(
        bench.runtime, inbox, bench.clock, notifier=ServiceNotifier({}), alive=lambda: True, after_turn=lambda: None
    )
    assert code is ExitCode.OK
    assert bench.runtime.counters["edge_short"] == (MAX_INPUTS - 2) // 2
    assert not bench.store.rows


def test_the_watchdog_is_fed_while_everything_lives(notify: tuple[ServiceNotifier, socket.socket]) -> None:
    notifier, manager = notify
    inbox = Inbox()
    thread, codes = run_in_thread(inbox, notifier, lambda: True)
    assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    inbox.stop()
    thread.join(10)
    assert codes == [ExitCode.OK]


def test_without_proof_of_life_the_watchdog_goes_hungry_and_the_process_ends_to_be_started_again(
    notify: tuple[ServiceNotifier, socket.socket], allow_error_logs: list[dict[str, Any]]
) -> None:
    notifier, manager = notify
    thread, codes = run_in_thread(Inbox(), notifier, lambda: False)
    thread.join(10)
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)
    assert codes == [ExitCode.BUG]
    assert [one["event"] for one in allow_error_logs] == ["device.not_alive"] * 2


def test_a_dead_thread_ends_the_process_without_a_watchdog_too(
    allow_error_logs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_CHECK_S", 0.02)
    answers = iter([True, False, True, False, False])  # one bad answer alone is forgiven
    thread, codes = run_in_thread(Inbox(), ServiceNotifier({}), lambda: next(answers))
    thread.join(10)
    assert codes == [ExitCode.BUG]
    assert [one["checks"] for one in allow_error_logs] == [1, 1, 2]


def test_a_dead_link_ends_the_process_with_the_code_that_restarts_it(
    allow_error_logs: list[dict[str, Any]],
) -> None:
    inbox = Inbox()
    inbox.put_link(LinkDied("a bug"))
    thread, codes = run_in_thread(inbox, ServiceNotifier({}), lambda: True)
    thread.join(10)
    assert codes == [ExitCode.BUG]
    assert [one["event"] for one in allow_error_logs] == ["device.fatal"]


def test_the_clock_counts_from_boot_and_says_utc() -> None:
    clock = SystemClock()
    uptime_ms = float(Path("/proc/uptime").read_text().split()[0]) * 1000
    assert clock.monotonic_ms() == pytest.approx(uptime_ms, abs=60_000)
    assert abs(clock.wall() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.wall().tzinfo is UTC
    assert clock.synced() in (True, False)
    assert len(clock.boot_id()) == 36


def test_health_is_measured_where_it_can_be(tmp_path: Path) -> None:
    health = SystemHealth(tmp_path).read()
    assert health.disk_free_mb is not None
    assert health.disk_free_mb > 0
    assert SystemHealth(tmp_path / "gone").read().disk_free_mb is None
