"""docs/mutants.md: how many wrong changes the tests notice, module by module, and which they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.ledger import SURVIVED

OUT = Path("docs/mutants.md")


@dataclass(frozen=True, slots=True)
class Row:
    """A module. ``killers``: by mutant that was tried the test that failed first, empty if none did; ``untried``: how
    many were not, because the run was ended before."""

    module: str
    killers: Mapping[str, str]
    untried: int = 0

    @property
    def killed(self) -> int:
        """How many mutants some test has noticed."""
        return sum(by != SURVIVED for by in self.killers.values())

    @property
    def survived(self) -> list[str]:
        """The others, in the order of the text."""
        return [name for name, by in self.killers.items() if by == SURVIVED]


def score_pct(rows: Iterable[Row], without: Mapping[str, str] | None = None) -> float:
    """Killed of all that were tried, in percent; ``without``: leaving out those that are equivalent."""
    counted = [name for row in rows for name in row.killers if name not in (without or {})]
    killed = sum(row.killed for row in rows)
    return 100 * killed / len(counted) if counted else 100.0


def table(rows: list[Row], equivalents: Mapping[str, str]) -> list[str]:
    """A line for each module, and one for all."""
    lines = ["| module | mutants | tried | killed | survived | equivalent | killed, % | without equivalents, % |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for label, some in [*((f"`{row.module}`", [row]) for row in rows), ("**all**", rows)]:
        tried, killed = sum(len(row.killers) for row in some), sum(row.killed for row in some)
        total = tried + sum(row.untried for row in some)
        equal = sum(name in equivalents for row in some for name in row.survived)
        scores = f"{score_pct(some):.1f} | {score_pct(some, equivalents):.1f}" if tried else "– | –"
        lines.append(f"| {label} | {total} | {tried} | {killed} | {tried - killed - equal} | {equal} | {scores} |")
    return lines


def least(rows: Iterable[Row]) -> str:
    """The score of all mutants if none is killed of those that were not tried."""
    rows = list(rows)
    killed, total = sum(row.killed for row in rows), sum(len(row.killers) + row.untried for row in rows)
    return f"Of all {total} mutants, tried or not, {killed} are known to be killed: {100 * killed / total:.1f} %."


def survivors(rows: Iterable[Row], equivalents: Mapping[str, str], left: Mapping[str, str]) -> list[str]:
    """A line for each mutant that survived and is no equivalent, with the reason why it is left where there is one."""
    names = [name for row in rows for name in row.survived if name not in equivalents]
    return [f"- {name}" + (f": {left[name]}" if name in left else "") for name in names]


def untrue(rows: list[Row], listed: Mapping[str, str]) -> list[str]:
    """What the list of those that survive says and this run does not."""
    lines = []
    for row in rows:
        ours = [name for name in listed if name.startswith(f"{row.module}:")]
        if not row.untried:
            lines += [f"does not exist any more: {name}" for name in ours if name not in row.killers]
        lines += [f"does not survive, {by} notices: {name}" for name in ours if (by := row.killers.get(name))]
    return lines


def write_page(rows: list[Row], equivalents: Mapping[str, str], left: Mapping[str, str]) -> None:
    """docs/mutants.md, anew."""
    equal = [f"- {name}: {equivalents[name]}" for row in rows for name in row.survived if name in equivalents]
    OUT.write_text(
        _PAGE.format(
            table="\n".join([*table(rows, equivalents), "", least(rows)]),
            left="\n".join(survivors(rows, equivalents, left)) or "None.",
            equal="\n".join(equal) or "None.",
        ),
        "utf-8",
    )


_PAGE = """\
# Would a test notice?

Written by `make mutants ARGS=--write`; do not edit.

The cores decide who is called and when. Here each of their lines is made wrong on purpose, one small change at a time:
a condition that is always met, `<` for `<=`, a field that stays as it was, another number, a missing case. The tests of
the cores run against each such mutant, and one of them should fail. `tools/mutants/changes.py` says what is changed;
the table says how many such changes there are and how many of them were tried.

A mutant that behaves as the original does is equivalent, and no test can notice it: it counts as not killed in the
first score, as absent in the second. The reasons stand in `tools/mutants/equivalent.toml`.

{table}

## What survived

{left}

## What is equivalent

{equal}
"""
