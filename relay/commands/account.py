"""``doorbell-relay account``: who may sign in to the pages."""

from __future__ import annotations

import getpass
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from doorbell.wire import format_time
from relay.adapters.store import SqlStore
from relay.audit import AuditWord
from relay.commands.auditing import note, tell
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, Setting, enter
from relay.commands.showing import local_time
from relay.people import (
    EVERYWHERE,
    NEEDS_PERSON,
    Account,
    Grant,
    LinkPurpose,
    Right,
    Role,
    Viewer,
    change_roles,
    name_is_usable,
    tidy_login,
)
from relay.texts import Language, parse_language
from relay.texts import commands as say_commands
from relay.texts import people as say

ID_BYTES = 8

app = typer.Typer(help=say.ACCOUNT.en, no_args_is_help=True)
WhichArgument = Annotated[str, typer.Argument(help=say.WHICH.en, metavar="LOGIN")]
RolesOption = Annotated[list[str] | None, typer.Option("--role", help=say.ROLES.en, metavar="ROLE:COMMUNITY")]


@app.command(help=say.ADD.en, epilog="doorbell-relay account add wang --name 王芳 --role office:xihushan")
def add(
    context: typer.Context,
    login: Annotated[str, typer.Argument(help=say.LOGIN.en, metavar="LOGIN")],
    name: Annotated[str, typer.Option("--name", help=say.NAME.en)],
    config: ConfigOption = DEFAULT_CONFIG,
    role: RolesOption = None,
    person: Annotated[str | None, typer.Option("--person", help=say.PERSON.en)] = None,
    subject: Annotated[str | None, typer.Option("--subject", help=say.SUBJECT.en)] = None,
    reads: Annotated[str, typer.Option("--reads", help=say.READS.en, metavar="zh-CN|en")] = "",
) -> None:
    setting = enter(context, config)
    tidied = tidy_login(login)
    if tidied is None:
        raise setting.refuse(say.BAD_LOGIN, login=repr(login))
    if not name_is_usable(name):
        raise setting.refuse(say.BAD_NAME)
    with setting.store() as store:
        grants = _grants(setting, store, role or (), person)
        account = Account(
            id=secrets.token_hex(ID_BYTES),
            login=tidied,
            name=name,
            created_at=_now(),
            person=person,
            language=(parse_language(reads) or setting.language).value,
            subject=subject,
            grants=grants,
        )
        told = tell(AuditWord.ACCOUNT_ADDED, {"roles": [str(one) for one in grants]}, account=account.id, person=person)
        if not store.people.add(account, None, told):
            raise setting.refuse(say.LOGIN_TAKEN, login=tidied)
        note(setting, store)
    setting.out.print(setting.say(say.ADDED, login=tidied, id=account.id))
    setting.out.print(setting.say(say.NEXT_STEP, login=tidied), soft_wrap=True)


@app.command("list", help=say.LIST.en, epilog="doorbell-relay account list --json")
def list_(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        accounts = store.people.accounts()
    if as_json:
        typer.echo(json.dumps([_account_json(one) for one in accounts], ensure_ascii=False, indent=2))
        return
    if not accounts:
        setting.out.print(setting.say(say.NO_ACCOUNTS))
        return
    table = Table(box=None, pad_edge=False)
    for column in (say.COL_LOGIN, say.COL_NAME, say.COL_ROLES, say.COL_PERSON, say.COL_STATE, say.COL_ID):
        table.add_column(setting.say(column))
    for one in accounts:
        table.add_row(
            one.login, one.name, _told_roles(setting, one.grants), one.person or "", _state(setting, one), one.id
        )
    setting.out.print(table)


@app.command(help=say.ROLE.en, epilog="doorbell-relay account role wang --role auditor:* --take office:xihushan")
def role(
    context: typer.Context,
    login: WhichArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    role: RolesOption = None,
    take: Annotated[list[str] | None, typer.Option("--take", help=say.TAKE.en, metavar="ROLE:COMMUNITY")] = None,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        account = find_account(setting, store, login)
        give = _grants(setting, store, role or (), account.person)
        change = change_roles(account.grants, give, _parse_roles(setting, take or ()))
        keep_an_office(setting, store, replace(account, grants=change.grants))
        if change.given or change.taken:
            detail = {"given": [str(one) for one in change.given], "taken": [str(one) for one in change.taken]}
            word = AuditWord.ROLE_GIVEN if change.given else AuditWord.ROLE_TAKEN
            store.people.set_grants(account.id, change.grants, tell(word, detail, account=account.id))
            note(setting, store)
    setting.out.print(setting.say(say.ROLES_NOW, login=account.login, roles=_told_roles(setting, change.grants)))


@app.command(help=say.LOCK.en, epilog="doorbell-relay account lock wang")
def lock(context: typer.Context, login: WhichArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        account = find_account(setting, store, login)
        keep_an_office(setting, store, replace(account, locked=True))
        store.people.set_locked(account.id, True, tell(AuditWord.ACCOUNT_LOCKED, account=account.id))
        note(setting, store)
    setting.out.print(setting.say(say.LOCKED, login=account.login))


@app.command(help=say.UNLOCK.en, epilog="doorbell-relay account unlock wang")
def unlock(context: typer.Context, login: WhichArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        account = find_account(setting, store, login)
        store.people.set_locked(account.id, False, tell(AuditWord.ACCOUNT_UNLOCKED, account=account.id))
        note(setting, store)
    setting.out.print(setting.say(say.UNLOCKED, login=account.login))


@app.command(help=say.PASSWORD.en, epilog="doorbell-relay account password wang")
def password(context: typer.Context, login: WhichArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    from relay.passwords import Passwords, check_password  # noqa: PLC0415 - the other commands hash nothing

    setting = enter(context, config)
    with setting.store() as store, setting.telling():
        account = find_account(setting, store, login)
        checked = check_password(_ask_password(setting), account.login, account.name)
        kept = Passwords().hash(checked)
        store.people.set_password(account.id, kept, tell(AuditWord.PASSWORD_SET, account=account.id))
        note(setting, store)
    setting.out.print(setting.say(say.PASSWORD_SET, login=account.login))


@app.command(help=say.LINK.en, epilog="doorbell-relay account link wang --for sign_in")
def link(
    context: typer.Context,
    login: WhichArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    purpose: Annotated[LinkPurpose, typer.Option("--for", help=say.PURPOSE.en)] = LinkPurpose.SET_PASSWORD,
) -> None:
    from relay.links import Signer, make_link, read_secret  # noqa: PLC0415 - the other commands sign nothing

    setting = enter(context, config)
    web = setting.settings.web
    if web.base_url is None:
        raise setting.refuse(say.NO_WEB)
    signer = Signer(read_secret(setting.web_secret))
    with setting.store() as store:
        account = find_account(setting, store, login)
        made, token = make_link(signer, account.id, purpose, _now())
        store.people.add_link(made, tell(AuditWord.LINK_MADE, {"for": purpose.value}, account=account.id))
        note(setting, store)
    url = f"{web.base_url}/link/{purpose.value}/{token}"
    setting.out.print(setting.say(say.LINK_MADE, until=local_time(made.until), url=url), soft_wrap=True)


@app.command(help=say.SESSIONS.en, epilog="doorbell-relay account sessions wang")
def sessions(
    context: typer.Context, login: WhichArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        account = find_account(setting, store, login)
        found = store.people.sessions(account.id)
    if as_json:
        told = [
            {
                "session": one.id[:16],
                "since": format_time(one.created_at),
                "seen": format_time(one.seen_at),
                "address": one.address,
            }
            for one in found
        ]
        typer.echo(json.dumps(told, indent=2))
        return
    if not found:
        setting.out.print(setting.say(say.NO_SESSIONS))
        return
    table = Table(box=None, pad_edge=False)
    for column in (say.COL_SESSION, say.COL_SINCE, say.COL_SEEN, say.COL_ADDRESS):
        table.add_column(setting.say(column))
    for one in found:
        table.add_row(one.id[:16], local_time(one.created_at), local_time(one.seen_at), one.address)
    setting.out.print(table)


@app.command(help=say.END.en, epilog="doorbell-relay account end wang")
def end(
    context: typer.Context,
    login: WhichArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    session: Annotated[str, typer.Option("--session", help=say.SESSION.en)] = "",
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        account = find_account(setting, store, login)
        told = tell(AuditWord.SESSIONS_ENDED, account=account.id)
        if session:
            found = [one.id for one in store.people.sessions(account.id) if one.id.startswith(session)]
            count = sum(store.people.end_sessions(account.id, told, only=one) for one in found)
        else:
            count = store.people.end_sessions(account.id, told)
        note(setting, store)
    setting.out.print(setting.say(say.ENDED, count=count))


@app.command(help=say.ERASE.en, epilog="doorbell-relay account erase wang")
def erase(
    context: typer.Context,
    login: WhichArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say_commands.YES.en)] = False,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        account = find_account(setting, store, login)
        keep_an_office(setting, store, replace(account, locked=True))
        if not yes and not typer.confirm(setting.say(say.ERASE_ASK, login=account.login, name=account.name)):
            setting.out.print(setting.say(say.NOT_ERASED))
            raise typer.Exit(1)
        store.people.erase(account.id, tell(AuditWord.ACCOUNT_ERASED, account=account.id))
        note(setting, store)
    setting.out.print(setting.say(say.ERASED, id=account.id))


# ---------------------------------------------------------------------------------------------------------------------


def _now() -> datetime:
    return datetime.now(UTC)


def find_account(setting: Setting, store: SqlStore, which: str) -> Account:
    """The account of a login or of an id. ``SetupError`` if there is none, or nothing is left of it."""
    tidied = tidy_login(which)
    found = store.people.by_login(tidied) if tidied is not None else None
    account = found[0] if found is not None else store.people.account(which)
    if account is None:
        raise setting.refuse(say.NO_ACCOUNT, login=repr(which))
    if account.erased:
        raise setting.refuse(say.IS_ERASED, id=account.id)
    return account


def _parse_roles(setting: Setting, words: Sequence[str]) -> list[Grant]:
    grants = []
    for word in words:
        name, _, community = word.partition(":")
        if name not in set(Role) or not community:
            raise setting.refuse(say.BAD_ROLE, role=repr(word), roles=" ".join(Role))
        grants.append(Grant(Role(name), community))
    return grants


def _grants(setting: Setting, store: SqlStore, words: Sequence[str], person: str | None) -> tuple[Grant, ...]:
    """Roles that are to be given, of communities and for a person that there are."""
    grants = _parse_roles(setting, words)
    _, register = store.load_register()
    for grant in grants:
        if grant.community != EVERYWHERE and grant.community not in register.communities:
            raise setting.refuse(say.NO_COMMUNITY, community=grant.community)
    if person is not None and person not in register.people:
        raise setting.refuse(say.NO_PERSON, person=person)
    if person is None and NEEDS_PERSON & {grant.role for grant in grants}:
        raise setting.refuse(say.NEEDS_PERSON)
    return tuple(sorted(set(grants), key=str))


def keep_an_office(setting: Setting, store: SqlStore, after: Account) -> None:
    """Refuse what would leave nobody who can manage accounts on the pages."""
    others = [after if one.id == after.id else one for one in store.people.accounts()]
    before = [one for one in store.people.accounts() if _manages(one)]
    if before and not any(map(_manages, others)):
        raise setting.refuse(say.LAST_OFFICE, login=after.login)


def _manages(account: Account) -> bool:
    return not account.locked and Viewer(account).may(Right.ACCOUNTS)


def _ask_password(setting: Setting) -> str:
    """Typed twice, unseen; or the first line of standard input. Never an argument: those are seen by everybody."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"{setting.say(say.ASK_PASSWORD)}: ")
    if getpass.getpass(f"{setting.say(say.ASK_AGAIN)}: ") != first:
        raise setting.refuse(say.PASSWORDS_DIFFER)
    return first


def _state(setting: Setting, account: Account) -> str:
    if account.erased:
        return setting.say(say.STATE_ERASED)
    if account.locked:
        return setting.say(say.STATE_LOCKED)
    return setting.say(say.STATE_OPEN if account.has_password else say.STATE_NO_PASSWORD)


def _told_roles(setting: Setting, grants: Sequence[Grant]) -> str:
    separator = "、" if setting.language is Language.ZH else ", "
    told = separator.join(f"{setting.say(say.ROLE_WORDS[one.role])} {one.community}" for one in grants)
    return told or setting.say(say.NO_ROLES)


def _account_json(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "login": account.login,
        "name": account.name,
        "person": account.person,
        "language": account.language,
        "roles": [str(one) for one in account.grants],
        "has_password": account.has_password,
        "locked": account.locked,
        "erased": account.erased,
        "created": format_time(account.created_at),
    }
