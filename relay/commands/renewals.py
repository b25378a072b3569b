"""``doorbell-relay authority renewals``, and how a running relay signs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from doorbell.wire import format_time
from relay.audit import AuditWord
from relay.commands.auditing import write_line
from relay.commands.broker import FolderOption, open_authority
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, Setting, enter
from relay.core.renewal import Renewal, RenewalRow
from relay.issued import Purpose
from relay.settings import AuthoritySettings
from relay.signing import RefusedError, Sign, sign_waiting
from relay.texts import authority as say
from relay.texts.refusal import RefusalError


def renewals(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    sign: Annotated[bool, typer.Option("--sign", help=say.SIGN_WAITING.en)] = False,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    with setting.telling(), setting.store() as store:
        if sign:
            open_authority(setting, folder)  # refused aloud if it is not there
            settings = setting.settings.authority
            here = settings if folder is None else settings.model_copy(update={"directory": folder})
            done = sign_waiting(store, signing(here), datetime.now(UTC))
            for device in done[Renewal.SIGNED]:
                told = {"for": Purpose.DEVICE.value, "name": device, "renewing": True}
                write_line(setting, store, AuditWord.IDENTITY_SIGNED, told, device=device)
            counts = {state.value: len(devices) for state, devices in done.items()}
            setting.err.print(setting.say(say.SIGNED_WAITING, **counts))
        rows = store.renewals()
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], ensure_ascii=False, indent=2))
    else:
        _show(setting, rows)


def signing(settings: AuthoritySettings) -> Sign:
    """How this authority signs. It is opened anew for each: another command may have changed it."""
    from relay.adapters.authority import NEVER, Authority  # noqa: PLC0415 - the other commands need no cryptography

    def sign(row: RenewalRow) -> str:
        try:
            made = Authority(settings.directory, settings.passphrase).renew(row.request.encode(), row.device)
        except RefusalError as refusal:
            if refusal.text in NEVER:
                raise RefusedError(str(refusal)) from None
            raise
        return made.chain.decode("ascii")

    return sign


def signing_if_here(settings: AuthoritySettings) -> Callable[[], Sign | None]:
    """For a relay: the way to sign, or None while the authority's folder is not on this machine."""
    return lambda: signing(settings) if settings.directory.is_dir() else None


def _show(setting: Setting, rows: list[RenewalRow]) -> None:
    if not rows:
        setting.out.print(setting.say(say.NO_RENEWALS))
        return
    table = Table(box=None, pad_edge=False)
    for column in (say.COL_NAME, say.COL_ASKED, say.COL_ANSWER):
        table.add_column(setting.say(column))
    for row in rows:
        result = setting.say(say.RENEWAL_STATES[row.state])
        told = f"{result}: {row.answer}" if row.state is Renewal.REFUSED else result
        table.add_row(row.device, f"{row.asked_at.astimezone():%Y-%m-%d %H:%M}", told)
    setting.out.print(table)


def _as_json(row: RenewalRow) -> dict[str, str | None]:
    told = asdict(row) | {"asked_at": format_time(row.asked_at), "state": row.state.value}
    told["answered_at"] = None if row.answered_at is None else format_time(row.answered_at)
    return told
