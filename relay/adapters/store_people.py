"""Accounts in the database: a ``relay.people_store.PeopleStore``. A change and its audit line are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, text, update

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal
from relay.adapters.store_audit import append_line
from relay.people import Account, Grant, Link, LinkPurpose, Role, Session
from relay.people_store import Told

_account, _role, _session, _link = schema.account, schema.account_role, schema.session, schema.link
_journal = schema.journal


class SqlPeople:
    """Accounts of a database. Every failure is a ``StoreError``."""

    def __init__(
        self, engine: Engine, reader: Engine, seal: Seal, errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._engine = engine
        self._seal = seal
        self._reader = reader
        self._errors = errors

    # -----------------------------------------------------------------------------------------------------------------
    # Accounts

    def accounts(self) -> list[Account]:
        """All, by login; erased ones last."""
        with self._errors(), self._reader.begin() as connection:
            found = _accounts(connection, self._seal)
        return sorted(found, key=lambda account: (account.erased, account.login, account.id))

    def account(self, account: str) -> Account | None:
        """By id."""
        with self._errors(), self._reader.begin() as connection:
            return next(iter(_accounts(connection, self._seal, _account.c.id == account)), None)

    def by_login(self, login: str) -> tuple[Account, str | None] | None:
        """With the hash of its password, if it has one."""
        with self._errors(), self._reader.begin() as connection:
            found = next(iter(_accounts(connection, self._seal, _account.c.login == login)), None)
            if found is None:
                return None
            return found, connection.execute(select(_account.c.password).where(_account.c.id == found.id)).scalar()

    def by_subject(self, subject: str) -> Account | None:
        """By who it is at the OpenID provider."""
        with self._errors(), self._reader.begin() as connection:
            return next(iter(_accounts(connection, self._seal, _account.c.subject == subject)), None)

    def add(self, account: Account, password: str | None, told: Told) -> bool:
        """Add an account with its roles; False if the login or the subject is another's."""
        with self._errors(), self._engine.begin() as connection:
            taken = or_(
                _account.c.login == account.login,
                _account.c.subject == account.subject if account.subject is not None else text("1 = 0"),
            )
            if connection.execute(select(_account.c.id).where(taken)).first() is not None:
                return False
            values = {
                "id": account.id,
                "login": account.login,
                "name": self._seal.close_text(f"account.name {account.id}", account.name),
                "subject": account.subject,
                "person": account.person,
                "language": account.language,
                "password": password,
                "locked": account.locked,
                "created_at": account.created_at,
            }
            connection.execute(insert(_account).values(values))
            _write_grants(connection, account.id, account.grants)
            append_line(connection, *told)
            return True

    def set_grants(self, account: str, grants: Sequence[Grant], told: Told) -> None:
        """Its roles, in the place of those before."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(delete(_role).where(_role.c.account == account))
            _write_grants(connection, account, grants)
            append_line(connection, *told)

    def set_locked(self, account: str, locked: bool, told: Told) -> None:
        """Lock (which ends its sessions and its links) or unlock."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(update(_account).where(_account.c.id == account).values(locked=locked))
            if locked:
                _end_all(connection, account)
            append_line(connection, *told)

    def set_password(self, account: str, password: str | None, told: Told | None, keep: str | None = None) -> None:
        """The hash of its password; ends its sessions but ``keep``, and its links; without ``told``, nothing ends."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(update(_account).where(_account.c.id == account).values(password=password))
            if told is not None:
                _end_all(connection, account, keep)
                append_line(connection, *told)

    def set_language(self, account: str, language: str) -> None:
        """Which language it reads."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(update(_account).where(_account.c.id == account).values(language=language))

    def erase(self, account: str, told: Told) -> None:
        """Remove all that is personal, for good; the id and what it did stay in the audit log."""
        nothing = {"login": None, "name": "", "subject": None, "person": None, "password": None, "locked": True}
        with self._errors(), self._engine.begin() as connection:
            connection.execute(update(_account).where(_account.c.id == account).values(nothing))
            connection.execute(delete(_role).where(_role.c.account == account))
            _end_all(connection, account)
            append_line(connection, *told)

    # -----------------------------------------------------------------------------------------------------------------
    # Sessions

    def open_session(self, session: Session, told: Told) -> None:
        """Add a session."""
        with self._errors(), self._engine.begin() as connection:
            values = {
                "id": session.id,
                "account": session.account,
                "created_at": session.created_at,
                "seen_at": session.seen_at,
                "address": session.address,
            }
            connection.execute(insert(_session).values(values))
            append_line(connection, *told)

    def session(self, session: str) -> tuple[Session, Account] | None:
        """A session and whose it is, by its id."""
        with self._errors(), self._reader.begin() as connection:
            row = connection.execute(select(_session).where(_session.c.id == session)).first()
            if row is None:
                return None
            (account,) = _accounts(connection, self._seal, _account.c.id == row.account)
            return _read_session(row), account

    def touch(self, session: str, at: datetime) -> None:
        """The session was used."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(update(_session).where(_session.c.id == session).values(seen_at=at))

    def sessions(self, account: str) -> list[Session]:
        """Of one account, the newest first."""
        query = select(_session).where(_session.c.account == account)
        with self._errors(), self._reader.begin() as connection:
            rows = connection.execute(query.order_by(_session.c.created_at.desc(), _session.c.id)).all()
        return [_read_session(row) for row in rows]

    def end_sessions(self, account: str, told: Told, *, only: str | None = None, keep: str | None = None) -> int:
        """End all of an account's, or only one, or all but one; returns how many."""
        which = delete(_session).where(_session.c.account == account)
        if only is not None:
            which = which.where(_session.c.id == only)
        if keep is not None:
            which = which.where(_session.c.id != keep)
        with self._errors(), self._engine.begin() as connection:
            ended = connection.execute(which).rowcount
            if ended:
                append_line(connection, *told)
            return ended

    def forget_ended(self, created_before: datetime, seen_before: datetime, links_before: datetime) -> int:
        """Remove sessions and links that have ended by themselves."""
        ended = or_(_session.c.created_at < created_before, _session.c.seen_at < seen_before)
        with self._errors(), self._engine.begin() as connection:
            gone = connection.execute(delete(_session).where(ended)).rowcount
            return gone + connection.execute(delete(_link).where(_link.c.until < links_before)).rowcount

    # -----------------------------------------------------------------------------------------------------------------
    # Links

    def add_link(self, link: Link, told: Told) -> None:
        """Note a link that was made."""
        values = {"id": link.id, "account": link.account, "purpose": link.purpose.value, "until": link.until}
        with self._errors(), self._engine.begin() as connection:
            connection.execute(insert(_link).values(values))
            append_line(connection, *told)

    def link(self, link: str) -> Link | None:
        """By its id."""
        with self._errors(), self._reader.begin() as connection:
            row = connection.execute(select(_link).where(_link.c.id == link)).first()
        return None if row is None else Link(row.id, row.account, LinkPurpose(row.purpose), row.until, row.used_at)

    def use_link(self, link: str, at: datetime) -> bool:
        """Use it up; False if it is used, has ended, or is not there. Of any number who try at once one succeeds."""
        free = (_link.c.id == link, _link.c.used_at.is_(None), _link.c.until > at)
        with self._errors(), self._engine.begin() as connection:
            return connection.execute(update(_link).where(*free).values(used_at=at)).rowcount == 1

    # -----------------------------------------------------------------------------------------------------------------
    # What the board shows of devices

    def presence(self) -> Mapping[str, tuple[bool, datetime]]:
        """Of each device whether it was online when the journal last told so, and since when."""
        newest = select(func.max(_journal.c.seq)).where(text(schema.PRESENCE)).group_by(_journal.c.device)
        query = select(_journal.c.device, _journal.c.type, _journal.c.at).where(_journal.c.seq.in_(newest))
        with self._errors(), self._reader.begin() as connection:
            rows = connection.execute(query)
            return {row.device: (row.type == "device_online", row.at) for row in rows if row.device is not None}


