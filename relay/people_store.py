"""Accounts as commands and pages need them of the database, as Protocols. Every failure is a ``StoreError``.

Whatever changes an account takes the audit log's line with it (``told``): both are written, or neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from relay.audit import AuditEntry, AuditHead, AuditLine, AuditSearch
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.installation import Journal
from relay.people import Account, Grant, Link, Session
from relay.ports import Command

Told = tuple[AuditEntry, datetime]
"""The audit log's line about a change, and when it happens."""


class PeopleStore(Protocol):
    """Accounts, their roles, sessions and links."""

    def accounts(self) -> list[Account]:
        """All, by login; erased ones last."""
        ...

    def account(self, account: str) -> Account | None:
        """By id."""
        ...

    def by_login(self, login: str) -> tuple[Account, str | None] | None:
        """With the hash of its password, if it has one."""
        ...

    def by_subject(self, subject: str) -> Account | None:
        """By who it is at the OpenID provider."""
        ...

    def add(self, account: Account, password: str | None, told: Told) -> bool:
        """Add an account with its roles; False if the login or the subject is another's."""
        ...

    def set_grants(self, account: str, grants: Sequence[Grant], told: Told) -> None:
        """Its roles, in the place of those before."""
        ...

    def set_locked(self, account: str, locked: bool, told: Told) -> None:
        """Lock (which ends its sessions and its links) or unlock."""
        ...

    def set_password(self, account: str, password: str | None, told: Told | None, keep: str | None = None) -> None:
        """The hash of its password; ends its sessions but ``keep``, and its links. Without ``told``: the same password
        with other parameters, which ends nothing."""
        ...

    def set_language(self, account: str, language: str) -> None:
        """Which language it reads."""
        ...

    def erase(self, account: str, told: Told) -> None:
        """Remove all that is personal, for good; the id and what it did stay in the audit log."""
        ...

    def open_session(self, session: Session, told: Told) -> None:
        """Add a session."""
        ...

    def session(self, session: str) -> tuple[Session, Account] | None:
        """A session and whose it is, by its id."""
        ...

    def touch(self, session: str, at: datetime) -> None:
        """The session was used."""
        ...

    def sessions(self, account: str) -> list[Session]:
        """Of one account, the newest first."""
        ...

    def end_sessions(self, account: str, told: Told, *, only: str | None = None, keep: str | None = None) -> int:
        """End all of an account's, or only one, or all but one; returns how many."""
        ...

    def presence(self) -> Mapping[str, tuple[bool, datetime]]:
        """Of each device whether it was online when the journal last told so, and since when."""
        ...

    def forget_ended(self, created_before: datetime, seen_before: datetime, links_before: datetime) -> int:
        """Remove sessions and links that have ended by themselves."""
        ...

    def add_link(self, link: Link, told: Told) -> None:
        """Note a link that was made."""
        ...

    def link(self, link: str) -> Link | None:
        """By its id."""
        ...

    def use_link(self, link: str, at: datetime) -> bool:
        """Use it up; False if it is used, has ended, or is not there. Of any number who try at once one succeeds."""
        ...


class AuditLog(Protocol):
    """The audit log, to write to and to read."""

    def append(self, entry: AuditEntry, at: datetime) -> AuditLine:
        """Add a line, durably."""
        ...

    def head(self) -> AuditHead:
        """The newest line."""
        ...

    def newest(self, search: AuditSearch = ..., limit: int = 100) -> list[AuditLine]:
        """The newest lines, newest first."""
        ...

    def lines(self, search: AuditSearch = ...) -> Iterator[AuditLine]:
        """All lines, oldest first."""
        ...


class PagesStore(Journal, Protocol):
    """What the pages read of the relay, and nothing else."""

    @property
    def people(self) -> PeopleStore: ...

    @property
    def audit(self) -> AuditLog: ...

    def poll(self) -> tuple[int, Sequence[Command]]: ...

    def load_register(self) -> tuple[int, Register]: ...

    def alarms(self, open_only: bool = True, limit: int = 100) -> list[Alarm]: ...
