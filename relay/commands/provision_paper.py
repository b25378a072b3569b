"""What is printed for devices: labels, and the list for the van."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from relay.audit import AuditWord
from relay.commands.auditing import counts, write_line
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, Setting, enter
from relay.core.register import Device, Register
from relay.labels import PER_SHEET, Paper, label_of, make_labels
from relay.register_shapes import hint
from relay.texts import labels as say
from relay.texts import provisioning as say_provisioning
from relay.texts.refusal import RefusalError
from relay.van_list import BOXES, Stop, make_list, stops_of
from relay.whole_files import READABLE, SECRET, write_whole

DevicesArgument = Annotated[list[str] | None, typer.Argument(help=say.DEVICES.en, metavar="[ID]...")]
PdfOption = Annotated[Path, typer.Option("--to", help=say.TO.en, metavar="FILE.pdf", dir_okay=False)]


def labels(
    context: typer.Context,
    to: PdfOption,
    devices: DevicesArgument = None,
    paper: Annotated[Paper, typer.Option("--paper", help=say.PAPER.en)] = Paper.ROLL,
    first: Annotated[int, typer.Option("--first", help=say.FIRST.en, min=1, max=PER_SHEET)] = 1,
    names: Annotated[bool, typer.Option("--names", help=say.NAMES.en)] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        with setting.store() as store:
            _, register = store.load_register()
            write_line(setting, store, AuditWord.HOUSEHOLDS_LISTED, counts(register))
        base_url = setting.settings.web.base_url
        made = [label_of(register, one, base_url, names=names) for one in chosen(register, devices or [])]
        write_pdf(to, make_labels(made, paper, setting.language, first))
    setting.out.print(setting.say(say.MADE, count=len(made), path=to), soft_wrap=True)


def list_(
    context: typer.Context,
    devices: DevicesArgument = None,
    to: Annotated[Path | None, typer.Option("--to", help=say.LIST_TO.en, metavar="FILE.pdf", dir_okay=False)] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        with setting.store() as store:
            _, register = store.load_register()
            write_line(setting, store, AuditWord.HOUSEHOLDS_LISTED, counts(register))
        stops = stops_of(register, chosen(register, devices or []))
        if to is None:
            setting.out.print(_table(setting, stops))
            return
        title = setting.say(say.TITLE, date=f"{datetime.now(UTC).astimezone():%Y-%m-%d}")
        write_pdf(to, make_list(stops, title, setting.language), SECRET)
    count = sum(len(stop.devices) for stop in stops)
    setting.out.print(setting.say(say.LISTED, count=len(stops), devices=count, path=to), soft_wrap=True)


def _table(setting: Setting, stops: list[Stop]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in (say.COL_WHERE, say.COL_WHO, say.COL_WHAT, say.COL_DONE):
        table.add_column(setting.say(column), overflow="fold")
    boxes = "  ".join(f"☐ {setting.say(text)}" for text in BOXES)
    for stop in stops:
        for number, device in enumerate(stop.devices):
            where = (stop.where, stop.who) if number == 0 else ("", "")
            table.add_row(*where, device.id, boxes)
    return table


def chosen(register: Register, names: list[str]) -> list[Device]:
    """These devices, or all; those of a household together."""
    for name in names:
        if name not in register.devices:
            raise RefusalError(say_provisioning.NO_SUCH_DEVICE, id=name, hint=hint(name, register.devices))
    found = [register.devices[name] for name in names] or sorted(register.devices.values(), key=_by_place)
    if not found:
        raise RefusalError(say.NO_DEVICES)
    return found


def write_pdf(to: Path, content: bytes, mode: int = READABLE) -> None:
    """Whole, and over nothing."""
    if to.exists():
        raise RefusalError(say.FILE_EXISTS, path=to)
    try:
        write_whole(to, content, mode)
    except OSError as error:
        raise RefusalError(say_provisioning.NOT_WRITTEN, path=to, reason=error.strerror) from None


def _by_place(device: Device) -> tuple[str, str, str]:
    return device.community, device.household or "", device.id
