"""The text of a register file as rows with places, whatever is wrong with it.

``tomllib`` stops at the first mistake of grammar. Then the text is read table by table: a line that cannot be read is
told and left out, and the rest is still checked, so that a person sees every mistake in one go.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from relay.texts import Text
from relay.texts import register_problems as say

MAX_MISTAKES_IN_TABLE = 20
"""Lines of one table that are told and left out before the table is given up."""

_TABLE_START = re.compile(r"^[ \t]*\[\[?[ \t]*[A-Za-z0-9_-]+[ \t]*(?:\]|$)", re.MULTILINE)
_STATEMENT = re.compile(r"^[ \t]*(?:\[|[A-Za-z0-9_.\"'-]+[ \t]*=)")
_AT_LINE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_WORDS = re.compile(r"[a-z0-9][a-z0-9-]*")
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")
_FULL_WIDTH = re.compile(r"[“”‘’，＝［］｛｝＂＇\u3000]")
_ENDLESS = (('Expected "\'"', "'"), ("Unterminated", '"""'))
"""Texts that run to the end of the file, and the quote by which to find where they began."""
_MEANINGS: tuple[tuple[str, Text], ...] = (
    ("Illegal character '\\n'", say.UNCLOSED_STRING),
    ("Found invalid character '\\n'", say.UNCLOSED_STRING),
    ("Unterminated string", say.UNCLOSED_STRING),
    ("Expected \"'", say.UNCLOSED_STRING),
    ("Unclosed array", say.UNCLOSED_ARRAY),
    ("Unclosed inline table", say.UNCLOSED_TABLE),
    ("Cannot overwrite", say.KEY_TWICE),
    ("Duplicate inline table key", say.KEY_TWICE),
    ("Expected '='", say.NO_EQUALS),
    ("Invalid value", say.BAD_VALUE),
    ("Expected newline", say.EXTRA_AFTER_VALUE),
    ("Expected ']", say.BAD_HEADER),
    ("Illegal character", say.CONTROL),
    ("Found invalid character", say.CONTROL),
)


@dataclass(frozen=True, slots=True)
class SyntaxMistake:
    """A line that is no TOML."""

    line: int
    text: Text
    fields: dict[str, object]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the file that is valid TOML: usually all of it. ``first_line`` is its place in the file, from 1."""

    first_line: int
    text: str
    content: dict[str, Any]


@dataclass(slots=True)
class RegisterText:
    """A register file as far as it can be read."""

    pieces: list[Piece] = field(default_factory=list)
    mistakes: list[SyntaxMistake] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    """Words of the lines that could not be read: ids that may be registered all the same."""
    failure: SyntaxMistake | None = None
    """Why the text as a whole is no TOML, if it is none: its tables may be well and yet contradict one another."""


def read_register_text(text: str) -> RegisterText:
    """Read the whole text; if its grammar is wrong somewhere, table by table."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found = RegisterText()
    try:
        found.pieces.append(Piece(1, text, tomllib.loads(text)))
    except ValueError as error:
        match = _AT_LINE.search(str(error))
        line = int(match[1]) if match is not None and match[1] else text.count("\n") + 1
        found.failure = SyntaxMistake(line, say.SYNTAX, {"detail": _AT_LINE.sub("", str(error))})
        # Also a number of more digits than Python reads, which is no TOMLDecodeError.
        for first_line, part in _tables(text):
            _read_part(found, first_line, part)
    except RecursionError:
        found.mistakes.append(SyntaxMistake(1, say.TOO_DEEP, {}))
    return found


def _tables(text: str) -> Iterator[tuple[int, str]]:
    starts = [0, *(match.start() for match in _TABLE_START.finditer(text) if match.start() > 0), len(text)]
    line = 1
    for start, end in pairwise(starts):
        yield line, text[start:end]
        line += text.count("\n", start, end)


def _read_part(found: RegisterText, first_line: int, part: str) -> None:
    lines = part.split("\n")
    for _ in range(MAX_MISTAKES_IN_TABLE):
        try:
            found.pieces.append(Piece(first_line, text := "\n".join(lines), tomllib.loads(text)))
        except ValueError as error:
            at, start, end = _blame(lines, str(error))
            found.mistakes.append(_explain(first_line + at, lines[at], str(error)))
            found.unread.update(_WORDS.findall("\n".join(lines[start:end])))
            if lines[start].lstrip().startswith("["):
                break
            lines[start:end] = [""] * (end - start)
        else:
            return
    found.unread.update(_WORDS.findall(part))


def _blame(lines: list[str], message: str) -> tuple[int, int, int]:
    """The line to tell, and the statement (from, to) to leave out because of it."""
    match = _AT_LINE.search(message)
    if match is not None and match[1]:
        at, column = int(match[1]) - 1, int(match[2])
        starts_here = not lines[at][: column - 1].strip() and _STATEMENT.match(lines[at])
        if message.startswith("Unclosed") and starts_here and at > 0:
            # The reader ran on into the next statement; the culprit is the one before.
            start = _statement_before(lines, at - 1)
            return start, start, at
    else:
        quote = next((quote for start, quote in _ENDLESS if message.startswith(start)), "")
        at = next((n for n in range(len(lines) - 1, -1, -1) if lines[n].strip() and quote in lines[n]), 0)
        at = _statement_before(lines, at)
    end = next((n for n in range(at + 1, len(lines)) if _STATEMENT.match(lines[n])), len(lines))
    return at, _statement_before(lines, at), end


def _statement_before(lines: list[str], at: int) -> int:
    return next((n for n in range(at, -1, -1) if _STATEMENT.match(lines[n])), at)


def _explain(line: int, source: str, message: str) -> SyntaxMistake:
    detail = _AT_LINE.sub("", message)
    if odd := _FULL_WIDTH.findall(_STRING.sub("", source)):
        return SyntaxMistake(line, say.FULL_WIDTH, {"found": " ".join(dict.fromkeys(odd)).replace("\u3000", "U+3000")})
    for start, text in _MEANINGS:
        if detail.startswith(start):
            return SyntaxMistake(line, text, {"found": detail.rpartition("character ")[2]})
    return SyntaxMistake(line, say.SYNTAX, {"detail": detail})
