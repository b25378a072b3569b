"""Watching the journal grow: a live table at a terminal, lines anywhere else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text as Line

from relay.adapters.store_rows import JournalLine
from relay.commands.setting import SHORT_ID, Setting
from relay.commands.showing import Shower, local_time
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.texts import commands as say
from relay.texts.words import line_word

LOOK_BACK = timedelta(minutes=10)
"""What happened just before somebody began to watch is shown too."""
SHOWN_LINES = 15
SHOWN_ALARMS = 100


class Watched(Protocol):
    """The part of the store that is read while watching."""

    def journal(
        self, *, since: datetime | None = None, after_seq: int = 0, limit: int | None = None
    ) -> Iterator[JournalLine]: ...

    def alarms(self, open_only: bool = True, limit: int = 100) -> list[Alarm]: ...

    def load_register(self) -> tuple[int, Register]: ...


def follow(store: Watched, *, since: datetime, pause: Callable[[], object]) -> Iterator[list[JournalLine]]:
    """New journal lines, again and again, also none; begins ``LOOK_BACK`` before ``since``. Ends with its ``pause``."""
    start: datetime | None = since - LOOK_BACK
    seq = 0
    while True:
        lines = list(store.journal(since=start, after_seq=seq))
        if lines:
            # From here on the number says what is new: the relay's clock may be set back, the number never is.
            seq, start = lines[-1].seq, None
        yield lines
        pause()


class Watcher:
    """Shows what ``follow`` gives. A context: the terminal is tidied at its end."""

    def __init__(self, setting: Setting, store: Watched) -> None:
        self._setting = setting
        self._store = store
        self._lines: deque[JournalLine] = deque(maxlen=SHOWN_LINES)
        self._live = Live(console=setting.out, auto_refresh=False) if setting.out.is_terminal else None
        self._shower = self._new_shower()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _new_shower(self) -> Shower:
        return Shower(self._setting, self._store.load_register()[1])

    def show(self, lines: Sequence[JournalLine], now: datetime) -> None:
        """Show these new lines, and the open alarms as they are now."""
        self._lines.extend(lines)
        if any(line.type == "raised" for line in lines):
            self._shower = self._new_shower()  # households may have been registered since
        if self._live is None:
            for line in lines:
                self._setting.out.print(self._line(line), soft_wrap=True)
            return
        alarms = self._store.alarms(open_only=True, limit=SHOWN_ALARMS)
        open_table: Table | Line = self._shower.table(alarms, now)
        if not alarms:
            open_table = Line(self._setting.say(say.NO_OPEN_ALARMS), style="green")
        heads = [Line(self._setting.say(head), style="bold") for head in (say.OPEN_ALARMS, say.LATEST)]
        latest = [Line(self._line(line)) for line in self._lines]
        self._live.update(Group(heads[0], open_table, Line(), heads[1], *latest), refresh=True)

    def _line(self, line: JournalLine) -> str:
        word = line_word(line.type, self._setting.language)
        home = self._shower.label(line.household) if line.household is not None else "-"
        alarm = line.alarm[:SHORT_ID] if line.alarm is not None else "-" * SHORT_ID
        return f"{local_time(line.at)}  {alarm}  {home}  [{word}]  {self._shower.line(line)}"
