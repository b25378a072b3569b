"""docs/mutants.md: how many wrong changes the tests notice, module by module, and which they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.ledger import SURVIVED

OUT = Path("docs/mutants.md")


@dataclass(frozen=True, slots=True)
class Row:
    """A module. ``killers``: by mutant the test that failed first, empty if none did."""

    module: str
    killers: Mapping[str, str]

    @property
    def killed(self) -> int:
        """How many mutants some test has noticed."""
        return sum(by != SURVIVED for by in self.killers.values())

    @property
    def survived(self) -> list[str]:
        """The others, in the order of the text."""
        return [name for name, by in self.killers.items() if by == SURVIVED]


def score_pct(rows: Iterable[Row], without: Mapping[str, str] | None = None) -> float:
    """Killed of all, in percent; ``without``: leaving out those that are equivalent."""
    counted = [name for row in rows for name in row.killers if name not in (without or {})]
    killed = sum(row.killed for row in rows)
    return 100 * killed / len(counted) if counted else 100.0


def table(rows: list[Row], equivalents: Mapping[str, str]) -> list[str]:
    """A line for each module, and one for all."""
    lines = ["| module | mutants | killed | survived | equivalent | killed, % | without equivalents, % |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for label, some in [*((f"`{row.module}`", [row]) for row in rows), ("**all**", rows)]:
        total, killed = sum(len(row.killers) for row in some), sum(row.killed for row in some)
        equal = sum(name in equivalents for row in some for name in row.survived)
        scores = f"{score_pct(some):.1f} | {score_pct(some, equivalents):.1f}"
        lines.append(f"| {label} | {total} | {killed} | {total - killed - equal} | {equal} | {scores} |")
    return lines


def survivors(rows: Iterable[Row], equivalents: Mapping[str, str]) -> list[str]:
    """A line for each mutant that should not have survived."""
    return [f"- {name}" for row in rows for name in row.survived if name not in equivalents]


def untrue(rows: list[Row], equivalents: Mapping[str, str]) -> list[str]:
    """What the list of equivalents says and this run does not."""
    lines = []
    for row in rows:
        listed = [name for name in equivalents if name.startswith(f"{row.module}:")]
        lines += [f"does not exist any more: {name}" for name in listed if name not in row.killers]
        lines += [f"is no equivalent, {by} notices: {name}" for name in listed if (by := row.killers.get(name))]
    return lines


def write_page(rows: list[Row], equivalents: Mapping[str, str]) -> None:
    """docs/mutants.md, anew."""
    OUT.write_text(_PAGE.format(table="\n".join(table(rows, equivalents)), left=_left(rows, equivalents)), "utf-8")


def _left(rows: list[Row], equivalents: Mapping[str, str]) -> str:
    return "\n".join(survivors(rows, equivalents)) or "None."


_PAGE = """\
# Would a test notice?

Written by `make mutants ARGS="--fresh --write"`; do not edit.

The cores decide who is called and when. Here each of their lines is made wrong on purpose, one small change at a time:
a condition that is always met, `<` for `<=`, a field that stays as it was, another number, a missing case. The tests of
the cores run against each such mutant, and one of them should fail. `tools/mutants/changes.py` says what is changed.

A mutant that behaves as the original does is equivalent, and no test can notice it: those stand with their reasons in
`tools/mutants/equivalent.toml`, and count as not killed in the first score, as absent in the second.

{table}

## What survived

{left}
"""
