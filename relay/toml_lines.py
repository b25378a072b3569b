"""Where things stand in a TOML text: ``tomllib`` says what is in it, and this says on which line.

It is used only when there is something to tell about a file that ``tomllib`` has accepted, so it does not check
anything itself. (tomlkit keeps positions neither, and takes minutes for a register of a city.)
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection

TomlPath = tuple[str | int, ...]
"""Keys, and indexes into arrays from 0: ``("household", 2, "volunteers", 0)``."""

_TOKEN = re.compile(
    r"""
    (?P<blank> [ \t]+ | \#[^\n]* )
  | (?P<line> \r?\n )
  | (?P<string> \"{3} (?: \\. | [^\\] )*? \"{3,5} | '{3} .*? '{3,5} | " (?: \\. | [^"\\\n] )* " | '[^'\n]*' )
  | (?P<mark> [\[\]{}=,.] )
  | (?P<bare> [^\s\[\]{}=,."'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def locate_paths(text: str, wanted: Collection[TomlPath]) -> dict[TomlPath, int]:
    """The line, from 1, of each of the wanted paths; of one that is not in the text, the line of what holds it.

    ``text`` must be valid TOML. Time is linear in its length (about 2 s for 10 MB).
    """
    prefixes = {path[:length] for path in wanted for length in range(1, len(path) + 1)}
    found = _Scanner(text, prefixes).scan()
    return {path: _nearest(found, path) for path in wanted}


def _nearest(found: dict[TomlPath, int], path: TomlPath) -> int:
    return next((found[path[:length]] for length in range(len(path), 0, -1) if path[:length] in found), 1)


class _Scanner:
    """Walks through the tokens once and notes the lines of the wanted paths."""

    def __init__(self, text: str, wanted: Collection[TomlPath]) -> None:
        self._tokens = _TOKEN.finditer(text)
        self._wanted = wanted
        self._found: dict[TomlPath, int] = {}
        self._arrays: dict[TomlPath, int] = {}
        """The newest index of each array of tables."""
        self._line = 1
        self._kind = ""
        self._word = ""
        self._next_line = 1

    def scan(self) -> dict[TomlPath, int]:
        base: TomlPath = ()
        self._advance()
        while self._kind:
            if self._kind == "line":
                self._advance()
            elif self._word == "[":
                base = self._header()
            else:
                self._pair(base)
        return self._found

    def _advance(self) -> None:
        """To the next token that is not blank; ``_kind`` is empty at the end."""
        for match in self._tokens:
            self._line = self._next_line
            self._kind, self._word = match.lastgroup or "", match.group()
            if self._kind == "blank":
                continue
            if self._kind in ("line", "string"):
                self._next_line += self._word.count("\n")
            return
        self._kind = self._word = ""

    def _skip_lines(self) -> None:
        while self._kind == "line":
            self._advance()

    def _note(self, path: TomlPath, line: int) -> None:
        if path in self._wanted:
            self._found.setdefault(path, line)

    def _header(self) -> TomlPath:
        line = self._line
        self._advance()
        is_array = self._word == "["
        if is_array:
            self._advance()
        parts = self._key("]")
        self._advance()
        if is_array:
            self._advance()
        path: TomlPath = ()
        for place, part in enumerate(parts, start=1):
            path = (*path, part)
            if is_array and place == len(parts):
                self._note(path, line)
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path])
        self._note(path, line)
        return path

    def _pair(self, base: TomlPath) -> None:
        line = self._line
        path = base
        for part in self._key("="):
            path = (*path, part)
            self._note(path, line)
        self._advance()
        self._value(path)

    def _key(self, end: str) -> list[str]:
        """The parts of a dotted key, up to the token that ends it."""
        parts: list[str] = []
        while self._kind and not (self._kind == "mark" and self._word == end):
            if self._kind == "string":
                parts.append(tomllib.loads(f"key = {self._word}")["key"])
            elif self._kind == "bare":
                parts.append(self._word)
            self._advance()
        return parts

    def _value(self, path: TomlPath) -> None:
        if self._kind == "mark" and self._word == "[":
            self._array(path)
        elif self._kind == "mark" and self._word == "{":
            self._inline_table(path)
        else:
            # A number or a date may be several tokens: 1.5, 2026-11-23 06:43:00
            while self._kind and self._kind != "line" and self._word not in (",", "]", "}"):
                self._advance()

    def _array(self, path: TomlPath) -> None:
        self._advance()
        index = 0
        while self._kind:
            self._skip_lines()
            if self._word == "]":
                break
            if self._word == ",":
                self._advance()
                continue
            item = (*path, index)
            self._note(item, self._line)
            self._value(item)
            index += 1
        self._advance()

    def _inline_table(self, path: TomlPath) -> None:
        self._advance()
        while self._kind and self._word != "}":
            if self._word == "," or self._kind == "line":
                self._advance()
                continue
            self._pair(path)
        self._advance()
