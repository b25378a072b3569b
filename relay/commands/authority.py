"""``doorbell-relay authority``: make it, show it, issue and sign, take back."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from doorbell.settings import read_password_file
from doorbell.wire import format_time
from relay.audit import AuditWord
from relay.commands.auditing import write_if_made
from relay.commands.broker import FolderOption, make_effective, make_plan, open_authority, tell_written
from relay.commands.identities import local_date, warn_of_end, write_identity
from relay.commands.renew_here import renew
from relay.commands.renewals import renewals
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, Setting, enter
from relay.issued import Identity, Purpose, Why, common_name
from relay.texts import authority as say
from relay.texts import renewing as say_renewing
from relay.texts.refusal import RefusalError
from relay.whole_files import READABLE, make_folder_whole, write_whole

if TYPE_CHECKING:
    from relay.adapters.authority import Authority

SOON = timedelta(days=60)
"""From then on it is shown that an identity ends: twice the time in which a device should have renewed it."""

app = typer.Typer(help=say.AUTHORITY.en, no_args_is_help=True)
issue_app = typer.Typer(help=say.ISSUE.en, no_args_is_help=True)
app.add_typer(issue_app, name="issue")
app.command(help=say.RENEWALS.en, epilog="doorbell-relay authority renewals --sign")(renewals)
app.command(
    help=say_renewing.RENEW_HERE.en,
    epilog=f"{say_renewing.RENEW_HERE_EXITS.en}\n\ndoorbell-relay authority renew --dry-run",
)(renew)

RootPassphraseOption = Annotated[
    Path | None, typer.Option("--root-passphrase-file", help=say.ROOT_PASSPHRASE_FILE.en, dir_okay=False)
]
ToOption = Annotated[Path | None, typer.Option("--to", help=say.TO_FOLDER.en, metavar="FOLDER")]
ReplaceOption = Annotated[Why | None, typer.Option("--replace", help=say.REPLACE.en)]


@app.command(
    help=say.CREATE.en,
    epilog="doorbell-relay authority create --name 西湖山社区 --root-passphrase-file root.passphrase",
)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", help=say.COMMUNITY.en)],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    root_passphrase_file: RootPassphraseOption = None,
) -> None:
    from relay.adapters.authority import create_authority  # noqa: PLC0415 - the other commands need no cryptography
    from relay.adapters.authority.ceremony import check_passphrase  # noqa: PLC0415
    from relay.adapters.authority.x509 import fingerprint  # noqa: PLC0415

    setting = enter(context, config)
    place = folder or setting.settings.authority.directory
    with setting.telling():
        if place.exists():
            raise RefusalError(say.AUTHORITY_EXISTS, folder=place)
        passphrase = _root_passphrase(setting, root_passphrase_file, twice=True)
        check_passphrase(passphrase)
        made = create_authority(place, name, passphrase, setting.settings.authority.passphrase())
    until = local_date(made.root.not_valid_after_utc)
    facts = {"community": made.community, "folder": place, "fingerprint": fingerprint(made.root), "until": until}
    setting.out.print(setting.say(say.CREATED, **facts), soft_wrap=True)
    setting.out.print(setting.say(say.MOVE_ROOT_KEY, path=place / "root-key.pem"), soft_wrap=True)
    write_if_made(setting, AuditWord.AUTHORITY_CREATED, {"sha256": fingerprint(made.root)})


@app.command(help=say.SHOW.en, epilog="doorbell-relay authority show --json")
def show(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    now = datetime.now(UTC)
    with setting.telling():
        authority = open_authority(setting, folder)
        identities = list(authority.register())
    if as_json:
        typer.echo(json.dumps(_authority_json(authority, identities, now), ensure_ascii=False, indent=2))
        return
    _show_authority(setting, authority)
    if not identities:
        setting.out.print(setting.say(say.NOBODY))
        return
    table = Table(box=None, pad_edge=False)
    for column in (
        say.COL_NAME, say.COL_PURPOSE, say.COL_SINCE, say.COL_UNTIL, say.COL_STATE, say.COL_CERTIFICATES, say.COL_NUMBER
    ):  # fmt: skip
        table.add_column(setting.say(column))
    for one in identities:
        table.add_row(
            one.name,
            setting.say(say.PURPOSES[one.purpose]),
            local_date(one.certificates[0].at),
            local_date(one.until),
            _state(setting, one, now),
            str(len(one.certificates)),
            one.number,
        )
    setting.out.print(table)


@app.command(
    "renew-issuing",
    help=say.RENEW_ISSUING.en,
    epilog="doorbell-relay authority renew-issuing --root-key /media/usb/root-key.pem",
)
def renew_issuing(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    root_key: Annotated[Path | None, typer.Option("--root-key", help=say.ROOT_KEY_FILE.en, dir_okay=False)] = None,
    root_passphrase_file: RootPassphraseOption = None,
) -> None:
    from relay.adapters.authority import renew_issuing as renew  # noqa: PLC0415 - as above

    setting = enter(context, config)
    with setting.telling():
        authority = open_authority(setting, folder)
        made = renew(authority, _root_passphrase(setting, root_passphrase_file), root_key)
    setting.out.print(
        setting.say(say.RENEWED_ISSUING, number=made.number, until=local_date(made.until)), soft_wrap=True
    )
    write_if_made(setting, AuditWord.ISSUING_RENEWED, {"number": made.number})


@issue_app.command(
    "device", help=say.ISSUE_DEVICE.en, epilog="doorbell-relay authority issue device bell-peng --replace broken"
)
def issue_device(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=say.DEVICE_NAME.en, metavar="ID")],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    to: ToOption = None,
    replace: ReplaceOption = None,
) -> None:
    _issue(enter(context, config), folder, Purpose.DEVICE, name, to, replace)


@issue_app.command(
    "relay",
    help=say.ISSUE_RELAY.en,
    epilog="doorbell-relay authority issue relay main --to /etc/love-doorbell/identity",
)
def issue_relay(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=say.RELAY_NAME.en, metavar="NAME")],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    to: ToOption = None,
    replace: ReplaceOption = None,
) -> None:
    _issue(enter(context, config), folder, Purpose.RELAY, name, to, replace)


@issue_app.command(
    "broker",
    help=say.ISSUE_BROKER.en,
    epilog="doorbell-relay authority issue broker first --host 192.168.1.10 --host bell.example.org",
)
def issue_broker(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=say.BROKER_NAME.en, metavar="NAME")],
    host: Annotated[list[str], typer.Option("--host", help=say.HOST.en)],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    to: ToOption = None,
    replace: ReplaceOption = None,
) -> None:
    _issue(enter(context, config), folder, Purpose.BROKER, name, to, replace, tuple(host))


@app.command(help=say.SIGN.en, epilog="doorbell-relay authority sign bell-peng.csr --for device --to bell-peng.pem")
def sign(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help=say.REQUEST.en, metavar="CSR", dir_okay=False)],
    purpose: Annotated[Purpose, typer.Option("--for", help=say.PURPOSE.en)] = Purpose.DEVICE,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    to: Annotated[Path | None, typer.Option("--to", help=say.TO_FILE.en, dir_okay=False)] = None,
    renew: Annotated[bool, typer.Option("--renew", help=say.RENEW.en)] = False,
    replace: ReplaceOption = None,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        authority = open_authority(setting, folder)
        if purpose is Purpose.BROKER:
            raise RefusalError(say.SIGNS_NO_BROKER)
        if to is not None and to.exists():
            raise RefusalError(say.FOLDER_EXISTS, path=to)
        try:
            asked = request.read_bytes()
        except OSError as error:
            raise RefusalError(say.CANNOT_READ, path=request, reason=error.strerror) from None
        made = authority.sign(asked, purpose, renewing=renew, replacing=replace)
        warn_of_end(setting, authority)
        write_identity(setting, AuditWord.IDENTITY_SIGNED, purpose, made.line.name)
        if to is None:
            typer.echo(made.chain.decode(), nl=False)
            return
        try:
            write_whole(to, made.chain, READABLE)
        except OSError as error:
            raise RefusalError(say.NOT_DELIVERED, name=made.line.name, path=to, reason=error.strerror) from None
    facts = {"name": made.line.name, "until": local_date(made.line.until), "path": to}
    setting.out.print(setting.say(say.SIGNED, **facts), soft_wrap=True)


@app.command(help=say.REVOKE.en, epilog="doorbell-relay authority revoke bell-peng --why stolen")
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=say.IDENTITY.en, metavar="NAME")],
    why: Annotated[Why, typer.Option("--why", help=say.WHY.en)],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        authority = open_authority(setting, folder)
        taken = authority.revoke(name, why)
    facts = {"name": name, "why": say.WHYS[why], "count": len(taken.certificates), "path": authority.revoked_file}
    setting.out.print(setting.say(say.TAKEN_BACK, **facts), soft_wrap=True)
    try:
        if setting.settings.broker is None:
            setting.out.print(setting.say(say.NOT_YET_AT_BROKER), soft_wrap=True)
            return
        with setting.telling():
            plan = make_plan(setting, authority)
            tell_written(setting, plan, plan.place.write(plan.files))
            make_effective(setting, authority, plan)
    finally:
        # Last of all: a database that does not answer must not keep anybody in.
        write_identity(setting, AuditWord.IDENTITY_REVOKED, taken.purpose, name, {"why": why.value})


# ---------------------------------------------------------------------------------------------------------------------


def _issue(
    setting: Setting,
    folder: Path | None,
    purpose: Purpose,
    name: str,
    to: Path | None,
    replacing: Why | None,
    hosts: tuple[str, ...] = (),
) -> None:
    with setting.telling():
        authority = open_authority(setting, folder)
        target = to or Path(common_name(purpose, name) or name)
        if target.exists():
            raise RefusalError(say.FOLDER_EXISTS, path=target)
        made = authority.issue(purpose, name, hosts=hosts, replacing=replacing)
        warn_of_end(setting, authority)
        try:
            make_folder_whole(target, made.files())
        except OSError as error:
            raise RefusalError(say.NOT_DELIVERED, name=made.line.name, path=target, reason=error.strerror) from None
    facts = {"name": made.line.name, "until": local_date(made.line.until), "folder": target}
    setting.out.print(setting.say(say.ISSUED, **facts), soft_wrap=True)
    detail = {} if replacing is None else {"replacing": replacing.value}
    write_identity(setting, AuditWord.IDENTITY_ISSUED, purpose, made.line.name, detail)


def _root_passphrase(setting: Setting, file: Path | None, *, twice: bool = False) -> str:
    if file is not None:
        return read_password_file(file)
    if not sys.stdin.isatty():
        raise RefusalError(say.NO_TERMINAL)
    passphrase: str = typer.prompt(setting.say(say.ASK_ROOT_PASSPHRASE), hide_input=True)
    if twice and typer.prompt(setting.say(say.ASK_AGAIN), hide_input=True) != passphrase:
        raise RefusalError(say.PASSPHRASES_DIFFER)
    return passphrase


def _show_authority(setting: Setting, authority: Authority) -> None:
    from relay.adapters.authority.x509 import fingerprint  # noqa: PLC0415 - as above

    def line(what: str, *told: str) -> None:
        setting.out.print(f"{what}: {', '.join(told)}", soft_wrap=True)

    until = setting.say(say.UNTIL_DATE, until=local_date(authority.root.not_valid_after_utc))
    line(setting.say(say.SHOW_ROOT), authority.community, until, f"SHA-256 {fingerprint(authority.root)}")
    key = (
        setting.say(say.KEY_HERE, path=authority.root_key_file)
        if authority.root_key_is_here
        else setting.say(say.KEY_AWAY)
    )
    line(setting.say(say.SHOW_ROOT_KEY), key)
    for one in authority.issuing:
        until = setting.say(say.UNTIL_DATE, until=local_date(one.until))
        line(setting.say(say.SHOW_ISSUING, number=one.number), until)
    warn_of_end(setting, authority)


def _state(setting: Setting, one: Identity, now: datetime) -> str:
    if one.revoked is not None:
        return setting.say(say.REVOKED, why=say.WHYS[one.revoked.why], at=local_date(one.revoked.at))
    if not one.stands(now):
        return setting.say(say.ENDED)
    if one.until < now + SOON:
        return setting.say(say.ENDS_SOON, days=(one.until - now).days)
    return setting.say(say.STANDS)


def _authority_json(authority: Authority, identities: list[Identity], now: datetime) -> dict[str, Any]:
    from relay.adapters.authority.x509 import fingerprint  # noqa: PLC0415 - as above

    return {
        "community": authority.community,
        "until": format_time(authority.root.not_valid_after_utc),
        "sha256": fingerprint(authority.root),
        "root_key_is_here": authority.root_key_is_here,
        "issuing": [{"number": one.number, "until": format_time(one.until)} for one in authority.issuing],
        "identities": [
            {
                "name": one.name,
                "number": one.number,
                "for": one.purpose.value,
                "until": format_time(one.until),
                "stands": one.stands(now),
                "revoked": None
                if one.revoked is None
                else {"at": format_time(one.revoked.at), "why": one.revoked.why.value},
                "certificates": [
                    {"serial": each.serial, "at": format_time(each.at), "until": format_time(each.until)}
                    for each in one.certificates
                ],
            }
            for one in identities
        ],
    }
