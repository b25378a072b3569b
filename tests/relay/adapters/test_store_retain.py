"""Forgetting what is old: the same on both databases, and nothing that anybody needs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from relay.adapters.store import SqlStore
from relay.core.alarm import Outcome
from relay.ports import Batch, NoticeRow, RejectedRow, StoreError
from relay.retention import Kept
from relay.verdict import Fault
from tests.relay.care import change, everything, sound
from tests.relay.rows import T0, after_s, uid

LATER = after_s(100_000)


def of_all(at: datetime) -> dict[Kept, datetime]:
    return dict.fromkeys(Kept, at)


def test_what_is_old_goes_and_what_is_needed_stays(store: SqlStore) -> None:
    found = store.count_old(of_all(LATER))
    assert {kind: (one.going, one.staying) for kind, one in found.items()} == {
        Kept.ALARMS: (2, 1),
        Kept.LINES: (1, 0),
        Kept.EVENTS: (3, 2),
        Kept.REJECTED: (1, 0),
    }
    before = everything(store)
    assert store.count_old(of_all(LATER)) == found
    assert everything(store) == before, "counting changes nothing"

    gone = store.forget_old(of_all(LATER))
    assert gone == {kind: one.going for kind, one in found.items()}
    sound(store)
    assert [alarm.id for alarm in store.alarms(open_only=False)] == [uid(1)]
    assert {line.alarm for line in store.journal()} == {uid(1)}
    assert store.known_events([uid(n) for n in range(20)]) == {uid(1), uid(9)}, "of the open alarm, and the early one"
    assert [notice.id for notice in store.notices()] == ["n/1"]
    assert store.load() == before["snapshot"]
    assert store.poll() == before["commands"]
    assert store.forget_old(of_all(LATER)) == dict.fromkeys(Kept, 0)


def test_nothing_goes_before_its_time(store: SqlStore) -> None:
    before = everything(store)
    assert store.forget_old(of_all(T0)) == dict.fromkeys(Kept, 0)
    # The second alarm was raised at 60 s, and its last line is of 30 s: an alarm is as old as its youngest part.
    assert store.forget_old({Kept.ALARMS: after_s(30)}) == {Kept.ALARMS: 0}
    assert everything(store) == before
    assert store.forget_old({Kept.ALARMS: after_s(30.001)}) == {Kept.ALARMS: 1}
    assert store.forget_old({Kept.ALARMS: after_s(60.001)}) == {Kept.ALARMS: 1}


def test_an_alarm_whose_hook_is_not_told_stays(store: SqlStore) -> None:
    pending = NoticeRow("n/3", "xihu", uid(2), "board", {}, T0, next_at=T0)
    store.commit(Batch(notices={"n/3": pending}))
    assert store.forget_old({Kept.ALARMS: LATER}) == {Kept.ALARMS: 1}
    assert store.find_alarm(uid(2)) is not None


def test_a_command_that_is_done_goes_with_its_alarm(store: SqlStore) -> None:
    done = store.add_command(uid(2), Outcome.HELPED, "", "office")
    store.commit(Batch(commands_done={done: "not_open"}))
    store.forget_old({Kept.ALARMS: LATER})
    assert store.command_result(done) is None
    assert [command.alarm for command in store.poll()[1]] == [uid(1)]


def test_the_lines_of_an_alarm_that_somebody_removed_are_kept_as_evidence(store: SqlStore) -> None:
    change(store, "DELETE FROM alarm WHERE id = :id", id=uid(2))
    assert store.forget_old({Kept.LINES: LATER}) == {Kept.LINES: 1}
    assert [(finding.fault, finding.subject) for finding in store.verify().findings] == [(Fault.NO_ALARM, uid(2))]


def test_the_journal_is_append_only_again_afterwards(store: SqlStore) -> None:
    store.forget_old(of_all(LATER))
    before = list(store.journal())
    with pytest.raises(StoreError, match="append-only"), store._errors():
        change(store, "DELETE FROM journal")
    assert list(store.journal()) == before != []


def test_forgetting_can_be_stopped_at_any_moment(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_retain.ROWS_AT_ONCE", 1)
    monkeypatch.setattr("relay.adapters.store_retain.FOUND_AT_ONCE", 2)

    class StoppedError(Exception):
        pass

    def stop(_gone: int) -> None:
        raise StoppedError

    for _ in range(7):
        with pytest.raises(StoppedError):
            store.forget_old(of_all(LATER), stop)
        sound(store)
    assert store.forget_old(of_all(LATER), stop) == dict.fromkeys(Kept, 0)


def test_much_is_forgotten_in_small_steps(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_retain.ROWS_AT_ONCE", 10)
    monkeypatch.setattr("relay.adapters.store_retain.FOUND_AT_ONCE", 25)
    rows = [RejectedRow(T0 + timedelta(seconds=n), "t", b"", "not_json", "") for n in range(100)]
    store.commit(Batch(rejected=rows))
    heard: list[int] = []
    assert store.forget_old({Kept.REJECTED: after_s(90)}, heard.append) == {Kept.REJECTED: 91}
    assert heard[:3] == [10, 20, 25]
    assert len(store.rejected()) == 10
