"""Every mistake of a register file at once: grammar, shapes, ids, references, limits; each with its line.

The checks see the rows as they were written, not the register that they would make, so that one mistake hides no other.
Errors make a file unusable; warnings say what will probably surprise somebody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from doorbell.wire.messages import MAX_PEERS
from relay.core.policy import Target, TargetType, parse_target
from relay.core.register import OFFICE_KIND
from relay.register_shapes import TABLES, check_keys, hint
from relay.register_toml import Piece, RegisterText, SyntaxMistake, read_register_text
from relay.texts import Language, Text
from relay.texts import register_problems as say
from relay.toml_lines import TomlPath, locate_paths

MAX_REGISTER_BYTES = 256 * 1024 * 1024
"""A million devices, half a million households each with a volunteer of its own, are 140 MB; more is the wrong file."""


class Severity(StrEnum):
    """Whether a file can be used in spite of it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to repair, or to think about, in a register file."""

    line: int
    key: str
    """Where: ``household.liu.volunteers``; empty for the file as a whole."""
    message_zh: str
    message_en: str
    severity: Severity = Severity.ERROR

    def message(self, language: Language) -> str:
        """What is wrong, in this language."""
        return self.message_en if language is Language.EN else self.message_zh


@dataclass(frozen=True, slots=True)
class Row:
    """One ``[[table]]`` of the file."""

    table: str
    piece: int
    index: int
    """Its place among the tables of its name in its piece, from 0; -1 if it was written with single brackets."""
    content: dict[str, Any]

    @property
    def id(self) -> str:
        """Its id; empty if it has none that could be one."""
        value = self.content.get("id")
        return value if isinstance(value, str) else ""

    @property
    def path(self) -> TomlPath:
        """Where it is in its piece."""
        return (self.table,) if self.index < 0 else (self.table, self.index)

    def names(self, key: str) -> Iterator[tuple[TomlPath, str]]:
        """The texts under a key, be it one text, a list or a table, with where they are in the row."""
        value = self.content.get(key)
        if isinstance(value, str):
            yield (key,), value
        parts: Iterator[tuple[int | str, Any]] = iter(())
        if isinstance(value, list):
            parts = iter(enumerate(value))
        elif isinstance(value, dict):
            parts = iter(value.items())
        for part, name in parts:
            if isinstance(name, str):
                yield (key, part), name


@dataclass(frozen=True, slots=True)
class _Finding:
    row: Row
    path: TomlPath
    text: Text
    fields: dict[str, object]
    severity: Severity
    other: Row | None = None
    other_path: TomlPath = ()


@dataclass(slots=True)
class RegisterCheck:
    """The rows of a file and what is wrong with them."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in TABLES})
    problems: list[Problem] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether there is no error."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)


