"""The table of the last whole run in docs/fuzzing.md."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence

from tests.fuzz.subject import ROOT
from tests.fuzz.targets import TARGETS

PAGE = ROOT / "docs" / "fuzzing.md"
BEGIN, END = "<!-- the last whole run -->\n", "<!-- end of the last whole run -->\n"
Row = tuple[str, int, float, Counter[str], int]
"""Target, inputs, seconds of its processes together, outcomes, crashes."""


def write_results(rows: Sequence[Row], seconds: float, seed: int, engine: str) -> None:
    """Put a run's table in the place of the one before."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(head + BEGIN + table(rows, seconds, seed, engine) + END + tail, "utf-8")


def table(rows: Sequence[Row], seconds: float, seed: int, engine: str) -> str:
    """Markdown."""
    lines = [
        "",
        "| target | what | inputs | seconds | understood or refused as documented | crashes |",
        "| --- | --- | ---: | ---: | --- | ---: |",
    ]
    for name, done, cost_s, outcomes, crashes in rows:
        common = ", ".join(f"{outcome}: {count:,}" for outcome, count in outcomes.most_common(3))
        lines.append(f"| `{name}` | {TARGETS[name].what} | {done:,} | {cost_s:.0f} | {common} | {crashes} |")
    total, crashes = sum(row[1] for row in rows), sum(row[4] for row in rows)
    lines += [
        f"| | | **{total:,}** | {sum(row[2] for row in rows):.0f} | | **{crashes}** |",
        "",
        f"Seed {seed}, engine `{engine}`, Python {platform.python_version()}, {seconds:.0f} s by the clock.",
        "",
    ]
    return "\n".join(lines) + "\n"
