"""Mutation testing of the cores: would a test notice if a line were wrong?

    python -m tools.mutants                        # all modules; goes on where the last run was ended
    python -m tools.mutants relay.core.lease       # some; patterns as of a shell
    python -m tools.mutants --fresh --write        # everything anew, and into docs/mutants.md

Exits with 1 if less than 85 % of the mutants are killed, with 2 if the list of those that survive is not true.

Why not a library. mutmut 3.8 chooses tests by function and forks as we do, but changes only bodies of functions without
decorators: no property, constant, default or table, which is where the times, limits and patterns of this product
stand (445 of the first 3,201 mutants here run at import). It ends a mutant by the wall clock and counts that as killed,
so a run that was stopped for a while would boast; and what is equivalent becomes a comment in the product. cosmic-ray
starts pytest anew for each mutant: a second and a half of imports, three thousand times. Leaving this is easy: nothing
but this folder knows of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase

from tools.mutants.changes import mutants_of
from tools.mutants.forks import Tried
from tools.mutants.ledger import EQUIVALENTS, SURVIVED, Ledger, digest, load_listed, open_ledger
from tools.mutants.report import Row, score_pct, survivors, table, untrue, write_page
from tools.mutants.selection import quick_files
from tools.mutants.trials import PACKAGES, Package, Trials, parsed

SCORE_PCT = 85.0


class Progress:
    """One line on the terminal: how many are settled, and when all will be."""

    def __init__(self, total: int, ledgers: Iterable[Ledger]) -> None:
        self._total = total
        self._ledgers = list(ledgers)
        self._known = self._settled()
        self._began = self._told = time.monotonic()

    def _settled(self) -> int:
        return sum(len(ledger.killers) for ledger in self._ledgers)

    @property
    def over(self) -> bool:
        """Whether nothing is left to try."""
        return self._settled() == self._total

    def __call__(self, tried: Tried) -> None:
        """Another one is settled."""
        now = time.monotonic()
        terminal = sys.__stderr__ or sys.stderr  # pytest has the other
        if now - self._told < (1 if terminal.isatty() else 30):
            return
        self._told = now
        settled = self._settled()
        left_s = (now - self._began) / max(settled - self._known, 1) * (self._total - settled)
        survived = sum(by == SURVIVED for ledger in self._ledgers for by in ledger.killers.values())
        line = f"{settled} of {self._total}, {survived} survived, {left_s / 60:.0f} min left"
        terminal.write(f"\r{line}  {tried.name[:60]:60}" if terminal.isatty() else f"{line}  {tried.name}\n")
        terminal.flush()


def run(package: Package, wanted: list[str], *, fresh: bool, jobs: int, known: bool) -> list[Row]:
    """Try the mutants of some modules of a package; what became of each module. ``known``: try none."""
    modules = {name: path for name, path in package.modules().items() if any(fnmatchcase(name, one) for one in wanted)}
    tests = digest(quick_files(package.tests))
    ledgers = {module: open_ledger(module, path, tests, fresh=fresh, known=known) for module, path in modules.items()}
    names = {module: [one.name for one, _ in mutants_of(module, parsed(path))] for module, path in modules.items()}
    for module, ledger in ledgers.items():
        ledger.killers = {name: ledger.killers[name] for name in names[module] if name in ledger.killers}
    progress = Progress(sum(map(len, names.values())), ledgers.values())
    if not progress.over and not known:
        Trials(package, ledgers, progress, jobs).run()
    return [_row(module, names[module], ledgers[module].killers) for module in modules]


def _row(module: str, names: list[str], killers: dict[str, str]) -> Row:
    tried = {name: killers[name] for name in names if name in killers}
    return Row(module, tried, len(names) - len(tried))


def main(arguments: list[str] | None = None) -> int:
    """Run, tell, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Mutation testing of relay.core and device.core.")
    parser.add_argument("modules", nargs="*", default=["*"], help="such as relay.core.lease or 'device.core.*'")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs have found")
    parser.add_argument("--known", action="store_true", help="try nothing, tell what earlier runs have found")
    parser.add_argument("--write", action="store_true", help="put the table into docs/mutants.md (all modules only)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: processors)")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    options = {"fresh": asked.fresh, "jobs": asked.jobs, "known": asked.known}
    rows = [row for package in PACKAGES for row in run(package, asked.modules, **options)]
    rows = [row for row in rows if row.killers or row.untried]
    if not rows:
        parser.error(f"no module is called {' or '.join(asked.modules)}")
    equivalents, left = load_listed("equivalent"), load_listed("left")
    sys.stdout.write("\n".join(["", *table(rows, equivalents), "", *survivors(rows, equivalents, left)]) + "\n")
    sys.stdout.write(f"\n{(time.monotonic() - began) / 60:.1f} min\n")
    wrong = untrue(rows, {**equivalents, **left})
    for line in wrong:
        sys.stderr.write(f"{EQUIVALENTS}: {line}\n")
    if asked.write and asked.modules == ["*"]:
        write_page(rows, equivalents, left)
    return 2 if wrong else int(score_pct(rows) < SCORE_PCT)


if __name__ == "__main__":
    sys.exit(main())
