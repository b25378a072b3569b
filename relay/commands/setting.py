"""What every command needs: its settings, the language to answer in, the database, and a console to print on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal
from relay.adapters.store import SqlStore
from relay.core.alarm import Alarm
from relay.database import Place
from relay.settings import DEFAULT_CONFIG, RelaySettings, load_relay_settings
from relay.texts import Language, Text
from relay.texts import commands as say
from relay.texts.refusal import RefusalError

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help=say.CONFIG.en, envvar="DOORBELL_RELAY_CONFIG", dir_okay=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help=say.JSON.en)]

PIPE_WIDTH = 200
"""Columns where no terminal says how wide it is: a table in a file must not be cut at 80."""
SHORT_ID = 8
"""Characters of an alarm's id that are shown: random ones, so that 8 tell apart all that anybody looks at."""
SEARCHED_ALARMS = 100_000


def console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: names may contain ``[`` or ``:smile:``."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a command runs."""

    config: Path
    settings: RelaySettings
    language: Language
    out: Console = field(default_factory=console)
    err: Console = field(default_factory=lambda: console(stderr=True))

    def say(self, text: Text, /, **fields: object) -> str:
        """The text in the language of this command."""
        return text.say(
            self.language, **{k: v.say(self.language) if isinstance(v, Text) else v for k, v in fields.items()}
        )

    def refuse(self, text: Text, /, **fields: object) -> SetupError:
        """The error that tells the person at the keyboard what to change."""
        return SetupError(self.say(text, **fields))

    def warn(self, text: Text, /, **fields: object) -> None:
        """A line on stderr that is no error."""
        self.err.print(f"{self.say(say.WARNING)}: {self.say(text, **fields)}", style="yellow")

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What cannot be done in here is told in the language of this command."""
        try:
            yield
        except RefusalError as refusal:
            raise self.refuse(refusal.text, **refusal.fields) from None

    @property
    def database(self) -> Place:
        """The database: its file, without detours, or where it is on a server."""
        place = self.settings.place()
        return place.resolve() if isinstance(place, Path) else place

    @property
    def beside_the_database(self) -> Path:
        """What files begin with that are kept for the database: beside its file, or beside the settings."""
        place = self.database
        if isinstance(place, Path):
            return place.with_suffix("")
        return self.config.absolute().with_name(place.name.replace("/", "_"))

    @property
    def seal(self) -> Seal:
        """The privacy key, not read yet."""
        return Seal(self.settings.privacy.key_file)

    @property
    def web_secret(self) -> Path:
        """The file with what links and cookies are signed with."""
        base = self.beside_the_database
        return self.settings.web.secret_file or base.with_name(f"{base.name}-web-secret")

    @contextmanager
    def store(self, *, make: bool = False) -> Iterator[SqlStore]:
        """The database, beside the relay that may be running. ``make``: make it if it is missing, else refuse."""
        if make:
            make_folder(self.database)
        elif not SqlStore.is_made(self.database):
            raise self.refuse(say.NO_DATABASE, path=self.database, config=self.config)
        store = SqlStore.open(self.database, seal=self.seal)
        try:
            yield store
        finally:
            store.close()

    def find_alarm(self, store: SqlStore, prefix: str) -> Alarm:
        """The alarm whose id begins with ``prefix``, or that a press of this id was counted to."""
        if (exact := store.find_alarm(prefix)) is not None:
            return exact
        alarms = store.alarms(open_only=False, limit=SEARCHED_ALARMS) if prefix else []
        found = [alarm for alarm in alarms if alarm.id.startswith(prefix)]
        match found:
            case [alarm]:
                return alarm
            case []:
                raise self.refuse(say.NO_ALARM, id=prefix)
            case _:
                ids = " ".join(alarm.id[: len(prefix) + SHORT_ID] for alarm in found[:5])
                raise self.refuse(say.MANY_ALARMS, count=len(found), id=prefix, ids=ids)


def make_folder(database: Place) -> None:
    """Make the folder of a database's file, readable by its owner only: it holds names and addresses."""
    if not isinstance(database, Path):
        return
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{database.parent}: {error.strerror}") from None


def enter(context: typer.Context, config: Path) -> Setting:
    """Read the settings and choose the language: ``--language``, the terminal's locale, the settings, Chinese."""
    settings = load_relay_settings(config, os.environ)
    asked = context.obj
    return Setting(config, settings, asked if isinstance(asked, Language) else settings.language)


__all__ = ["DEFAULT_CONFIG", "ConfigOption", "JsonOption", "Setting", "console", "enter", "make_folder"]
