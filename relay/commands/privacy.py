"""``doorbell-relay privacy``: what is kept of one person, its erasure, and the key with which it is sealed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from doorbell.errors import SetupError
from doorbell.wire import format_time
from relay.adapters.store import SqlStore
from relay.adapters.store_rotate import rotate
from relay.adapters.store_subject import Traces
from relay.audit import AuditWord
from relay.commands.account import keep_an_office
from relay.commands.auditing import note, tell, write_line
from relay.commands.kept_registers import kept_registers
from relay.commands.setting import DEFAULT_CONFIG, SHORT_ID, ConfigOption, JsonOption, Setting, enter
from relay.core.register import Register
from relay.people import Account
from relay.ports import StoreError
from relay.privacy import Subject, SubjectKind, find_subject, left_alone
from relay.privacy_export import export_of, readable_lines
from relay.privacy_key import make_keys, read_keys
from relay.texts import privacy as say
from relay.texts.timeline import visible

LOOK_S = 0.2
_TRACES_LEFT = 1

app = typer.Typer(help=say.PRIVACY.en, no_args_is_help=True)
key = typer.Typer(help=say.KEY.en, no_args_is_help=True)
app.add_typer(key, name="key")
IdArgument = Annotated[str, typer.Argument(help=say.ID.en, metavar="ID")]


@app.command(help=say.EXPORT.en, epilog="doorbell-relay privacy export peng --json > peng.json")
def export(
    context: typer.Context, subject_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        _, register = store.load_register()
        subject = _find(setting, register, subject_id)
        told = export_of(register, subject, store.subjects.export(subject))
        told["accounts"] = [_account_facts(store, account) for account in _accounts_of(store, subject)]
        write_line(setting, store, AuditWord.PERSON_EXPORTED, **_about(subject))
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for part, value in told.items():
        if value and part in say.TITLES:
            setting.out.print(setting.say(say.TITLES[part]), style="bold")
            for line in readable_lines(value):
                setting.out.print(visible(line), soft_wrap=True)


@app.command(help=say.ERASE.en, epilog=f"{say.ERASE_EXITS.en}\n\ndoorbell-relay privacy erase peng --dry-run")
def erase(
    context: typer.Context,
    subject_id: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say.DRY_RUN.en)] = False,
    confirm: Annotated[str, typer.Option("--confirm", help=say.CONFIRM.en, metavar="ID")] = "",
    wait_s: Annotated[float, typer.Option("--wait", help=say.WAIT_S.en, min=0, max=600)] = 15.0,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        known = store.load_register()
        subject = _find(setting, known[1], subject_id)
        _refuse_while_open(setting, subject, store.subjects.open_matters(subject))
        copies = kept_registers(setting)
        accounts = _accounts_of(store, subject)
        for account in accounts:
            keep_an_office(setting, store, replace(account, locked=True))
        _tell_what_goes(setting, known[1], subject, store.subjects.traces(subject), copies, accounts)
        if dry_run:
            setting.out.print(setting.say(say.DRY_RUN))
            return
        typed = confirm or typer.prompt(setting.say(say.TYPE_ID, id=subject.id), default="", show_default=False)
        if typed != subject.id:
            setting.out.print(setting.say(say.NOT_ERASED))
            raise typer.Exit(1)
        done = store.subjects.erase(subject, known, tell(AuditWord.PERSON_ERASED, **_about(subject)))
        if done is None:
            raise setting.refuse(say.CHANGED_MEANWHILE)
        _refuse_while_open(setting, subject, done if isinstance(done, list) else [])
        for account in accounts:
            store.people.erase(account.id, tell(AuditWord.ACCOUNT_ERASED, account=account.id))
        for copy in copies:
            copy.unlink(missing_ok=True)
        note(setting, store)
        setting.out.print(setting.say(say.ERASED, version=known[0] + 1))
        left = _await_relay(setting, store, subject, wait_s)
        store.forget_traces(beside_a_relay=True)
    _tell_what_is_left(setting, left)


@key.command("create", help=say.KEY_CREATE.en, epilog="doorbell-relay privacy key create")
def create(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    path = setting.settings.privacy.key_file
    there = path.exists()
    newest = make_keys(path)[-1]
    setting.out.print(setting.say(say.KEY_THERE if there else say.KEY_MADE, id=newest.id, path=path), soft_wrap=True)
    setting.out.print(setting.say(say.PUT_AWAY), soft_wrap=True)


@key.command("show", help=say.KEY_SHOW.en, epilog="doorbell-relay privacy key show")
def show(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    path = setting.settings.privacy.key_file
    try:
        keys = read_keys(path)
    except FileNotFoundError:
        raise setting.refuse(say.NO_KEY, path=path) from None
    used = None
    if SqlStore.is_made(setting.database):
        with setting.store() as store:
            used = store.seal.current
    for one in keys:
        line = say.KEY_LINE_USED if one.id == used else say.KEY_LINE
        setting.out.print(setting.say(line, id=one.id, made=one.made.isoformat()))


@key.command("rotate", help=say.KEY_ROTATE.en, epilog="doorbell-relay privacy key rotate --destroy-old")
def rotate_(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    destroy: Annotated[bool, typer.Option("--destroy-old", help=say.DESTROY.en)] = False,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        done = rotate(store, destroy=destroy)
        write_line(setting, store, AuditWord.KEY_ROTATED, {"key": done.key, "kept": list(done.kept)})
    setting.out.print(setting.say(say.ROTATED, key=done.key, values=done.values))
    if done.left:
        setting.warn(say.NOT_ALL, left=done.left)
    if done.kept:
        setting.out.print(setting.say(say.OLD_KEPT, keys=" ".join(done.kept)), soft_wrap=True)
    else:
        setting.out.print(setting.say(say.OLD_DESTROYED), soft_wrap=True)
    setting.out.print(setting.say(say.PUT_AWAY), soft_wrap=True)


# ---------------------------------------------------------------------------------------------------------------------


def erased_subjects(setting: Setting) -> list[str]:
    """Ids that the audit log of the present database says were erased, and that are not registered anew."""
    if not SqlStore.is_made(setting.database):
        return []
    try:
        with setting.store() as store:
            _, register = store.load_register()
            lines = [line for line in store.audit.lines() if line.what == AuditWord.PERSON_ERASED]
    except (StoreError, SetupError):
        return []  # damaged, which is why it is to be replaced
    ids = dict.fromkeys(line.household or line.person or "" for line in lines)
    return [id_ for id_ in ids if id_ and find_subject(register, id_) is None]


def erase_again(setting: Setting, ids: Sequence[str]) -> list[str]:
    """Erase those of these that a restored database has again; returns which. No relay runs."""
    done = []
    with setting.store() as store:
        for id_ in ids:
            known = store.load_register()
            if (subject := find_subject(known[1], id_)) is None:
                continue
            told = tell(AuditWord.PERSON_ERASED, {"after": "restore"}, **_about(subject))
            if isinstance(store.subjects.erase(subject, known, told), Traces):
                for account in _accounts_of(store, subject):
                    store.people.erase(account.id, tell(AuditWord.ACCOUNT_ERASED, account=account.id))
                store.subjects.blank(subject)
                done.append(id_)
            else:
                setting.warn(say.NOT_ERASED_AGAIN, id=id_)
        if done:
            store.forget_traces()
            note(setting, store)
    return done


def _find(setting: Setting, register: Register, subject_id: str) -> Subject:
    subject = find_subject(register, subject_id)
    if subject is None:
        raise setting.refuse(say.NO_SUBJECT, id=subject_id)
    return subject


def _accounts_of(store: SqlStore, subject: Subject) -> list[Account]:
    person = subject.kind is SubjectKind.PERSON
    return [account for account in store.people.accounts() if person and account.person == subject.id]


def _account_facts(store: SqlStore, account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "login": account.login,
        "name": account.name,
        "roles": [str(grant) for grant in account.grants],
        "created_at": format_time(account.created_at),
        "sessions": [
            {"created_at": format_time(one.created_at), "seen_at": format_time(one.seen_at), "address": one.address}
            for one in store.people.sessions(account.id)
        ],
    }


def _about(subject: Subject) -> dict[str, Any]:
    return {"community": subject.community, subject.kind.value: subject.id}


def _refuse_while_open(setting: Setting, subject: Subject, matters: list[str]) -> None:
    if matters:
        alarms = " ".join(alarm[:SHORT_ID] for alarm in matters)
        raise setting.refuse(say.OPEN_MATTERS, id=subject.id, alarms=alarms)


def _tell_what_goes(
    setting: Setting,
    register: Register,
    subject: Subject,
    traces: Traces,
    copies: list[Path],
    accounts: list[Account],
) -> None:
    told = [setting.say(say.WILL_ERASE, id=subject.id, words="  ".join(map(visible, subject.words)))]
    if subject.devices:
        told.append(setting.say(say.AND_DEVICES, devices=" ".join(subject.devices)))
    told.append(setting.say(say.AND_TRACES, **_counts(traces)))
    if accounts:
        told.append(setting.say(say.AND_ACCOUNTS, logins=" ".join(account.login for account in accounts)))
    if copies:
        told.append(setting.say(say.AND_COPIES, files=" ".join(copy.name for copy in copies)))
    if homes := left_alone(register, subject):
        told.append(setting.say(say.LEFT_ALONE, homes=" ".join(homes)))
    told.append(setting.say(say.STAYS))
    for line in told:
        setting.out.print(line, soft_wrap=True)


def _await_relay(setting: Setting, store: SqlStore, subject: Subject, wait_s: float) -> Traces:
    """Until a relay that runs has told the devices anew, or had the time for it; what is left then."""
    until = time.monotonic() + wait_s
    with setting.err.status(setting.say(say.WAITING)):
        while store.subjects.traces(subject).twins and time.monotonic() < until:
            time.sleep(LOOK_S)
    if untold := store.subjects.blank(subject):
        setting.warn(say.NOT_TOLD_YET, twins=untold)
    # Their devices may still be on, and what they say is refused by now: it holds ids.
    return store.subjects.traces(replace(subject, devices=()))


def _counts(traces: Traces) -> Mapping[str, int]:
    return asdict(traces)


def _tell_what_is_left(setting: Setting, left: Traces) -> None:
    if left.total():
        found = " ".join(f"{name}={count}" for name, count in asdict(left).items() if count)
        setting.warn(say.TRACES_LEFT, found=found)
        raise typer.Exit(_TRACES_LEFT)
