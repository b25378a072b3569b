"""How many presses a second the relay's store takes, beside a floor: plain ``sqlite3`` writing the same rows.

    python -m bench.store [--seconds 2] [--dir .]

One press is what the relay commits for it: an event, two journal lines, the alarm, two twins with 32 receipts each.
The floor gets the finished tuples; the store makes them from the relay's own values (JSON of the alarm and all).
Both write a file with the same schema, WAL and ``synchronous=FULL``, one transaction for each batch.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from doorbell.wire import AlarmKind
from relay.adapters.sealing import Seal
from relay.adapters.store import SqlStore
from relay.adapters.store_rows import AlarmTexts, alarm_values, event_values, journal_values, twin_values
from relay.core.alarm import Alarm, AlarmStage, Due
from relay.core.policy import DEFAULT_POLICIES
from relay.ports import Batch, EventRow, JournalRow, TwinRow

SIZES = (1, 10, 100, 1000)
HOUSEHOLDS = 10_000
_BODY = b'{"id":"01938f3c-0000-4000-8000-000000000000","type":"help","at":"2026-11-23T06:43:00.120Z","age_ms":35}'
_CONTENT = b"{" + b'"rings":[],"peers":["bell-peng"],"settings":{},' + b" " * 250 + b"}"
_START = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)


def presses(size: int) -> Iterator[Batch]:
    """Batches of so many presses, each of another household: half of them new alarms, half presses again."""
    stored = tuple(str(uuid.uuid4()) for _ in range(32))
    alarms: dict[int, Alarm] = {}
    numbers = count()
    while True:
        batch = Batch()
        for number in (next(numbers) for _ in range(size)):
            home = number % HOUSEHOLDS
            at = _START + timedelta(milliseconds=number)
            event = str(uuid.uuid4())
            known = alarms.get(home)
            alarm = new_alarm(event, home, at) if known is None else replace(known, presses=known.presses + 1)
            alarms[home] = alarm
            bell, panel = f"bell-{home}", f"panel-{home}"
            kinds = ("raised", "step_started") if known is None else ("pressed_again", "sounding")
            data = {"step": 1, "bells": [bell], "hooks": [], "wait_s": 45}
            batch.events.append(EventRow(event, "xihu", panel, "help", at, at, alarm.id, "applied", _BODY))
            for kind, after in zip(kinds, (alarm if known is None else None, alarm), strict=True):
                batch.journal.append(JournalRow(at, "xihu", kind, f"home-{home}", alarm.id, panel, event, data, after))
            batch.alarms[alarm.id] = alarm
            for device in (bell, panel):
                batch.twins[device] = TwinRow(device, number, stored, _CONTENT)
        yield batch


def new_alarm(event: str, home: int, at: datetime) -> Alarm:
    """A ringing alarm with what a ringing alarm has."""
    bell = f"bell-{home}"
    return Alarm(
        id=event,
        community="xihu",
        household=f"home-{home}",
        kind=AlarmKind.HELP,
        source=f"panel-{home}",
        raised_at=at,
        policy=DEFAULT_POLICIES[AlarmKind.HELP],
        stage=AlarmStage.RINGING,
        since=at,
        deadline=at + timedelta(seconds=5),
        due=Due.DEAF,
        step_ends=at + timedelta(seconds=45),
        called=(bell,),
        step_bells=(bell,),
        recent_presses=(at,),
    )


class Floor:
    """The least that could write these rows durably."""

    def __init__(self, path: Path) -> None:
        SqlStore.open(path).close()  # the same schema
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA cache_size=-65536")
        self._connection.execute("PRAGMA wal_autocheckpoint=4000")

    def commit(self, tables: list[tuple[str, list[tuple[object, ...]]]]) -> None:
        """Write finished tuples in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        for sql, rows in tables:
            self._connection.executemany(sql, rows)
        self._connection.execute("COMMIT")


def floor_rows(batch: Batch, seal: Seal) -> list[tuple[str, list[tuple[object, ...]]]]:
    """The statements of a batch with their tuples."""
    texts = AlarmTexts()
    return [
        (f"INSERT INTO event VALUES ({marks(9)})", [event_values(row) for row in batch.events]),
        (
            (
                "INSERT INTO journal (at, community, type, household, alarm, device, event, data, after, policy) "
                f"VALUES ({marks(10)})"
            ),
            [journal_values(row, texts) for row in batch.journal],
        ),
        (
            (
                f"INSERT INTO alarm VALUES ({marks(9)}) ON CONFLICT (id) DO UPDATE SET "
                "stage = excluded.stage, deadline = excluded.deadline, state = excluded.state"
            ),
            [alarm_values(alarm, texts) for alarm in batch.alarms.values()],
        ),
        (
            (
                f"INSERT INTO twin VALUES ({marks(4)}) ON CONFLICT (device) DO UPDATE SET "
                "rev = excluded.rev, stored = excluded.stored, content = excluded.content"
            ),
            [twin_values(row, seal) for row in batch.twins.values()],
        ),
    ]


def marks(number: int) -> str:
    """So many parameters."""
    return ", ".join("?" * number)


def compare(folder: Path, size: int, seconds: float) -> tuple[float, float]:
    """Presses a second of floor and store, batch by batch in turn, so that a noisy machine is noisy for both."""
    floor = Floor(folder / "floor.sqlite3")
    store = SqlStore.open(folder / "store.sqlite3")
    floor_batches, store_batches = presses(size), presses(size)
    floor_s = store_s = 0.0
    rounds = 0
    while floor_s + store_s < 2 * seconds:
        rows, batch = floor_rows(next(floor_batches), store.seal), next(store_batches)
        begun = time.perf_counter()
        floor.commit(rows)
        between = time.perf_counter()
        store.commit(batch)
        store_s += time.perf_counter() - between
        floor_s += between - begun
        rounds += 1
    store.close()
    return rounds * size / floor_s, rounds * size / store_s


def main() -> None:
    """Measure every size, floor and store by turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="on the disk to measure")
    options = parser.parse_args()
    seconds, where = options.seconds, options.dir
    print(f"{'batch':>6} {'floor/s':>10} {'store/s':>10} {'store:floor':>12} {'store ms/batch':>15}")
    for size in SIZES:
        with tempfile.TemporaryDirectory(dir=where) as folder:
            floor_rate, store_rate = compare(Path(folder), size, seconds)
        ratio = store_rate / floor_rate
        print(f"{size:>6} {floor_rate:>10.0f} {store_rate:>10.0f} {ratio:>12.2f} {1000 * size / store_rate:>15.2f}")


if __name__ == "__main__":
    main()
