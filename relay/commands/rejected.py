"""``doorbell-relay rejected``: what came in and could not be used."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from doorbell.wire import format_time
from relay.audit import AuditWord
from relay.commands.auditing import write_line
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, enter
from relay.commands.showing import local_time
from relay.texts import commands as say
from relay.texts.timeline import visible

SHOWN_PAYLOAD = 80

app = typer.Typer(help=say.REJECTED.en, no_args_is_help=True)


@app.command("list", help=say.REJECTED_LIST.en, epilog="doorbell-relay rejected list --limit 20")
def list_(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option("--limit", help=say.LIMIT.en, min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        rows = store.rejected(limit)
        write_line(setting, store, AuditWord.REJECTED_READ, {"count": len(rows)})
    if as_json:
        keys = ("topic", "reason", "detail")
        told = [
            {
                "at": format_time(row.at),
                **{key: getattr(row, key) for key in keys},
                "payload": row.payload.decode("utf-8", "backslashreplace"),
            }
            for row in rows
        ]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    if not rows:
        setting.out.print(setting.say(say.NO_REJECTED))
        return
    columns = (say.COL_TIME, say.COL_TOPIC, say.COL_REASON, say.COL_DETAIL, say.COL_PAYLOAD)
    table = Table(*(setting.say(column) for column in columns))
    for row in rows:
        # Bytes of a stranger: shown so that they cannot steer the terminal.
        payload = repr(row.payload[:SHOWN_PAYLOAD])[2:-1]
        table.add_row(local_time(row.at), visible(row.topic), row.reason, visible(row.detail), payload)
    setting.out.print(table)
