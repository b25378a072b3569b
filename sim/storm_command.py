"""``doorbell-sim storm``: runs seeds, tells failures and progress, keeps what is done, and closes with the totals."""

from __future__ import annotations

import fcntl
import json
import time
from collections import Counter
from collections.abc import Container, Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

from doorbell.errors import SetupError
from sim.storm import StormPlan, StormResult, run_storm

TELL_EVERY_S = 30.0
PRESSES = "finger.help"


@dataclass(frozen=True, slots=True)
class StormOrder:
    """What is to be run: so many seeds from the first on, or as many as it takes for so many presses for help.

    ``keep``: a file in which every seed's result is kept, so that the same order continues where it was ended. A seed
    that failed, or is missing there, is run then: what it found may have been mended.
    """

    first: int
    seeds: int | None
    presses: int | None = None
    jobs: int = 1
    keep: Path | None = None
    as_json: bool = False


@dataclass(slots=True)
class _Totals:
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    """Of all runs of this order, the earlier ones as well."""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.passed + self.failed

    def add(self, result: StormResult) -> None:
        self.counts.update(result.counts)
        if result.failure is None:
            self.passed += 1
        else:
            self.failed += 1


def storm_command(order: StormOrder, plan: StormPlan) -> int:
    """Run, print failures and progress, and a closing line. Returns the exit code: 1 if any seed failed."""
    totals = _Totals()
    with ExitStack() as opened:
        keeper = opened.enter_context(closing(_Keeper(order, plan))) if order.keep is not None else None
        seeds: Iterable[int] = count(order.first)
        if order.seeds is not None:
            seeds = range(order.first, order.first + order.seeds)
        if keeper is not None:
            known = keeper.read(totals)
            seeds = (seed for seed in seeds if seed not in known)
        if not _enough(order, totals):
            _run(order, plan, totals, keeper, seeds)
    _tell_totals(totals, as_json=order.as_json)
    return 1 if totals.failed else 0


def _run(order: StormOrder, plan: StormPlan, totals: _Totals, keeper: _Keeper | None, seeds: Iterable[int]) -> None:
    """What is left of an order."""
    began_s = told_s = time.monotonic()
    before_s, begun = totals.seconds, totals.counts[PRESSES]
    for result in run_storm(seeds, plan, order.jobs):
        totals.add(result)
        now_s = time.monotonic()
        totals.seconds = before_s + now_s - began_s
        if keeper is not None:
            keeper.add(result, totals.seconds)
        if result.failure is not None:
            _tell_failure(result, plan, as_json=order.as_json)
        if _enough(order, totals):
            break
        if not order.as_json and now_s - told_s >= TELL_EVERY_S:
            told_s = now_s
            print(_progress(order, totals, now_s - began_s, totals.counts[PRESSES] - begun), flush=True)


def _enough(order: StormOrder, totals: _Totals) -> bool:
    if order.presses is not None:
        return totals.counts[PRESSES] >= order.presses
    return totals.done >= (order.seeds or 0)


def _progress(order: StormOrder, totals: _Totals, spent_s: float, presses: int) -> str:
    """How far it is, how fast it goes, and when it will be done at this pace."""
    done, rate = totals.counts[PRESSES], presses / spent_s
    if order.presses is not None:
        left_s = (order.presses - done) / max(rate, 0.001)
        return (
            f"{done:,} of {order.presses:,} presses ({totals.done:,} seeds), {totals.failed} failed, "
            f"{rate:.0f} presses/s, {left_s / 60:.0f} min left"
        )
    return f"{totals.done}/{order.seeds} seeds, {totals.failed} failed, {done:,} presses, {rate:.0f} presses/s"


class _Keeper:
    """The file of what is done: a line of JSON that says which order it is, and one for each seed that was run."""

    def __init__(self, order: StormOrder, plan: StormPlan) -> None:
        assert order.keep is not None  # noqa: S101 - the caller has looked
        self._path = order.keep
        self._head = {"first": order.first, "plan": asdict(plan)}
        self._file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise SetupError(f"another run writes into {self._path}: wait for it, or name another file") from None

    def read(self, totals: _Totals) -> Container[int]:
        """Take over what is there, and return the seeds that need not be run: those that passed. A last line that was
        cut off by a kill is done again."""
        self._file.seek(0)
        lines = self._file.read().split("\n")
        whole = lines[:-1]
        if not whole:
            self._write(self._head)
            return ()
        if json.loads(whole[0]) != self._head:
            raise SetupError(f"{self._path} is of another order (plan or first seed); name another file")
        passed: set[int] = set()
        for kept in map(json.loads, whole[1:]):
            totals.seconds = max(totals.seconds, kept["seconds"])
            if kept["failure"] is None and kept["seed"] not in passed:
                passed.add(kept["seed"])
                totals.add(StormResult(kept["seed"], None, counts=Counter(kept["counts"])))
        if lines[-1]:
            self._file.truncate(len("\n".join([*whole, ""]).encode()))
        return passed

    def add(self, result: StormResult, seconds: float) -> None:
        """Keep a seed's result."""
        counts = dict(sorted(result.counts.items()))
        self._write({"seed": result.seed, "failure": result.failure, "seconds": round(seconds, 1), "counts": counts})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: object) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


def _tell_failure(result: StormResult, plan: StormPlan, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"seed": result.seed, "failure": result.failure, "steps": result.steps}), flush=True)
        return
    print(f"seed {result.seed}: {result.failure}")
    for step in result.steps:
        print(f"    {step}")
    options = " --busy" if plan.busy else ""
    if plan.relays is not None:
        options += f" --relays {plan.relays}"
    if (plan.households, plan.days) != (20, 1):
        options += f" --households {plan.households} --days {plan.days}"
    print(f"  replay: doorbell-sim storm --seed {result.seed}{options}", flush=True)


def _tell_totals(totals: _Totals, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "passed": totals.passed,
            "failed": totals.failed,
            "seconds": round(totals.seconds, 1),
            "counts": dict(sorted(totals.counts.items())),
        }
        print(json.dumps(summary), flush=True)
        return
    print(_summary(totals.counts))
    print(f"{totals.passed} passed, {totals.failed} failed in {totals.seconds:.0f} s", flush=True)


def _summary(counts: Counter[str]) -> str:
    """That the storm did storm: presses, alarms, and trouble, summed over all seeds."""
    faults = sum(number for name, number in counts.items() if name.startswith("fault."))
    return (
        f"{counts[PRESSES]} presses for help, {counts['journal.raised']} alarms, "
        f"{counts['journal.accepted']} accepted, {counts['journal.not_arrived']} rung again, {faults} faults, "
        f"{counts['several']} villages with several relays"
    )
