"""``make fuzz``: strangers' bytes for everything that reads them, in two processes, with a line of progress.

    make fuzz                                            the whole million
    make fuzz ARGS="packets register --number 50000"     some of it
    make fuzz ARGS="--seed 7 --seconds 60 --jobs 1"      otherwise, and for so long at the most
    make fuzz ARGS="--replay var/fuzz/crashes/csr-…"     an input that crashed, once more

What reached something new is kept in var/fuzz/corpus, and the next run goes on from there (``--fresh``: begins anew).
Exit code: 0 no crash, 1 crashes, 2 a run that did not come to its end.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from tests.fuzz.engine import Tally, Trial, run_alone, run_guided
from tests.fuzz.pages import write_results
from tests.fuzz.subject import ROOT, Meter, Subject
from tests.fuzz.targets import TARGETS, WHOLE

LOOK_S = 0.5
_GUIDED = importlib.util.find_spec("atheris") is not None


@dataclass(slots=True)
class Part:
    """A share of a target's inputs, in a process of its own."""

    target: str
    number: int
    seed: int
    report: Path
    process: subprocess.Popen[bytes] | None = None
    seen: dict[str, Any] = field(default_factory=dict)

    def look(self) -> None:
        """Read what the process has told so far."""
        with suppress(OSError, ValueError):  # not begun, or being written
            self.seen = json.loads(self.report.read_text())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    if options.replay is not None:
        return _replay(options.replay)
    if options.part is not None:
        _run_part(options)
        return 0
    names = options.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"no target {', '.join(unknown)}; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    return _run(options, names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Strangers' bytes for everything that reads them.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all of them by default")
    parser.add_argument("--number", type=int, help=f"inputs in all, shared as in the whole run of {WHOLE}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at the most, for each target")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--engine", choices=("guided", "alone"), default="guided" if _GUIDED else "alone")
    parser.add_argument("--directory", type=Path, default=ROOT / "var" / "fuzz", help="for corpus and crashes")
    parser.add_argument("--fresh", action="store_true", help="forget the corpus first")
    parser.add_argument("--write", action="store_true", help="write the table into docs/fuzzing.md")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a kept input alone, and show what it raises")
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    return parser


def _replay(path: Path) -> int:
    target = TARGETS[path.name.rpartition("-")[0]]
    subject = target.load()
    try:
        with Meter().watching():
            outcome = subject.run(path.read_bytes())
    except BaseException:  # noqa: BLE001 - it is shown, whatever it is
        traceback.print_exc()
        return 1
    print(f"{target.name}: {outcome}")
    return 0


def _run_part(options: argparse.Namespace) -> None:
    target = TARGETS[options.targets[0]]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    def trial_of(subject: Subject) -> Trial:
        return Trial(subject, Tally(target.name, options.number), options.seconds, options.part)

    if options.engine == "guided":
        run_guided(target, trial_of, options.seed, options.directory / "corpus" / target.name)
    else:
        subject = target.load()
        trial = trial_of(subject)
        run_alone(subject, trial, options.seed)
        trial.tell()


def _run(options: argparse.Namespace, names: list[str]) -> int:
    began, reports = time.monotonic(), options.directory / "parts"
    if options.fresh:
        shutil.rmtree(options.directory / "corpus", ignore_errors=True)
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    parts = list(_parts(options, names, reports))
    waiting, running = [*parts], list[Part]()
    while waiting or running:
        while waiting and len(running) < options.jobs:
            part = waiting.pop(0)
            part.process = _start(options, part)
            running.append(part)
        for part in [*running]:
            part.look()
            if part.process is not None and part.process.poll() is not None:
                part.look()
                running.remove(part)
        _progress(parts, running, time.monotonic() - began)
        if running and running[0].process is not None:
            with suppress(subprocess.TimeoutExpired):
                running[0].process.wait(LOOK_S)
    print(file=sys.stderr)
    return _tell(options, parts, time.monotonic() - began)


def _parts(options: argparse.Namespace, names: list[str], reports: Path) -> Iterator[Part]:
    whole = sum(TARGETS[name].number for name in names)
    for name in names:
        number = TARGETS[name].number * (options.number or whole) // whole
        for job in range(options.jobs):
            share = number // options.jobs + (job < number % options.jobs)
            if share:
                yield Part(name, share, options.seed * options.jobs + job, reports / f"{name}.{job}.json")


def _start(options: argparse.Namespace, part: Part) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        part.target,
        "--part",
        str(part.report),
        "--number",
        str(part.number),
    ]
    command += ["--seed", str(part.seed), "--seconds", str(options.seconds), "--engine", options.engine]
    with part.report.with_suffix(".log").open("wb") as log:
        return subprocess.Popen([*command, "--directory", str(options.directory)], cwd=ROOT, stdout=log, stderr=log)


def _progress(parts: list[Part], running: list[Part], seconds: float) -> None:
    done, crashes = sum(_of(part, "done") for part in parts), sum(len(part.seen.get("crashes", ())) for part in parts)
    names = ", ".join(sorted({part.target for part in running}))
    rate, whole = done / max(seconds, 0.1), sum(part.number for part in parts)
    text = f"{done:,} of {whole:,} inputs, {rate:,.0f}/s, {crashes} crashes  {names}"
    print(f"\r{text:<100}", end="", flush=True, file=sys.stderr)


def _of(part: Part, what: str) -> int:
    return int(part.seen.get(what, 0))


def _tell(options: argparse.Namespace, parts: list[Part], seconds: float) -> int:
    folder = options.directory / "crashes"
    crashes: dict[tuple[str, str], tuple[str, bytes]] = {}
    for part in parts:
        for place, (told, data) in part.seen.get("crashes", {}).items():
            crashes.setdefault((part.target, place), (told, bytes.fromhex(data)))
    for (target, place), (told, data) in crashes.items():
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
        file.write_bytes(data)
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        print(f'\n{target}: {place}\n  {told}\n  again: make fuzz ARGS="--replay {shown}"')
    rows = []
    for name in dict.fromkeys(part.target for part in parts):
        mine = [part for part in parts if part.target == name]
        outcomes: Counter[str] = Counter()
        for part in mine:
            outcomes.update(part.seen.get("outcomes", {}))
        cost_s = sum(float(part.seen.get("seconds", 0)) for part in mine)
        found = sum(target == name for target, _place in crashes)
        rows.append((name, sum(_of(part, "done") for part in mine), cost_s, outcomes, found))
    for name, done, cost_s, outcomes, found in rows:
        common = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common(4))
        print(f"{name:<11} {done:>9,} inputs {cost_s:>7.1f} s {found:>3} crashes   {common}")
    whole = all(part.process is not None and part.process.returncode == 0 and part.seen for part in parts)
    total = sum(row[1] for row in rows)
    print(f"{total:,} inputs in {seconds:.0f} s, seed {options.seed}, {options.engine}: {len(crashes)} crashes")
    if not whole:
        print("a process ended before its time: see the logs in", options.directory / "parts", file=sys.stderr)
        return 2
    if options.write:
        write_results(rows, seconds, options.seed, options.engine)
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