def examine_register(source: str | bytes) -> RegisterCheck:
    """Check the text, or the bytes, of a register file."""
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_REGISTER_BYTES:
        return _unreadable(1, say.TOO_LARGE, limit_mb=MAX_REGISTER_BYTES // 1024 // 1024)
    try:
        text = source.decode("utf-8") if isinstance(source, bytes) else source
    except UnicodeDecodeError as error:
        return _unreadable(error.object.count(b"\n", 0, error.start) + 1, say.NOT_UTF8)
    return _Examiner(read_register_text(text)).examine()


def check_register(source: str | bytes) -> list[Problem]:
    """Every problem of a register file, in the order of its lines; no error among them means that it can be read."""
    return examine_register(source).problems


def _unreadable(line: int, text: Text, /, **fields: object) -> RegisterCheck:
    return RegisterCheck(problems=[_problem(line, "", text, fields)])


def _problem(
    line: int, key: str, text: Text, fields: dict[str, object], severity: Severity = Severity.ERROR
) -> Problem:
    zh, en = (text.say(language, **fields) for language in (Language.ZH, Language.EN))
    return Problem(line, key, zh, en, severity)


class _Examiner:
    def __init__(self, text: RegisterText) -> None:
        self._text = text
        self._result = RegisterCheck()
        self._rows = self._result.rows
        self._findings: list[_Finding] = []
        self._by_id: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
        self._devices: dict[str, tuple[Row, TomlPath]] = {}

    def examine(self) -> RegisterCheck:
        for number, piece in enumerate(self._text.pieces):
            self._take_piece(number, piece)
        for rows in self._rows.values():
            for row in rows:
                whole = not self._text.mistakes
                check_keys(partial(self._tell, row), (), row.content, TABLES[row.table], whole_row=whole)
        self._find_duplicates()
        self._find_devices_named_twice()
        self._follow_references()
        self._count_peers()
        if not self._text.mistakes:
            self._warn()
        self._settle()
        return self._result

    def _tell(self, row: Row, path: TomlPath, text: Text, /, **fields: object) -> None:
        self._findings.append(_Finding(row, path, text, fields, Severity.ERROR))

    def _twice(self, row: Row, path: TomlPath, text: Text, first: tuple[Row, TomlPath], /, **fields: object) -> None:
        self._findings.append(_Finding(row, path, text, fields, Severity.ERROR, *first))

    def _warning(self, row: Row, path: TomlPath, text: Text, /, **fields: object) -> None:
        self._findings.append(_Finding(row, path, text, fields, Severity.WARNING))

    # -----------------------------------------------------------------------------------------------------------------
    # Rows

    def _take_piece(self, number: int, piece: Piece) -> None:
        for table, value in piece.content.items():
            whole = Row(table, number, -1, {})
            if table not in TABLES:
                known = ", ".join(f"[[{name}]]" for name in TABLES)
                self._tell(whole, (), say.UNKNOWN_TABLE, known=known, hint=hint(table, TABLES))
            elif isinstance(value, list) and all(isinstance(row, dict) for row in value):
                self._rows[table] += [Row(table, number, index, row) for index, row in enumerate(value)]
            else:
                self._tell(whole, (), say.SINGLE_BRACKETS, table=table)
                if isinstance(value, dict):
                    self._rows[table].append(Row(table, number, -1, value))

    def _find_duplicates(self) -> None:
        for table, rows in self._rows.items():
            for row in rows:
                if not row.id:
                    continue
                first = self._by_id[table].setdefault(row.id, row)
                if first is not row:
                    self._twice(row, ("id",), say.DUPLICATE_ID, (first, ("id",)), id=row.id)

    def _find_devices_named_twice(self) -> None:
        for table, key in (("household", "panels"), ("person", "bells")):
            for row in self._rows[table]:
                for path, name in row.names(key):
                    first = self._devices.setdefault(name, (row, path))
                    if first[0] is not row:
                        owner = f"{first[0].table} {first[0].id}"
                        self._twice(row, path, say.DEVICE_TWICE, first, id=name, owner=owner)

    # -----------------------------------------------------------------------------------------------------------------
    # References

    def _known(self, name: str, among: Collection[str]) -> bool:
        return name in among or name in self._text.unread

    def _follow_references(self) -> None:
        references = [(table, "community", "community") for table, keys in TABLES.items() if "community" in keys]
        references += [("household", "volunteers", "person"), ("household", "policies", "policy")]
        references += [("group", "members", "person"), ("group", "hooks", "hook")]
        for table, key, meant in references:
            there = self._by_id[meant]
            for row in self._rows[table]:
                for path, name in row.names(key):
                    if not self._known(name, there):
                        self._tell(row, path, say.NO_SUCH, table=meant, id=name, hint=hint(name, there))
                    elif name in there:
                        self._same_community(row, path, there[name])
        for row in self._rows["device"]:
            if row.id and not self._known(row.id, self._devices):
                self._tell(row, ("id",), say.NO_SUCH_DEVICE, id=row.id, hint=hint(row.id, self._devices))
        groups = {name for row in self._rows["group"] for key in ("id", "kind") for _, name in row.names(key)}
        for row in self._rows["policy"]:
            for path, target in _targets(row):
                if target.type is TargetType.GROUP and not self._known(target.name, groups):
                    self._tell(row, path, say.NO_SUCH_GROUP, id=target.name, hint=hint(target.name, groups))
                hooks = self._by_id["hook"]
                if target.type is TargetType.HOOK and not self._known(target.name, hooks):
                    self._tell(row, path, say.NO_SUCH, table="hook", id=target.name, hint=hint(target.name, hooks))

    def _same_community(self, row: Row, path: TomlPath, other: Row) -> None:
        ours, theirs = row.content.get("community"), other.content.get("community")
        if isinstance(ours, str) and isinstance(theirs, str) and ours != theirs:
            self._tell(row, path, say.OTHER_COMMUNITY, id=other.id, ours=ours, theirs=theirs)

    def _bells(self, person: str) -> list[str]:
        row = self._by_id["person"].get(person)
        return [bell for _, bell in row.names("bells")] if row is not None else []

    def _count_peers(self) -> None:
        panels_of: dict[str, int] = {}
        for row in self._rows["household"]:
            volunteers = {person for _, person in row.names("volunteers")}
            panels = sum(1 for _ in row.names("panels"))
            for person in volunteers:
                panels_of[person] = panels_of.get(person, 0) + panels
            bells = sum(len(self._bells(person)) for person in volunteers)
            if bells > MAX_PEERS:
                self._tell(row, ("volunteers",), say.TOO_MANY_BELLS, count=bells, limit=MAX_PEERS)
        for row in self._rows["person"]:
            count = panels_of.get(row.id, 0)
            if count > MAX_PEERS:
                for path, bell in row.names("bells"):
                    self._tell(row, path, say.TOO_MANY_PANELS, bell=bell, count=count, limit=MAX_PEERS)

    # -----------------------------------------------------------------------------------------------------------------
    # Warnings

    def _warn(self) -> None:
        told: set[str] = set()
        for row in self._rows["household"]:
            if not row.content.get("volunteers"):
                self._warning(row, (), say.NO_VOLUNTEERS)
            if not row.content.get("panels"):
                self._warning(row, (), say.NO_PANEL)
            for _, person in row.names("volunteers"):
                there = self._by_id["person"].get(person)
                if there is not None and person not in told and not there.content.get("bells"):
                    told.add(person)
                    self._warning(there, (), say.NO_BELL, id=person)
        for row in self._rows["group"]:
            heard = any(self._bells(person) for _, person in row.names("members"))
            if not heard and not row.content.get("hooks"):
                self._warning(row, (), say.GROUP_CALLS_NOBODY)
        office_groups = (row for row in self._rows["group"] if row.content.get("kind") == OFFICE_KIND)
        offices = {community for row in office_groups for _, community in row.names("community")}
        for row in self._rows["community"]:
            if row.id and row.id not in offices:
                self._warning(row, (), say.NO_OFFICE, id=row.id)

    # -----------------------------------------------------------------------------------------------------------------
    # Places

    def _settle(self) -> None:
        """Give every finding its line; only now, because most files have none."""
        problems = [_problem(m.line, "", m.text, m.fields) for m in self._text.mistakes]
        wanted: dict[int, set[TomlPath]] = {}
        for finding in self._findings:
            wanted.setdefault(finding.row.piece, set()).add((*finding.row.path, *finding.path))
            if finding.other is not None:
                wanted.setdefault(finding.other.piece, set()).add((*finding.other.path, *finding.other_path))
        lines: dict[tuple[int, TomlPath], int] = {}
        for number, paths in wanted.items():
            piece = self._text.pieces[number]
            for path, line in locate_paths(piece.text, paths).items():
                lines[number, path] = piece.first_line + line - 1
        for finding in self._findings:
            row, fields = finding.row, finding.fields
            if finding.other is not None:
                other = finding.other
                fields = {**fields, "other_line": lines[other.piece, (*other.path, *finding.other_path)]}
            line = lines[row.piece, (*row.path, *finding.path)]
            problems.append(_problem(line, _key(row, finding.path), finding.text, fields, finding.severity))
        errors = any(problem.severity is Severity.ERROR for problem in problems)
        failure: SyntaxMistake | None = self._text.failure
        if failure is not None and not errors:
            # Each table by itself is well, and together they are no TOML: rare, and told in tomllib's words.
            problems.append(_problem(failure.line, "", failure.text, failure.fields))
        elif not errors and not self._rows["community"]:
            problems.append(_problem(1, "", say.EMPTY, {}))
        self._result.problems = sorted(problems, key=lambda p: (p.line, p.key, p.message_en))


def _targets(row: Row) -> Iterator[tuple[TomlPath, Target]]:
    """The usable targets of a policy, with where they are in its row."""
    steps = row.content.get("steps")
    for number, step in enumerate(steps if isinstance(steps, list) else ()):
        call = step.get("call") if isinstance(step, dict) else None
        for place, text in enumerate(call if isinstance(call, list) else ()):
            try:
                target = parse_target(text) if isinstance(text, str) else None
            except ValueError:
                target = None
            if target is not None:
                yield ("steps", number, "call", place), target


def _key(row: Row, path: TomlPath) -> str:
    """``household.liu.volunteers``, ``policy.night.steps[2].wait_s``; a row without an id by its number from 1."""
    parts = [row.table]
    if row.index >= 0 or row.id:
        parts.append(row.id or f"#{row.index + 1}")
    told = ".".join(parts)
    for part in path:
        told += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return told
