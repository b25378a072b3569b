"""What a device says of its outbox: that an event is kept is said once, and not before it lies on the disk."""

from __future__ import annotations

from datetime import UTC, datetime

from structlog.testing import capture_logs

from device.core.effects import Keep, OutboxRow
from device.core.machine import Trouble
from device.core.wellness import CALM_S, FORGIVEN_S
from device.saving import STORE_RETRY_MS, OutboxSaver
from doorbell.wire import ClockState, EventType
from tests.device.doubles import MemoryStore

ROW = OutboxRow(7, "id-7", EventType.HELP, datetime(2026, 11, 24, tzinfo=UTC), ClockState.SYNCED, "boot", 0)


def test_an_event_is_called_kept_once_and_only_when_the_disk_has_taken_it() -> None:
    """A disk that refuses at first: nothing is claimed until a later try has succeeded, and then not again."""
    store = MemoryStore()
    saver = OutboxSaver(store)
    store.failing = True
    with capture_logs() as logs:
        saver.gather([Keep(ROW)])
        saver.save(0)
        assert [line["event"] for line in logs] == ["outbox.failed"]
        store.failing = False
        assert saver.retry_at_ms is not None
        saver.save(saver.retry_at_ms)
        saver.save(saver.retry_at_ms)
    kept = [line for line in logs if line["event"] == "event.kept"]
    assert kept == [{"event": "event.kept", "log_level": "info", "id": "id-7", "type": "help", "seq": 7}]


def next_try(saver: OutboxSaver) -> int | None:
    return saver.retry_at_ms


def hours_of(
    saver: OutboxSaver, store: MemoryStore, hours: int, begin_ms: int = 0, *, flaky: bool = True
) -> list[Trouble]:
    """What is told of a disk that is asked every 5 s and, if it is flaky, refuses every other time."""
    told = []
    for turn in range(hours * 3_600_000 // STORE_RETRY_MS):
        store.failing = flaky and turn % 2 == 0
        saver.gather([Keep(ROW)])
        told.append(saver.save(begin_ms + turn * STORE_RETRY_MS))
    return [one for one in told if one is not None]


def test_a_disk_that_refuses_every_other_time_is_told_twice_and_not_17_000_times_a_day() -> None:
    store = MemoryStore()
    saver = OutboxSaver(store)
    saver.load(0)
    assert [one.cleared for one in hours_of(saver, store, 24)] == [False, True, False]
    assert [one.cleared for one in hours_of(saver, store, 2, 24 * 3_600_000, flaky=False)] == [True]


def test_a_disk_that_refuses_once_is_well_at_the_next_try_and_later_after_an_ever_longer_calm() -> None:
    store = MemoryStore()
    saver = OutboxSaver(store)
    saver.load(0)
    now_ms = 0
    for calm_s in (0, CALM_S, 2 * CALM_S, 4 * CALM_S):
        store.failing = True
        saver.gather([Keep(ROW)])
        raised = saver.save(now_ms)
        assert raised is not None
        assert not raised.cleared
        store.failing = False
        due_ms = now_ms + STORE_RETRY_MS
        assert next_try(saver) == due_ms
        if calm_s:
            assert saver.save(due_ms) is None
            due_ms = now_ms + calm_s * 1000
            assert next_try(saver) == due_ms
            assert saver.save(due_ms - 1) is None
        well = saver.save(due_ms)
        assert well is not None
        assert well.cleared
        assert saver.save(due_ms) is None
        assert next_try(saver) is None
        now_ms = due_ms + FORGIVEN_S * 1000 - 1
    store.failing = True
    saver.gather([Keep(ROW)])
    saver.save(now_ms + 1)
    store.failing = False
    cleared = saver.save(now_ms + 1 + STORE_RETRY_MS)
    assert cleared is not None
    assert cleared.cleared


def test_what_lies_unread_on_a_disk_that_comes_and_goes_waits_for_no_calm() -> None:
    store = MemoryStore()
    saver = OutboxSaver(store)
    for turn in range(3):
        store.failing = True
        saver.load(turn * 10_000)
        store.failing = False
        well = saver.save(turn * 10_000 + STORE_RETRY_MS)
        assert well is not None
        assert well.cleared
        assert not saver.loaded
