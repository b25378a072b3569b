"""``doorbell-relay journal``: everything that happened, as CSV for people or as JSON lines for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from relay.adapters.store_rows import JournalLine
from relay.audit import AuditWord
from relay.commands.auditing import write_line
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, Setting, enter
from relay.commands.showing import line_json
from relay.texts import Language
from relay.texts import commands as say
from relay.texts.timeline import tell_line
from relay.texts.words import line_word

_COLUMNS = (
    say.COL_SEQ,
    say.COL_TIME,
    say.COL_COMMUNITY,
    say.COL_HOUSEHOLD,
    say.COL_ALARM,
    say.COL_TYPE,
    say.COL_WORD,
    say.COL_WHAT,
    say.COL_DEVICE,
    say.COL_EVENT,
    say.COL_DATA,
)


class JournalFormat(StrEnum):
    """For whom."""

    CSV = "csv"
    JSONL = "jsonl"


def journal(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    form: Annotated[JournalFormat, typer.Option("--format", "-f", help=say.FORMAT.en)] = JournalFormat.CSV,
    since: Annotated[str, typer.Option("--since", help=say.SINCE.en)] = "",
    until: Annotated[str, typer.Option("--until", help=say.UNTIL.en)] = "",
    alarm: Annotated[str, typer.Option("--alarm", help=say.ONE_ALARM.en)] = "",
    community: Annotated[str, typer.Option("--community", help=say.ONE_COMMUNITY.en)] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help=say.OUTPUT.en)] = None,
) -> None:
    setting = enter(context, config)
    first, last = read_time(setting, since), read_time(setting, until)
    with setting.store() as store:
        alarm_id = setting.find_alarm(store, alarm).id if alarm else None
        asked = {"since": since, "until": until, "alarm": alarm_id}
        detail = {name: value for name, value in asked.items() if value}
        write_line(setting, store, AuditWord.JOURNAL_READ, detail, community=community or None)
        lines = store.journal(alarm=alarm_id, community=community or None, since=first, until=last)
        with _open(setting, output, form) as stream:
            count = _write(setting, form, stream, lines, progress=output is not None)
    if output is not None:
        setting.err.print(setting.say(say.LINES_WRITTEN, path=output, count=count), soft_wrap=True)


def read_time(setting: Setting, text: str) -> datetime | None:
    if not text:
        return None
    try:
        # A time without a zone is of this machine's clocks.
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise setting.refuse(say.BAD_TIME, text=repr(text)) from None


@contextmanager
def _open(setting: Setting, output: Path | None, form: JournalFormat) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    # Excel takes a CSV for the local code page unless it begins with a mark.
    marked = form is JournalFormat.CSV and setting.language is Language.ZH
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8-sig" if marked else "utf-8", newline="") as stream:  # noqa: PTH123
            yield stream
    except OSError as error:
        raise setting.refuse(say.CANNOT_WRITE, path=output, reason=error.strerror) from None


def _write(
    setting: Setting, form: JournalFormat, stream: TextIO, lines: Iterable[JournalLine], *, progress: bool
) -> int:
    count = 0
    writer = csv.writer(stream, lineterminator="\r\n")
    if form is JournalFormat.CSV:
        writer.writerow([setting.say(column) for column in _COLUMNS])
    with setting.err.status("...") as status:
        for count, line in enumerate(lines, start=1):
            match form:
                case JournalFormat.CSV:
                    writer.writerow([harmless(cell) for cell in _row(line, setting.language)])
                case JournalFormat.JSONL:
                    stream.write(json.dumps(line_json(line), ensure_ascii=False) + "\n")
            if progress and count % 10_000 == 0:
                status.update(f"{count} ...")
    return count


def _row(line: JournalLine, language: Language) -> list[Any]:
    data = json.dumps(dict(line.data), ensure_ascii=False) if line.data else ""
    return [
        line.seq,
        line.at.astimezone().isoformat(sep=" ", timespec="milliseconds"),
        line.community,
        line.household or "",
        line.alarm or "",
        line.type,
        line_word(line.type, language),
        tell_line(line.type, line.data, language, device=line.device),
        line.device or "",
        line.event or "",
        data,
    ]


def harmless(cell: Any) -> Any:
    """A cell that a spreadsheet will not run: a text that begins like a formula gets an apostrophe (OWASP)."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell
