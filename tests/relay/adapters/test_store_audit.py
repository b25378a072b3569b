"""The audit log in both databases: append-only, one chain for all writers, cut by retention alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from relay.adapters.store import SqlStore
from relay.adapters.store_copies import back_up, restore
from relay.audit import AuditEntry, AuditFault, AuditSearch, AuditWord
from relay.core.alarm import Outcome
from relay.core.register import Register
from relay.database import Place
from relay.ports import StoreError
from tests.relay.care import change, expect_sound, place_of
from tests.relay.rows import T0, a_register, after_s, uid

WHO = "os:root"
SEEN = AuditWord.HOUSEHOLD_SEEN


def seen(household: str, **more: str) -> AuditEntry:
    return AuditEntry(WHO, SEEN, household=household, **more)  # type: ignore[arg-type]


def write(store: SqlStore, count: int, begin: int = 1) -> None:
    for number in range(begin, begin + count):
        store.audit.append(seen(f"home-{number}"), after_s(number))


def faults(store: SqlStore) -> list[AuditFault]:
    return [finding.fault for finding in store.audit.verify().findings]


def test_lines_are_there_in_their_order_and_are_found(store: SqlStore) -> None:
    audit = store.audit
    assert (audit.head().seq, audit.newest(), list(audit.lines())) == (0, [], [])
    first = audit.append(seen("liu", community="xihu"), T0)
    second = audit.append(
        AuditEntry("account:a1", AuditWord.PASSWORD_SET, account="a2", person="peng", device="bell-peng"), after_s(1)
    )
    third = audit.append(
        AuditEntry(WHO, AuditWord.ALARMS_LISTED, community="aixi", detail={"households": {"ids": ["liu", "chen"]}}),
        after_s(2),
    )
    lines = [first, second, third]
    assert [line.seq for line in lines] == [1, 2, 3]
    assert (list(audit.lines()), audit.newest(), audit.head()) == (lines, lines[::-1], third.head)
    for search, wanted in (
        (AuditSearch(household="liu"), [first, third]),
        (AuditSearch(household="li"), []),
        (AuditSearch(household="%"), []),
        (AuditSearch(person="peng"), [second]),
        (AuditSearch(device="bell-peng"), [second]),
        (AuditSearch(account="a1"), [second]),
        (AuditSearch(account="a2"), [second]),
        (AuditSearch(who=WHO), [first, third]),
        (AuditSearch(what=SEEN), [first]),
        (AuditSearch(communities=("xihu", "none")), [first]),
        (AuditSearch(since=after_s(1)), [second, third]),
        (AuditSearch(until=after_s(1)), [first]),
        (AuditSearch(before_seq=3), [first, second]),
        (AuditSearch(after_seq=1, before_seq=3), [second]),
    ):
        assert list(audit.lines(search)) == wanted, search
    assert audit.newest(limit=1) == [third]
    assert faults(store) == []


def test_a_long_log_is_read_whole(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_audit.LINES_AT_ONCE", 3)
    write(store, 7)
    assert [line.seq for line in store.audit.lines()] == list(range(1, 8))
    assert store.audit.verify().lines == 7


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'os:peng' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT * FROM audit WHERE seq = 2",
    ],
)
def test_the_database_itself_refuses_to_change_a_line(store: SqlStore, statement: str) -> None:
    write(store, 3)
    with pytest.raises(StoreError), store._errors():
        change(store, statement)
    assert faults(store) == []


def test_nor_can_a_line_be_replaced_or_all_be_emptied(store: SqlStore, kind: str) -> None:
    write(store, 3)
    statement = "INSERT OR REPLACE INTO audit SELECT * FROM audit" if kind == "sqlite" else "TRUNCATE audit"
    with pytest.raises(StoreError, match="append-only"), store._errors():
        change(store, statement)
    assert store.audit.verify().lines == 3


UNLOCK = {
    "sqlite": ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", "DROP TRIGGER audit_no_replace"),
    "postgresql": ("DROP TRIGGER audit_no_change ON audit",),
}


def test_whoever_takes_the_triggers_away_shows(store: SqlStore, kind: str) -> None:
    write(store, 5)
    head = store.audit.head()
    for statement in UNLOCK[kind]:
        change(store, statement)
    assert set(faults(store)) == {AuditFault.UNPROTECTED}
    assert {finding.subject for finding in store.verify().findings} == {words.split()[2] for words in UNLOCK[kind]}
    change(store, "UPDATE audit SET who = 'os:peng' WHERE seq = 2")
    change(store, "DELETE FROM audit WHERE seq = 4")
    change(store, "DELETE FROM audit WHERE seq = 5")
    found = store.audit.verify([head]).findings
    assert [(one.fault, one.seq) for one in found][:2] == [(AuditFault.ALTERED, 2), (AuditFault.TRUNCATED, 5)]


def test_many_writers_make_one_chain(store: SqlStore, place: Place) -> None:
    """Each with connections of its own, as the relay, the pages and the commands have."""
    writers, each = 4, 15
    stores = [SqlStore.open(place, busy_s=60) for _ in range(writers)]
    failures: list[StoreError] = []

    def work(number: int) -> None:
        try:
            for turn in range(each):
                stores[number].audit.append(seen(f"home-{number}-{turn}"), T0)
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for one in stores:
        one.close()
    assert failures == []
    verdict = store.audit.verify()
    assert (verdict.findings, verdict.lines, verdict.head.seq) == ([], writers * each, writers * each)
    assert len({line.household for line in store.audit.lines()}) == writers * each


def test_a_change_and_its_line_are_written_together_or_not_at_all(store: SqlStore) -> None:
    version, before = store.load_register()
    heard: list[tuple[int, Register]] = []

    def told(number: int, register: Register) -> tuple[AuditEntry, object]:
        heard.append((number, register))
        return AuditEntry(WHO, AuditWord.REGISTER_IMPORTED), T0

    assert store.replace_register(Register(), None, told) == version + 1  # type: ignore[arg-type]
    assert heard == [(version + 1, before)]
    store.add_command(uid(1), Outcome.HELPED, "", "office", (AuditEntry(WHO, AuditWord.ALARM_CLOSE_ASKED), T0))
    assert [line.what for line in store.audit.lines()] == ["register_imported", "alarm_close_asked"]

    def fails(_number: int, _register: Register) -> tuple[AuditEntry, object]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.replace_register(a_register(), None, fails)  # type: ignore[arg-type]
    assert store.load_register() == (version + 1, Register())
    waiting = len(store.poll()[1])
    naive = T0.replace(tzinfo=None)
    with pytest.raises(ValueError, match="naive"):
        store.add_command(uid(1), Outcome.HELPED, "", "office", (AuditEntry(WHO, AuditWord.ALARM_CLOSE_ASKED), naive))
    assert len(store.poll()[1]) == waiting


def test_a_cut_takes_the_old_lines_and_the_chain_verifies(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.adapters.store_audit.CUT_AT_ONCE", 4)
    write(store, 10)
    heads = [line.head for line in store.audit.lines()]
    assert (store.audit.count_old(after_s(8)).going, store.audit.count_old(after_s(8)).staying) == (7, 3)
    heard: list[int] = []
    assert store.audit.cut(after_s(8), WHO, after_s(100), heard.append) == 7
    assert heard == [4, 7]
    assert [(line.seq, line.what) for line in store.audit.lines()] == [
        (8, SEEN), (9, SEEN), (10, SEEN), (11, "audit_cut"), (12, "audit_cut"),
    ]  # fmt: skip
    assert store.audit.verify(heads).findings == []
    assert store.audit.cut(after_s(8), WHO, after_s(100)) == 0
    assert store.audit.head().seq == 12
    write(store, 1, begin=200)
    assert store.audit.cut(after_s(150), WHO, after_s(300)) == 5
    assert store.audit.verify(heads).findings == []
    with pytest.raises(StoreError, match="append-only"), store._errors():
        change(store, "DELETE FROM audit")


def test_a_cut_ends_at_a_line_that_is_not_old_and_never_takes_the_last(store: SqlStore) -> None:
    """A line that a clock gone wrong has dated later keeps those after it: the chain has no holes."""
    for number, at in enumerate((1, 2, 500, 3, 4)):
        store.audit.append(seen(f"home-{number}"), after_s(at))
    assert store.audit.cut(after_s(100), WHO, after_s(101)) == 2
    assert store.audit.verify().first == 3
    everything = after_s(10_000)
    assert store.audit.cut(everything, WHO, after_s(102)) == 3
    assert (store.audit.verify().findings, store.audit.verify().lines) == ([], 2)
    assert store.audit.cut(T0 - timedelta(days=1), WHO, after_s(103)) == 0


def test_a_backup_has_the_log_and_a_restored_one_goes_on(
    store: SqlStore, make: Callable[[str], Place], kind: str, tmp_path: Path
) -> None:
    write(store, 4)
    store.audit.cut(after_s(3), WHO, after_s(9))
    lines = list(store.audit.lines())
    back_up(store, tmp_path / "copy.sqlite3")
    target = make(kind)
    restore(target, tmp_path / "copy.sqlite3", tmp_path / "kept.sqlite3", refuse=expect_sound)
    with closing(SqlStore.open(target)) as again:
        assert list(again.audit.lines()) == lines
        write(again, 1)
        assert again.audit.verify().findings == []
    write(store, 1)
    store.close()
    restore(place_of(store), tmp_path / "copy.sqlite3", tmp_path / "kept2.sqlite3", refuse=expect_sound)
    with closing(SqlStore.open(place_of(store))) as again:
        assert list(again.audit.lines()) == lines
        assert again.audit.verify().findings == []


def test_the_log_holds_what_no_text_column_likes(store: SqlStore) -> None:
    store.audit.append(AuditEntry(WHO, AuditWord.STORE_BACKED_UP, detail={"file": "备份\udcff\x00'\"%"}), T0)
    assert faults(store) == []
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit")).scalar() == 1
