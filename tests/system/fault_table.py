"""Tells every story of the fault table, and writes docs/fault-table.md.

    python -m tests.system.fault_table [-k WORDS] [--minutes 8] [--jobs 4] [--fresh] [--write]

Results gather in ``--results`` (a file of JSON lines), so that the table may be told in several runs: what passed is
not told again unless ``--fresh``; beside it lies all that is known of a failure. Exits 0 if every case of the table
has passed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tests.system.fault import Bound
from tests.system.fault_cases import CITY_CASES, POSTGRESQL, SQLITE, TOWN_CASES, Case
from tests.system.processes import ROOT
from tests.system.test_fault_table import UNTIL

PAGE = ROOT / "docs" / "fault-table.md"
MARK = "<!-- tests/system/fault_table.py writes below -->"
RESULTS = ROOT / "var" / "fault-table" / "results.jsonl"
TESTS = "tests/system/test_fault_table.py"
Row = dict[str, Any]


class Gathering:
    """A plugin of pytest that keeps every outcome as it comes."""

    def __init__(self, results: Path, left: int) -> None:
        self._results = results
        self._left = left
        self._began = time.monotonic()
        self._terminal = sys.stdout
        self._commit = _commit()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line to the file, one to the terminal."""
        if report.skipped or (report.when != "call" and not report.failed):
            return
        name = report.nodeid.partition("[")[2].rstrip("]").partition(":")[2]
        told = dict(report.user_properties).get("fault")
        row = {"name": name, "ok": report.passed, "why": "" if report.passed else _reason(report), "told": told}
        row["commit"] = self._commit
        with self._results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        if report.failed:
            self._results.with_name(f"{name}.txt").write_text(report.longreprtext, "utf-8")
        self._left -= 1
        outcome = "ok    " if report.passed else "FAILED"
        took_s = time.monotonic() - self._began
        print(f"{took_s:6.0f} s  {self._left:4d} left  {outcome}  {name}", file=self._terminal, flush=True)


def _reason(report: pytest.TestReport) -> str:
    return str(getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longrepr)).split("\n", 1)[0][:400]


def table_cases() -> list[Case[Any]]:
    """All of them."""
    return [*TOWN_CASES, *CITY_CASES]


def read_results(path: Path) -> dict[str, Row]:
    """The newest outcome of each case."""
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return {row["name"]: row for row in rows}


def tell(cases: Sequence[Case[Any]], results: Path, jobs: int, minutes: float) -> None:
    """Tell these stories, as far as the time goes."""
    environment = {UNTIL: str(time.time() + minutes * 60)} if minutes else {}
    os.environ.update(environment)
    wanted = {case.name for case in cases}
    others = [f"--deselect={TESTS}::{_test(case)}" for case in table_cases() if case.name not in wanted]
    # Of the modules that the table comes from: none of them asserts.
    words = ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider", "--tb=short"]
    words += ["-n", str(jobs), "--dist", "loadgroup", TESTS, *others]
    gathering = Gathering(results, len(cases))
    with (results.with_name("pytest.log")).open("w", encoding="utf-8") as log, redirect_stdout(log):
        code = pytest.main(words, plugins=[gathering])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest ended with {code}: see {log.name}")


def _test(case: Case[Any]) -> str:
    return f"test_the_alarm_is_raised_once_and_taken_once_and_no_deadline_moves[{case.scene}:{case.name}]"


def report(results: dict[str, Row]) -> str:
    """The part of the page that comes from a run."""
    cases = table_cases()
    told = [(case, results[case.name]) for case in cases if case.name in results]
    passed = sum(row["ok"] for _, row in told)
    lines = [
        _machine({row["commit"] for _, row in told}),
        "",
        f"{passed} of {len(cases)} cases passed; {len(cases) - len(told)} were not told.",
        "",
    ]
    lines += [*_summary(told), ""]
    for place in (SQLITE, POSTGRESQL):
        lines += [f"### {place}", "", *_table([one for one in told if one[0].setup == place]), ""]
    failed = [f"- `{case.name}`: {row['why']}" for case, row in told if not row["ok"]]
    return "\n".join([*lines, *(["### Failed", "", *failed, ""] if failed else [])])


