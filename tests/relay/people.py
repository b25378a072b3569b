"""Accounts for tests."""

from __future__ import annotations

from datetime import timedelta

from relay.adapters.store import SqlStore
from relay.audit import AuditEntry, AuditWord
from relay.passwords import Passwords
from relay.people import Account, Grant, Role, Session
from relay.people_store import Told
from tests.relay.rows import T0

CHEAP = Passwords(memory_kib=8, passes=1)
"""What a test can afford."""
GOOD = "four unrelated words of mine"


def told(what: AuditWord = AuditWord.ACCOUNT_CHANGED) -> Told:
    return AuditEntry("os:root", what), T0


def an_account(number: int = 1, *grants: Grant, person: str | None = None) -> Account:
    return Account(f"{number:016x}", f"user{number}", f"用户{number}", T0, person=person, grants=tuple(grants))


def a_session(number: int, account: Account, age_s: float = 0) -> Session:
    at = T0 - timedelta(seconds=age_s)
    return Session(f"{number:064x}", account.id, at, at, "127.0.0.1")


def add(store: SqlStore, account: Account, password: str | None = None) -> Account:
    assert store.people.add(account, None if password is None else CHEAP.hash(password), told())
    found = store.people.account(account.id)
    assert found is not None
    return found


OFFICE = Grant(Role.OFFICE, "xihushan")
