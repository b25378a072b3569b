"""``doorbell-relay provision``: new devices, one by one or many at once, and new cards for those that broke."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from doorbell.settings import read_password_file
from relay.audit import AuditWord
from relay.commands.auditing import counts, write_line
from relay.commands.broker import FolderOption
from relay.commands.provision_desk import Desk, open_desk
from relay.commands.provision_guide import guide
from relay.commands.provision_paper import labels, list_
from relay.commands.provision_status import lock_out, status
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, enter
from relay.core.register import DeviceRole
from relay.issued import Why
from relay.provisioning import Outcome, Wish, fulfil, wanted_again
from relay.provisioning_settings import Hardware
from relay.provisioning_table import MAX_TABLE_BYTES, read_wishes
from relay.texts import labels as say_labels
from relay.texts import provisioning as say
from relay.texts.refusal import RefusalError

app = typer.Typer(help=say.PROVISION.en, invoke_without_command=True)
app.command(
    "labels", help=say_labels.LABELS.en, epilog="doorbell-relay provision labels panel-liu --to labels.pdf --paper a4"
)(labels)
app.command("list", help=say_labels.LIST.en, epilog="doorbell-relay provision list --to van.pdf")(list_)
app.command("status", help=say.STATUS.en, epilog=f"{say.STATUS_EXITS.en}\n\ndoorbell-relay provision status --watch")(
    status
)
app.command("lock-out", help=say.LOCK_OUT.en, epilog="doorbell-relay provision lock-out bell-peng --why stolen")(
    lock_out
)

ToOption = Annotated[Path | None, typer.Option("--to", help=say.TO.en, metavar="PLACE")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=say.DRY_RUN.en)]
HardwareOption = Annotated[Hardware | None, typer.Option("--hardware", help=say.HARDWARE.en)]
WifiOption = Annotated[str, typer.Option("--wifi", help=say.WIFI.en, metavar="NAME")]
WifiPasswordOption = Annotated[
    Path | None, typer.Option("--wifi-password-file", help=say.WIFI_PASSWORD_FILE.en, dir_okay=False)
]


@app.callback(
    epilog="doorbell-relay provision --role bell --household liu --person peng --name 彭小平 --to /media/bootfs"
)
def provision(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    role: Annotated[DeviceRole | None, typer.Option("--role", help=say.ROLE.en)] = None,
    household: Annotated[str, typer.Option("--household", help=say.HOUSEHOLD.en, metavar="ID")] = "",
    label: Annotated[str, typer.Option("--label", help=say.LABEL.en)] = "",
    place: Annotated[str, typer.Option("--place", help=say.PLACE.en)] = "",
    person: Annotated[str, typer.Option("--person", help=say.PERSON.en, metavar="ID")] = "",
    name: Annotated[str, typer.Option("--name", help=say.NAME.en)] = "",
    phone: Annotated[str, typer.Option("--phone", help=say.PHONE.en)] = "",
    community: Annotated[str, typer.Option("--community", help=say.COMMUNITY.en, metavar="ID")] = "",
    device: Annotated[str, typer.Option("--device", help=say.DEVICE.en, metavar="ID")] = "",
    hardware: HardwareOption = None,
    wifi: WifiOption = "",
    wifi_password_file: WifiPasswordOption = None,
    to: ToOption = None,
    dry_run: DryRunOption = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    setting = enter(context, config)
    with setting.telling():
        desk = open_desk(setting, folder)
        wish = Wish(
            role=role.value if role is not None else "",
            community=community,
            household=household,
            label=label,
            place=place,
            person=person,
            name=name,
            phone=phone,
            device=device,
            hardware=_word(hardware),
            wifi=wifi,
            wifi_password=_password(wifi_password_file),
        )
        if role is None:
            if not sys.stdin.isatty():
                raise RefusalError(say.NO_TERMINAL)
            with setting.store() as store:
                _, register = store.load_register()
                write_line(setting, store, AuditWord.HOUSEHOLDS_LISTED, counts(register))
            asked = guide(setting, register, wish, desk.common.settings.hardware)
            if asked is None:
                setting.out.print(setting.say(say.LEFT))
                return
            wish = asked
        with setting.store() as store:
            _, register = store.load_register()
        outcome = fulfil(register, [wish], taken=desk.taken_names(), hardware=desk.common.settings.hardware)
        desk.refuse_mistakes(outcome.mistakes)
        _make(desk, outcome, [_place(to, outcome)], dry_run=dry_run)


@app.command(help=say.BATCH.en, epilog="doorbell-relay provision batch today.csv --to cards --dry-run")
def batch(
    context: typer.Context,
    table: Annotated[Path, typer.Argument(help=say.TABLE.en, metavar="FILE.csv", dir_okay=False)],
    to: Annotated[Path, typer.Option("--to", help=say.TO_FOLDER.en, metavar="FOLDER", file_okay=False)],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    tar: Annotated[bool, typer.Option("--tar", help=say.TAR.en)] = False,
    dry_run: DryRunOption = False,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        desk = open_desk(setting, folder)
        try:
            with table.open("rb") as file:
                raw = file.read(MAX_TABLE_BYTES + 1)
            if not dry_run:
                to.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RefusalError(say.CANNOT_READ, path=error.filename, reason=error.strerror) from None
        wishes, mistakes = read_wishes(raw)
        with setting.store() as store:
            _, register = store.load_register()
        outcome = fulfil(register, wishes, taken=desk.taken_names(), hardware=desk.common.settings.hardware)
        desk.refuse_mistakes(sorted([*mistakes, *outcome.mistakes], key=lambda one: one.line), table)
        names = [one.device.id for one in outcome.wanted]
        _make(desk, outcome, [to / (f"{name}.tar" if tar else name) for name in names], dry_run=dry_run)


@app.command("replace", help=say.REPLACE.en, epilog="doorbell-relay provision replace bell-peng --to /media/bootfs")
def replace_(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help=say.DEVICE_ID.en, metavar="ID")],
    why: Annotated[Why, typer.Option("--why", help=say.WHY.en)] = Why.BROKEN,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    hardware: HardwareOption = None,
    wifi: WifiOption = "",
    wifi_password_file: WifiPasswordOption = None,
    to: ToOption = None,
    dry_run: DryRunOption = False,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        desk = open_desk(setting, folder)
        wish = Wish(device=device, wifi=wifi, wifi_password=_password(wifi_password_file))
        with setting.store() as store:
            _, register = store.load_register()
        outcome = wanted_again(register, replace(wish, hardware=_word(hardware)), desk.common.settings.hardware)
        desk.refuse_mistakes(outcome.mistakes)
        _make(desk, outcome, [_place(to, outcome)], replacing=why, dry_run=dry_run)


# ---------------------------------------------------------------------------------------------------------------------


def _make(desk: Desk, outcome: Outcome, places: list[Path], *, replacing: Why | None = None, dry_run: bool) -> None:
    setting = desk.setting
    if dry_run:
        setting.out.print(setting.say(say.WOULD))
        for one, place in zip(outcome.wanted, places, strict=True):
            setting.out.print(desk.tell(outcome.register, one, place), soft_wrap=True)
        return
    desk.make(outcome, places, replacing=replacing)
    setting.out.print(setting.say(say.NEXT), soft_wrap=True)


def _place(to: Path | None, outcome: Outcome) -> Path:
    """Where one card goes: beside us, under the device's id, if nobody says otherwise."""
    return to or Path(f"card-{outcome.wanted[0].device.id}")


def _word(hardware: Hardware | None) -> str:
    return hardware.value if hardware is not None else ""


def _password(path: Path | None) -> str:
    return read_password_file(path) if path is not None else ""
