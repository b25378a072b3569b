"""A database with 100,000 open alarms, and whether the deadlines among them were kept after a restart."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.core.alarm import Alarm, AlarmStage, Due
from relay.ports import Batch, EventRow, JournalRow

AT_ONCE = 1_000
KEPT_WITHIN_S = 1.0
"""What the relay promises of a deadline."""


def open_alarms(path: Path, households: Sequence[int], deadlines: Sequence[datetime]) -> None:
    """Raise an alarm in each of these households of the register of ``bench.subjects``, as a press would have."""
    store = SqlStore.open(path)
    _, register = store.load_register()
    policy = register.policies["one-step"]
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        for first in range(0, len(households), AT_ONCE):
            batch = Batch()
            some = zip(households[first : first + AT_ONCE], deadlines[first : first + AT_ONCE], strict=True)
            for home, deadline in some:
                event, bell, panel = str(uuid.uuid4()), f"bell-{home}", f"panel-{home}"
                alarm = Alarm(
                    id=event,
                    community="bench",
                    household=f"home-{home}",
                    kind=AlarmKind.HELP,
                    source=panel,
                    raised_at=now,
                    policy=policy,
                    stage=AlarmStage.RINGING,
                    since=now,
                    deadline=deadline,
                    due=Due.STEP,
                    step_ends=deadline,
                    called=(bell,),
                    step_bells=(bell,),
                    recent_presses=(now,),
                    press_seqs=((panel, 1),),
                )
                batch.alarms[event] = alarm
                batch.events.append(EventRow(event, "bench", panel, "help", now, now, event, "applied", b"{}"))
                for kind in ("raised", "step_started"):
                    line = JournalRow(now, "bench", kind, f"home-{home}", event, panel, event, {"step": 1}, alarm)
                    batch.journal.append(line)
            store.commit(batch)
    finally:
        store.close()


def spread(count: int, first: datetime, within: timedelta) -> list[datetime]:
    """So many moments, evenly."""
    return [_whole_ms(first + within * number / count) for number in range(count)]


def lags_s(path: Path, due: dict[str, datetime]) -> list[float]:
    """By how many seconds each deadline was looked at too late, sorted; ``due``: by household."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        lines = connection.execute("SELECT household, min(at) FROM journal WHERE type = 'step_repeated' GROUP BY 1")
        seen = {household: datetime.fromtimestamp(ms / 1000, UTC) for household, ms in lines}
    finally:
        connection.close()
    return sorted((seen[home] - at).total_seconds() for home, at in due.items() if home in seen)


def _whole_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
