"""What a device says of its outbox: that an event is kept is said once, and not before it lies on the disk."""

from __future__ import annotations

from datetime import UTC, datetime

from structlog.testing import capture_logs

from device.core.effects import Keep, OutboxRow
from device.saving import OutboxSaver
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
