"""The whole of ``doorbell-relay``: its commands, its languages, its errors and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from importlib.metadata import version
from typing import Annotated, Any

import structlog
import typer

from doorbell.errors import SetupError
from doorbell.logs import configure_logs
from doorbell.service import ExitCode
from relay.commands import account, alarms, audit, authority, broker, privacy, provision, register, rejected, store
from relay.commands.journal import journal
from relay.commands.run import run
from relay.commands.setting import console
from relay.commands.web import web
from relay.ports import StoreError
from relay.texts import Language, Text, choose_language, parse_language
from relay.texts import audit as say_audit
from relay.texts import authority as say_authority
from relay.texts import broker as say_broker
from relay.texts import commands as say
from relay.texts import labels as say_labels
from relay.texts import people as say_people
from relay.texts import privacy as say_privacy
from relay.texts import provisioning as say_provisioning
from relay.texts import renewing as say_renewing

PROGRAM = "doorbell-relay"
CATALOGUES = (
    *(say, say_audit, say_authority, say_broker, say_labels, say_people, say_privacy, say_provisioning),
    say_renewing,
)
"""Where the help's texts are."""

_log = structlog.get_logger("relay")

app = typer.Typer(help=say.PROGRAM.en, no_args_is_help=True, pretty_exceptions_enable=False)
app.command(
    help=say.RUN.en,
    epilog=f"{say.RUN_EXITS.en}\n\ndoorbell-relay run --config relay.toml\n\ndoorbell-relay run --check",
)(run)
app.command(help=say.WEB.en, epilog=f"{say.RUN_EXITS.en}\n\ndoorbell-relay web --config relay.toml")(web)
app.add_typer(register.app, name="register")
app.add_typer(alarms.app, name="alarms")
app.command(help=say.JOURNAL.en, epilog="doorbell-relay journal --since 2026-11-01 --output november.csv")(journal)
app.add_typer(rejected.app, name="rejected")
app.add_typer(store.app, name="store")
app.add_typer(privacy.app, name="privacy")
app.add_typer(authority.app, name="authority")
app.add_typer(broker.app, name="broker")
app.add_typer(provision.app, name="provision")
app.add_typer(audit.app, name="audit")
app.add_typer(account.app, name="account")


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {version('love-doorbell')}")
        raise typer.Exit


@app.callback(help=say.PROGRAM.en)
def _program(
    _language: Annotated[str, typer.Option("--language", help=say.LANGUAGE.en, metavar="zh-CN|en")] = "",
    _version: Annotated[
        bool, typer.Option("--version", help=say.VERSION.en, callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``doorbell-relay``; returns its exit code (``doorbell.service.ExitCode``)."""
    words, asked = take_language(sys.argv[1:] if arguments is None else arguments)
    language = (parse_language(asked) if asked is not None else None) or choose_language(os.environ)
    speaking = language or Language.ZH
    configure_logs("auto", "warning")
    try:
        if asked is not None and parse_language(asked) is None:
            raise SetupError(f"--language {asked}: zh-CN / en")
        build_command(speaking).main(args=words, prog_name=PROGRAM, obj=language)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else ExitCode.OK
    except SetupError as error:
        complain(speaking, str(error))
        return ExitCode.SETUP
    except StoreError as error:
        text = say.STORE_BUSY if error.retryable else say.STORE_FAILED
        complain(speaking, text.say(speaking, reason=error))
        return ExitCode.UNAVAILABLE
    except Exception:  # noqa: BLE001 - whatever else comes up is a bug of ours: told with its trace, and started again
        _log.critical("relay.bug", exc_info=True)
        return ExitCode.BUG
    return ExitCode.OK


def complain(language: Language, message: str) -> None:
    """An error, on stderr, in one paragraph."""
    console(stderr=True).print(f"{say.ERROR.say(language)}: {message}", style="red", soft_wrap=True)


def take_language(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The command line without ``--language X``, wherever it stands, and X."""
    left: list[str] = []
    asked: str | None = None
    parts = iter(words)
    for word in parts:
        if word == "--":
            left += [word, *parts]
        elif word == "--language":
            asked = next(parts, "")
        elif word.startswith("--language="):
            asked = word.partition("=")[2]
        else:
            left.append(word)
    return left, asked


# ---------------------------------------------------------------------------------------------------------------------
# The help in a language


def build_command(language: Language) -> Any:
    """The program as a command whose help speaks this language."""
    command: Any = typer.main.get_command(app)
    # Shown in every help; ``take_language`` has taken it away before anything is parsed.
    shown = copy(next(param for param in command.params if "--language" in param.opts))
    shown.expose_value = False
    for part in walk_commands(command):
        if part is not command:
            part.params.append(copy(shown))
        _translate(part, language)
    return command


def walk_commands(command: Any) -> Iterator[Any]:
    """A command and all those below it."""
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from walk_commands(child)


def texts_by_english() -> Mapping[str, Text]:
    """The catalogue of help texts by their English, which is what stands in the commands' definitions."""
    return {text.en: text for module in CATALOGUES for text in vars(module).values() if isinstance(text, Text)}


def _translate(command: Any, language: Language) -> None:
    catalogue = texts_by_english()

    def translated(english: str | None) -> str | None:
        text = catalogue.get(english or "")
        return text.say(language) if text is not None else english

    help_option = command.get_help_option(typer.Context(command))
    command.help, command.short_help = translated(command.help), translated(command.short_help)
    if command.epilog:
        told = (
            f"{say.EXAMPLES.say(language)}: {part}" if part.startswith(PROGRAM) else translated(part)
            for part in command.epilog.split("\n\n")
        )
        command.epilog = "\n\n".join(filter(None, told))
    command.rich_help_panel = say.COMMANDS.say(language)
    for param in (*command.params, help_option):
        param.help = translated(param.help)
        is_option = param.param_type_name == "option"
        if is_option and param.is_flag:
            param.metavar = ""  # typer's own word for it, <bool>, looks like a value to be written
        param.rich_help_panel = (say.OPTIONS if is_option else say.ARGUMENTS).say(language)
