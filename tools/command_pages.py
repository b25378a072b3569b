"""Bash completion and manual page of ``doorbell-device``, both from its own argument parser."""

# ruff: noqa: SLF001 - argparse tells what a parser has in no public way

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from device.command import _parser
from device.texts import text

PROGRAM = "doorbell-device"
_PLACES = {"FILE", "PATH", "SOCKET", "DIR", "WAV"}
"""Values that are files: the shell completes them itself."""
_LOCALES = {"en": "en_US.UTF-8", "zh-CN": "zh_CN.UTF-8"}

_HEADINGS = {"en": ("NAME", "FILES"), "zh-CN": ("名称", "文件")}
_FILES = """
/etc/doorbell/device.toml
/var/lib/doorbell-device/
/run/doorbell-device/
/usr/share/doc/doorbell-device/install.md
/usr/share/doc/doorbell-device/examples/
"""

Parsers = dict[tuple[str, ...], argparse.ArgumentParser]


def command_parsers() -> Parsers:
    """Every command with its parser, by the words that lead to it: ``()``, ``("run",)``, ``("pins", "press")``."""
    return dict(_walk((), _parser()))


def _walk(
    path: tuple[str, ...], parser: argparse.ArgumentParser
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    yield path, parser
    for name, child in _commands(parser).items():
        yield from _walk((*path, name), child)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands below a parser; aliases too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def bash_completion() -> str:
    """A script for /usr/share/bash-completion/completions."""
    lines = [
        f"# Completion of {PROGRAM}; made from its argument parser by tools/command_pages.py.",
        "_doorbell_device() {",
        '  local word here="" current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
        '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        '    case "$here/$word" in',
        f'      {" | ".join(_quoted(path) for path in command_parsers() if path)}) here+="/$word" ;;',
        "    esac",
        "  done",
        '  case "$here $before" in',
    ]
    for path, parser in command_parsers().items():
        for option, words in _values(parser):
            reply = f'mapfile -t COMPREPLY < <(compgen {words} -- "$current"); compopt -o filenames'
            lines.append(
                f"    {_quoted(path, option)}) {reply if words == '-f' else reply.partition(';')[0]}; return ;;"
            )
    lines += ["  esac", '  case "$here" in']
    lines += [
        f'    {_quoted(path) if path else chr(34) * 2}) word="{" ".join(_words(parser))}" ;;'
        for path, parser in command_parsers().items()
    ]
    lines += ["  esac", '  mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")', "}"]
    return "\n".join([*lines, f"complete -F _doorbell_device {PROGRAM}", ""])


def _quoted(path: tuple[str, ...], option: str | None = None) -> str:
    here = "".join(f"/{name}" for name in path)
    return f'"{here}"' if option is None else f'"{here} {option}"'


def _values(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Options that take a value which the shell can complete, with what ``compgen`` needs to know."""
    for action in parser._actions:
        for option in action.option_strings:
            if action.choices is not None:
                yield option, f'-W "{" ".join(map(str, action.choices))}"'
            elif action.nargs != 0 and action.metavar in _PLACES:
                yield option, "-f"


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """What may follow: commands, the choices of a plain argument, options."""
    words: list[str] = []
    for action in parser._actions:
        if action.option_strings:
            words += action.option_strings
        elif action.choices is not None:
            words += map(str, action.choices)
    return words


def manual_page(language: str) -> str:
    """The manual page: the help of every command, as the program itself prints it."""
    name, files = _HEADINGS[language]
    with _speaking(language):
        parsers = command_parsers()
        parts = [
            f'.TH {PROGRAM.upper()} 1 "" "love-doorbell"',
            _section(name, f"{PROGRAM} \\- {_roff(text('about'))}"),
        ]
        seen: set[int] = set()
        for path, parser in parsers.items():
            if id(parser) not in seen:  # an alias is not explained a second time
                seen.add(id(parser))
                parts.append(_section(" ".join((PROGRAM, *path)), f".nf\n{_roff(parser.format_help())}\n.fi"))
        parts.append(_section(files, f".nf\n{_roff(_FILES.strip())}\n.fi"))
    return "\n".join([*parts, ""])


def _section(title: str, body: str) -> str:
    return f'.SH "{title}"\n{body}'


def _roff(words: str) -> str:
    escaped = words.rstrip().replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


@contextmanager
def _speaking(language: str) -> Iterator[None]:
    """The program's words in a language, 80 columns wide, whatever terminal this runs in."""
    wanted = {"LC_ALL": _LOCALES[language], "COLUMNS": "80"}
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
