"""Accounts in both databases: what a change does, and that nothing changes without its line."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from relay.adapters.store import SqlStore
from relay.audit import AuditEntry, AuditWord
from relay.database import Place
from relay.people import Grant, Link, LinkPurpose, Role
from relay.ports import Batch, JournalRow, StoreError
from tests.relay.people import OFFICE, a_session, add, an_account, told
from tests.relay.rows import T0, after_s

EVERYWHERE = Grant(Role.AUDITOR, "*")


def test_an_account_comes_back_as_it_was_added(store: SqlStore) -> None:
    people = store.people
    assert (people.accounts(), people.account("x"), people.by_login("x"), people.by_subject("x")) == (
        [],
        None,
        None,
        None,
    )
    first = replace(an_account(1, EVERYWHERE, OFFICE, person="peng"), subject="https://id.example 7", language="en")
    assert people.add(first, "$argon2id$…", told())
    second = add(store, an_account(2))
    wanted = replace(first, has_password=True)
    assert people.accounts() == [wanted, second]
    assert people.by_login("user1") == (wanted, "$argon2id$…")
    assert people.by_login("user2") == (second, None)
    assert (people.by_subject("https://id.example 7"), people.account(second.id)) == (wanted, second)
    assert [line.what for line in store.audit.lines()] == ["account_changed"] * 2


@pytest.mark.parametrize("same", [{"login": "user1"}, {"subject": "https://id.example 7"}])
def test_nobody_gets_the_login_or_the_subject_of_another(store: SqlStore, same: dict[str, str]) -> None:
    assert store.people.add(replace(an_account(1), subject="https://id.example 7"), None, told())
    assert not store.people.add(replace(an_account(2), **same), None, told())  # type: ignore[arg-type]
    assert len(store.people.accounts()) == 1
    assert store.audit.head().seq == 1


def test_roles_are_replaced(store: SqlStore) -> None:
    account = add(store, an_account(1, OFFICE))
    other = add(store, an_account(2, OFFICE))
    store.people.set_grants(account.id, [EVERYWHERE], told())
    store.people.set_grants(other.id, [], told())
    assert [one.grants for one in store.people.accounts()] == [(EVERYWHERE,), ()]


def test_whoever_is_locked_is_signed_out_and_their_links_are_void(store: SqlStore) -> None:
    account, other = add(store, an_account(1)), add(store, an_account(2))
    for number, one in enumerate((account, other), start=1):
        store.people.open_session(a_session(number, one), told())
        store.people.add_link(Link(f"link{number}", one.id, LinkPurpose.SIGN_IN, after_s(60)), told())
    store.people.set_locked(account.id, True, told())
    found = store.people.account(account.id)
    assert found is not None
    assert found.locked
    assert (store.people.sessions(account.id), store.people.link("link1")) == ([], None)
    assert (len(store.people.sessions(other.id)), store.people.link("link2") is not None) == (1, True)
    store.people.set_locked(account.id, False, told())
    assert store.people.account(account.id) == account


def test_a_new_password_ends_all_other_sessions(store: SqlStore) -> None:
    account = add(store, an_account(1))
    sessions = [a_session(number, account, age_s=number) for number in (1, 2)]
    for one in sessions:
        store.people.open_session(one, told())
    lines = store.audit.head().seq
    store.people.set_password(account.id, "first", None)
    assert (store.people.sessions(account.id), store.audit.head().seq) == (sessions, lines)
    store.people.set_password(account.id, "second", told(), keep=sessions[1].id)
    assert store.people.sessions(account.id) == sessions[1:]
    store.people.set_password(account.id, None, told())
    assert store.people.sessions(account.id) == []
    assert store.people.by_login("user1") == (account, None)


def test_an_erased_account_has_nothing_left_but_its_id(store: SqlStore, place: Place) -> None:
    account = replace(an_account(1, OFFICE, person="peng"), subject="https://id.example 7")
    assert store.people.add(account, "hash", told())
    store.people.open_session(a_session(1, account), told())
    store.people.add_link(Link("link1", account.id, LinkPurpose.SIGN_IN, after_s(60)), told())
    store.people.erase(account.id, told(AuditWord.ACCOUNT_ERASED))
    found = store.people.account(account.id)
    assert found is not None
    assert (found.erased, found.locked, found.has_password) == (True, True, False)
    assert (found.login, found.name, found.subject, found.person, found.grants) == ("", "", None, None, ())
    assert (store.people.sessions(account.id), store.people.link("link1")) == ([], None)
    add(store, replace(an_account(2), login="user1"))
    add(store, an_account(3))
    assert [one.erased for one in store.people.accounts()] == [False, False, True]
    store.people.erase(an_account(2).id, told())  # two of them are without a login


def test_sessions_end_one_by_one_or_all(store: SqlStore) -> None:
    account, other = add(store, an_account(1)), add(store, an_account(2))
    sessions = [a_session(number, account, age_s=number) for number in (1, 2, 3)]
    for one in (*sessions, a_session(9, other)):
        store.people.open_session(one, told())
    assert store.people.session(sessions[0].id) == (sessions[0], account)
    assert store.people.session("none") is None
    store.people.touch(sessions[2].id, after_s(5))
    assert store.people.sessions(account.id)[2].seen_at == after_s(5)
    lines = store.audit.head().seq
    assert store.people.end_sessions(account.id, told(), only=a_session(9, other).id) == 0, "another's"
    assert store.audit.head().seq == lines
    assert store.people.end_sessions(account.id, told(), only=sessions[0].id) == 1
    assert store.people.end_sessions(account.id, told(), keep=sessions[1].id) == 1
    assert store.people.end_sessions(account.id, told()) == 1
    assert len(store.people.sessions(other.id)) == 1


def test_what_has_ended_by_itself_is_forgotten(store: SqlStore) -> None:
    account = add(store, an_account(1))
    for number, age_s in enumerate((10, 100, 1000), start=1):
        store.people.open_session(a_session(number, account, age_s=age_s), told())
        store.people.add_link(
            Link(f"link{number}", account.id, LinkPurpose.SIGN_IN, T0 - timedelta(seconds=age_s)), told()
        )
    store.people.touch(a_session(3, account).id, T0)
    before = T0 - timedelta(seconds=500), T0 - timedelta(seconds=50), T0 - timedelta(seconds=500)
    assert store.people.forget_ended(*before) == 3
    assert [one.id for one in store.people.sessions(account.id)] == [a_session(1, account).id]
    assert [store.people.link(f"link{n}") is None for n in (1, 2, 3)] == [False, False, True]


def test_a_link_is_used_once_whoever_tries_at_once(store: SqlStore, place: Place) -> None:
    account = add(store, an_account(1))
    store.people.add_link(Link("link1", account.id, LinkPurpose.SET_PASSWORD, after_s(60)), told())
    store.people.add_link(Link("link2", account.id, LinkPurpose.SIGN_IN, after_s(60)), told())
    assert not store.people.use_link("link2", after_s(60))
    assert not store.people.use_link("none", T0)
    won: list[bool] = []

    def work() -> None:
        with closing(SqlStore.open(place, busy_s=30)) as one:
            won.append(one.people.use_link("link1", T0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(won) == [False, False, False, True]
    found = store.people.link("link1")
    assert (found is not None and found.used_at) == T0


def test_no_change_is_written_without_its_line(store: SqlStore) -> None:
    account = add(store, an_account(1, OFFICE))
    store.people.open_session(a_session(1, account), told())
    bad = (AuditEntry("os:root", AuditWord.ROLE_TAKEN), T0.replace(tzinfo=None))
    people = store.people
    for change in (
        lambda: people.add(an_account(2), None, bad),
        lambda: people.set_grants(account.id, [], bad),
        lambda: people.set_locked(account.id, True, bad),
        lambda: people.set_password(account.id, "x", bad),
        lambda: people.erase(account.id, bad),
        lambda: people.open_session(a_session(2, account), bad),
        lambda: people.end_sessions(account.id, bad),
        lambda: people.add_link(Link("link1", account.id, LinkPurpose.SIGN_IN, after_s(1)), bad),
    ):
        with pytest.raises(ValueError, match="naive"):
            change()
    assert people.accounts() == [account]
    assert people.sessions(account.id) == [a_session(1, account)]
    assert people.link("link1") is None


def test_a_session_of_nobody_is_refused(store: SqlStore) -> None:
    with pytest.raises(StoreError):
        store.people.open_session(a_session(1, an_account(1)), told())


def test_the_journal_tells_which_devices_are_online(store: SqlStore) -> None:
    def row(at: float, kind: str, device: str | None) -> JournalRow:
        return JournalRow(after_s(at), "xihu", kind, device=device)

    store.commit(Batch(journal=[row(1, "device_online", "a"), row(2, "device_offline", "b"), row(3, "test", "b")]))
    store.commit(Batch(journal=[row(4, "device_offline", "a"), row(5, "device_online", "b"), row(6, "fault", "c")]))
    assert store.people.presence() == {"a": (False, after_s(4)), "b": (True, after_s(5))}