def _summary(told: Iterable[tuple[Case[Any], Row]]) -> list[str]:
    lines = ["| set-up | cases | passed | worst deadline | worst after a fault that lay across it | worst failover |"]
    lines += ["|---|---|---|---|---|---|"]
    rows = [(case, row) for case, row in told]
    for place in (SQLITE, POSTGRESQL):
        here = [row for case, row in rows if case.setup == place]
        worst = [_worst(here, bound) for bound in (Bound.AS_EVER, Bound.WHEN_OVER, Bound.FAILOVER)]
        lines.append(f"| {place} | {len(here)} | {sum(row['ok'] for row in here)} | {' | '.join(worst)} |")
    return lines


def _worst(rows: Iterable[Row], bound: Bound) -> str:
    errors = [
        row["told"]["deadline_error_s"]
        for row in rows
        if row["told"] and row["told"]["deadline_bound"] == bound.value and row["told"]["deadline_error_s"] is not None
    ]
    return f"{max(errors, key=abs):+.2f} s" if errors else "—"


def _table(told: Sequence[tuple[Case[Any], Row]]) -> list[str]:
    lines = [
        "| fault | moment | outcome | deadline, s | press to ring, s | whole story, s |",
        "|---|---|---|---|---|---|",
    ]
    counts = Counter(case.fault for case, _ in told)
    last = ""
    for case, row in told:
        fault = f"{case.fault} ({counts[case.fault]})" if case.fault != last else ""
        last = case.fault
        if (facts := row["told"]) is None:
            lines.append(f"| {fault} | {case.moment.value} | **failed** | | | |")
            continue
        error, bound = facts["deadline_error_s"], facts["deadline_bound"]
        deadline = "cut short" if error is None else f"{error:+.2f}" + ("" if bound == "as ever" else f" {bound}")
        numbers = f"{facts['press_to_ring_s']:.2f} | {facts['seconds']:.1f}"
        lines.append(f"| {fault} | {case.moment.value} | ok | {deadline} | {numbers} |")
    return lines


def _commit() -> str:
    """The newest that changed a program."""
    words = ["git", "log", "-1", "--format=%h", "--", "doorbell", "device", "relay"]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()


def _machine(commits: Iterable[str]) -> str:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    told = " and ".join(sorted(commits))
    return f"Told by {today} at {told}, {os.cpu_count()} cores shared with other work, Linux {platform.release()}."


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="words", nargs="*", default=[], help="only cases whose name has all these words")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no case after so many (default: all cases)")
    parser.add_argument("--jobs", type=int, default=4, help="scenes at a time (default: 4)")
    parser.add_argument("--fresh", action="store_true", help="forget what was told before")
    parser.add_argument("--write", action="store_true", help="keep the table in docs/fault-table.md")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results gather")
    asked = parser.parse_args()
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    if asked.fresh:
        asked.results.unlink(missing_ok=True)
    done = {name for name, row in read_results(asked.results).items() if row["ok"]}
    cases = [case for case in table_cases() if case.name not in done and all(word in case.name for word in asked.words)]
    if cases:
        tell(cases, asked.results, asked.jobs, asked.minutes)
    results = read_results(asked.results)
    text = report(results)
    if asked.write:
        head = PAGE.read_text("utf-8").split(MARK)[0]
        PAGE.write_text(f"{head}{MARK}\n\n{text}", "utf-8")
    print("\n".join(text.split("\n### ")[0].splitlines()))
    for row in results.values():
        if not row["ok"]:
            print(f"FAILED {row['name']}: {row['why']}")
    return 0 if all(results.get(case.name, {}).get("ok") for case in table_cases()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
