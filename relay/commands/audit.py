"""``doorbell-relay audit``: list, verify, export."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from doorbell.wire import format_time
from relay.adapters.store_rows import from_ms
from relay.audit import AuditFault, AuditFinding, AuditHead, AuditLine, AuditSearch, AuditWord, parse_head
from relay.audit_head import read_head
from relay.commands.auditing import head_path, write_line
from relay.commands.journal import read_time
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, Setting, enter
from relay.commands.showing import local_time
from relay.texts import audit as say
from relay.texts import commands as say_commands
from relay.texts.timeline import visible

BROKEN = 1
"""The exit code of ``verify`` when something is wrong with the log."""
MAX_FACTS = 100
"""Characters of a line's detail that a table shows; ``--json`` shows all of it."""

app = typer.Typer(help=say.AUDIT.en, no_args_is_help=True)


@app.command("list", help=say.AUDIT_LIST.en, epilog="doorbell-relay audit list --household liu --since 2026-11-01")
def list_(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    household: Annotated[str | None, typer.Option("--household", help=say.HOUSEHOLD.en)] = None,
    person: Annotated[str | None, typer.Option("--person", help=say.PERSON.en)] = None,
    device: Annotated[str | None, typer.Option("--device", help=say.DEVICE.en)] = None,
    account: Annotated[str | None, typer.Option("--account", help=say.ACCOUNT.en)] = None,
    who: Annotated[str | None, typer.Option("--who", help=say.WHO.en)] = None,
    what: Annotated[AuditWord | None, typer.Option("--what", help=say.WORD.en)] = None,
    since: Annotated[str, typer.Option("--since", help=say_commands.SINCE.en)] = "",
    until: Annotated[str, typer.Option("--until", help=say_commands.UNTIL.en)] = "",
    before: Annotated[int | None, typer.Option("--before", help=say.BEFORE_SEQ.en, min=1)] = None,
    limit: Annotated[int, typer.Option("--limit", help=say_commands.LIMIT.en, min=1, max=10_000)] = 50,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    search = AuditSearch(
        household=household,
        person=person,
        device=device,
        account=account,
        who=who,
        what=what,
        since=read_time(setting, since),
        until=read_time(setting, until),
        before_seq=before,
    )
    with setting.store() as store:
        lines = store.audit.newest(search, limit)
        write_line(setting, store, AuditWord.AUDIT_READ, household=household, person=person, device=device)
    if as_json:
        typer.echo(json.dumps([line_json(line) for line in lines], ensure_ascii=False, indent=2))
        return
    if not lines:
        setting.out.print(setting.say(say.NO_LINES))
        return
    table = Table(box=None, pad_edge=False)
    for column in (say.COL_SEQ, say.COL_WHEN, say.COL_WHO, say.COL_DID, say.COL_ABOUT, say.COL_FACTS):
        table.add_column(setting.say(column))
    for line in lines:
        table.add_row(*_row(setting, line))
    setting.out.print(table)
    if len(lines) == limit and lines[-1].seq > 1:
        setting.out.print(setting.say(say.MORE_LINES, seq=lines[-1].seq))


@app.command(help=say.AUDIT_VERIFY.en, epilog=f"{say.AUDIT_VERIFY_EXITS.en}\n\ndoorbell-relay audit verify")
def verify(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    head: Annotated[list[str] | None, typer.Option("--head", help=say.HEAD.en, metavar="NUMBER:HASH")] = None,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    noted = [_parse(setting, text) for text in head or ()]
    spoilt: list[AuditFinding] = []
    path = head_path(setting)
    try:
        if (kept := read_head(path)) is not None:
            noted.append(kept)
    except (OSError, ValueError) as error:
        spoilt.append(AuditFinding(AuditFault.TRUNCATED, 0, str(error)))
    with setting.store() as store:
        verdict = store.audit.verify(noted)
    verdict.findings += spoilt
    if as_json:
        told = {
            "lines": verdict.lines,
            "first": verdict.first,
            "head": str(verdict.head),
            "findings": [{"fault": f.fault.value, "line": f.seq, "detail": f.detail} for f in verdict.findings],
        }
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    elif verdict.findings:
        for finding in verdict.findings:
            setting.out.print(_finding(setting, finding), style="red", soft_wrap=True)
        setting.out.print(setting.say(say.BROKEN, count=len(verdict.findings), lines=verdict.lines), soft_wrap=True)
    else:
        facts = {"lines": verdict.lines, "first": verdict.first, "last": verdict.head.seq}
        setting.out.print(setting.say(say.WHOLE, **facts))
        setting.out.print(setting.say(say.HEAD_IS, head=verdict.head), soft_wrap=True)
        if not noted and verdict.lines:
            setting.warn(say.NOT_COMPARED, path=path)
    if verdict.findings:
        raise typer.Exit(BROKEN)


@app.command(help=say.AUDIT_EXPORT.en, epilog="doorbell-relay audit export audit.jsonl")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help=say_commands.EXPORT_FILE.en, metavar="FILE")],
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help=say_commands.FORCE.en)] = False,
) -> None:
    setting = enter(context, config)
    to_terminal = str(file) == "-"
    if not to_terminal and file.exists() and not force:
        raise setting.refuse(say_commands.FILE_EXISTS, path=file)
    with setting.store() as store:
        write_line(setting, store, AuditWord.AUDIT_EXPORTED)
        texts = (json.dumps(line_json(line), ensure_ascii=False) for line in store.audit.lines())
        if to_terminal:
            for text in texts:
                typer.echo(text)
            return
        try:
            count = _write(file, texts)
        except OSError as error:
            raise setting.refuse(say_commands.CANNOT_WRITE, path=file, reason=error.strerror) from None
    setting.out.print(setting.say(say.EXPORTED, path=file, count=count), soft_wrap=True)


# ---------------------------------------------------------------------------------------------------------------------


def line_json(line: AuditLine) -> dict[str, Any]:
    """A line for programs. ``at_ms`` and ``detail`` are what was hashed."""
    names = ("who", "what", "community", "household", "person", "device", "account", "detail", "hash")
    told = {"seq": line.seq, "at": format_time(from_ms(line.at_ms)), "at_ms": line.at_ms}
    return {**told, **{name: getattr(line, name) for name in names}}


def _row(setting: Setting, line: AuditLine) -> list[str]:
    about = (line.community, line.household, line.person, line.device, line.account)
    facts = visible(line.detail if line.detail != "{}" else "")
    return [
        str(line.seq),
        local_time(_at(line)),
        visible(line.who),
        say.audit_word(visible(line.what), setting.language),
        visible(" ".join(filter(None, about))),
        facts if len(facts) <= MAX_FACTS else f"{facts[:MAX_FACTS]}…",
    ]


def _at(line: AuditLine) -> datetime:
    return from_ms(line.at_ms)


def _parse(setting: Setting, text: str) -> AuditHead:
    head = parse_head(text)
    if head is None:
        raise setting.refuse(say.BAD_HEAD, head=repr(text))
    return head


def _finding(setting: Setting, finding: AuditFinding) -> str:
    where = f"{setting.say(say.AT_LINE, seq=finding.seq)}: " if finding.seq else ""
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{where}{setting.say(say.FAULTS[finding.fault])}{detail}"


def _write(file: Path, texts: Iterable[str]) -> int:
    written = 0
    part = file.with_name(f"{file.name}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:  # noqa: PTH123 - Path.open knows no mode
        for text in texts:
            stream.write(f"{text}\n")
            written += 1
    part.replace(file)
    return written
