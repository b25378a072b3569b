"""A relay's store with some of everything in it, for the tests of its care."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.core.alarm import NoteType, Outcome
from relay.database import Place
from relay.ports import Batch, JournalRow, NoticeRow, RejectedRow
from relay.verdict import Verdict
from tests.relay.rows import T0, a_register, accepted, after_s, an_alarm, changing, closed, event_of, raising, uid


def fill(store: SqlStore) -> None:
    """A register, an open alarm (1), a closed one (2), one that closed without an answer (3), and all around them."""
    store.replace_register(a_register())
    second = an_alarm(2, household="home-chen", at=after_s(60))
    store.commit(raising(an_alarm(1)))
    store.commit(changing(accepted(an_alarm(1)), NoteType.ACCEPTED))
    store.commit(raising(second))
    store.commit(changing(closed(accepted(second)), NoteType.CLOSED))
    checkin = replace(an_alarm(3), kind=AlarmKind.CHECKIN)
    store.commit(raising(checkin))
    store.commit(changing(closed(checkin), NoteType.CLOSED))
    notice = NoticeRow("n/1", "xihu", uid(1), "board", {"text": "柳奶奶"}, T0, next_at=T0)
    store.commit(
        Batch(
            events=[event_of(9, alarm=uid(8), verdict="early"), event_of(10, verdict="no_alarm")],
            journal=[JournalRow(T0, "xihu", "sign_of_life", "home-liu", device="panel-liu", event=uid(10))],
            notices={"n/1": notice, "n/2": replace(notice, id="n/2", alarm=uid(2), state="sent")},
            rejected=[RejectedRow(T0, "x", b"\xff\x00", "not_json", "")],
        )
    )
    store.add_command(uid(1), Outcome.HELPED, "", "office")


def sound(store: SqlStore) -> Verdict:
    verdict = store.verify()
    assert verdict.findings == []
    return verdict


def everything(store: SqlStore) -> dict[str, object]:
    """What can be read out of a store."""
    return {
        "snapshot": replace(store.load(), anchor=None),
        "alarms": store.alarms(open_only=False),
        "journal": list(store.journal()),
        "rebuilt": store.rebuild_alarms(),
        "rejected": store.rejected(),
        "notices": store.notices(),
        "commands": store.poll(),
        "events": store.known_events([uid(n) for n in range(20)]),
    }


def change(store: SqlStore, statement: str, **values: object) -> None:
    """What no program of ours does."""
    with store._engine.begin() as connection:
        connection.execute(text(statement), values)


def expect_sound(verdict: Verdict) -> None:
    assert verdict.findings == []


def place_of(store: SqlStore) -> Place:
    database: Any = store._database
    return getattr(database, "_place", None) or Path(database._file)