def _end_all(connection: Connection, account: str, keep: str | None = None) -> None:
    going = delete(_session).where(_session.c.account == account)
    connection.execute(going if keep is None else going.where(_session.c.id != keep))
    connection.execute(delete(_link).where(_link.c.account == account))


def _write_grants(connection: Connection, account: str, grants: Sequence[Grant]) -> None:
    if rows := [{"account": account, "role": one.role.value, "community": one.community} for one in grants]:
        connection.execute(insert(_role), rows)


def _accounts(connection: Connection, seal: Seal, *which: Any) -> list[Account]:
    rows = connection.execute(select(_account).where(*which)).all()
    grants: dict[str, list[Grant]] = {row.id: [] for row in rows}
    told = select(_role)
    if which:
        told = told.where(_role.c.account.in_(list(grants)))
    for row in connection.execute(told):
        if row.account in grants:
            grants[row.account].append(Grant(Role(row.role), row.community))
    return [
        Account(
            id=row.id,
            login=row.login or "",
            name=seal.open_text_or(row.login or "", f"account.name {row.id}", row.name),
            created_at=row.created_at,
            person=row.person,
            language=row.language,
            subject=row.subject,
            has_password=row.password is not None,
            locked=row.locked,
            grants=tuple(sorted(grants[row.id], key=str)),
        )
        for row in rows
    ]


def _read_session(row: Any) -> Session:
    return Session(row.id, row.account, row.created_at, row.seen_at, row.address)
