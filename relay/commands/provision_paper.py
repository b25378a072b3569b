"""What is printed for devices: labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relay.audit import AuditWord
from relay.commands.auditing import counts, write_line
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, enter
from relay.core.register import Device, Register
from relay.labels import PER_SHEET, Paper, label_of, make_labels
from relay.register_shapes import hint
from relay.texts import labels as say
from relay.texts import provisioning as say_provisioning
from relay.texts.refusal import RefusalError
from relay.whole_files import READABLE, write_whole

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


def chosen(register: Register, names: list[str]) -> list[Device]:
    """These devices, or all; those of a household together."""
    for name in names:
        if name not in register.devices:
            raise RefusalError(say_provisioning.NO_SUCH_DEVICE, id=name, hint=hint(name, register.devices))
    found = [register.devices[name] for name in names] or sorted(register.devices.values(), key=_by_place)
    if not found:
        raise RefusalError(say.NO_DEVICES)
    return found


def write_pdf(to: Path, content: bytes) -> None:
    """Whole, and over nothing."""
    if to.exists():
        raise RefusalError(say.FILE_EXISTS, path=to)
    try:
        write_whole(to, content, READABLE)
    except OSError as error:
        raise RefusalError(say_provisioning.NOT_WRITTEN, path=to, reason=error.strerror) from None


def _by_place(device: Device) -> tuple[str, str, str]:
    return device.community, device.household or "", device.id
