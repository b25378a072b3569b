"""The storm: many seeds, each a day of a village with everything going wrong, healed and required to come to rest."""

from __future__ import annotations

import gc
import json
import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog

from sim.ending import end_day
from sim.faults import Faults, draw_trouble
from sim.people import HOUR_MS, Habits, People
from sim.schedule import TRAIL_LENGTH, Violation
from sim.village import Village
from sim.world import build_register

POLL_MS = 600_000
"""The office of a village edits its register a few times a day; asking every second would be most of the work."""
REPORT_INTERVAL_S = 7_200
"""The heartbeat of a village's devices; births, wills and what changes are reported at once as everywhere."""


@dataclass(frozen=True, slots=True)
class StormPlan:
    """What every seed goes through."""

    households: int = 20
    days: int = 1
    trail: int = TRAIL_LENGTH
    """So many of the newest steps are shown of a seed that fails."""


@dataclass(frozen=True, slots=True)
class StormResult:
    """How one seed went. ``failure``: the broken rule, None if it passed."""

    seed: int
    failure: str | None
    steps: tuple[str, ...] = ()
    """The newest steps before the failure."""
    counts: Counter[str] = field(default_factory=Counter)


def run_seed(seed: int, plan: StormPlan) -> StormResult:
    """One seed from its first morning to its rest. Any exception is a failure; the same seed does the same again."""
    name = f"storm-{seed}"
    village = build_village(name, plan)
    counts = village.counts
    try:
        live_through(village, plan)
    except Violation as violation:
        return StormResult(seed, str(violation), tuple(village.trail.lines()), counts)
    except Exception as error:  # noqa: BLE001 - a bug anywhere is this seed's result, and the other seeds go on
        where = "".join(traceback.format_exception(error)[-6:])
        return StormResult(seed, f"{type(error).__name__}: {error}\n{where}", tuple(village.trail.lines()), counts)
    return StormResult(seed, None, (), counts)


def build_village(name: str, plan: StormPlan) -> Village:
    """A village before its first morning."""
    world = build_register(Village.stream(name, "world"), plan.households)
    return Village(world, name, poll_ms=POLL_MS, report_interval_s=REPORT_INTERVAL_S, trail=plan.trail)


def live_through(village: Village, plan: StormPlan) -> None:
    """People, trouble, the days, and their end. Raises whatever goes wrong."""
    chance = village.chance("trouble")
    people = People(village, Habits(alarms=max(2, plan.households * 9 // 20)))
    faults = Faults(village, draw_trouble(chance))
    village.start()
    for day in range(plan.days):
        faults.plan_day(day, people.plan_day(day))
        village.schedule.run_until((day + 1) * 24 * HOUR_MS)
    end_day(village, people, faults)
    village.counts["steps"] = village.schedule.happened


def prepare_process() -> None:
    """Let the programs' logs cost next to nothing (the trail tells more), and collect garbage rarely: a seed makes
    little of it that lives in circles, and ends with all of it."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )


def run_storm(seeds: range, plan: StormPlan, jobs: int) -> Iterator[StormResult]:
    """The results of many seeds, as they come."""
    if jobs <= 1:
        prepare_process()
        for seed in seeds:
            yield run_seed(seed, plan)
        return
    with multiprocessing.get_context("fork").Pool(jobs, initializer=prepare_process) as pool:
        yield from pool.imap_unordered(_Runner(plan), seeds, chunksize=4)


@dataclass(frozen=True, slots=True)
class _Runner:
    plan: StormPlan

    def __call__(self, seed: int) -> StormResult:
        return run_seed(seed, self.plan)


def storm_command(seeds: range, plan: StormPlan, jobs: int, *, as_json: bool) -> int:
    """``doorbell-sim storm``: run, print failures and progress, and a closing line. Returns the exit code."""
    began_s = time.monotonic()
    passed = failed = 0
    counts: Counter[str] = Counter()
    for result in run_storm(seeds, plan, jobs):
        counts.update(result.counts)
        if result.failure is None:
            passed += 1
        else:
            failed += 1
            _tell_failure(result, plan, as_json=as_json)
        done = passed + failed
        if not as_json and (done % 100 == 0 or done == len(seeds)):
            rate = done / max(time.monotonic() - began_s, 0.001)
            print(f"{done}/{len(seeds)} seeds, {failed} failed, {rate:.1f} seeds/s", flush=True)
    took_s = time.monotonic() - began_s
    if as_json:
        summary = {
            "passed": passed,
            "failed": failed,
            "seconds": round(took_s, 1),
            "counts": dict(sorted(counts.items())),
        }
        print(json.dumps(summary), flush=True)
    else:
        print(_summary(counts))
        print(f"{passed} passed, {failed} failed in {took_s:.0f} s", flush=True)
    return 1 if failed else 0


def _tell_failure(result: StormResult, plan: StormPlan, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"seed": result.seed, "failure": result.failure, "steps": result.steps}), flush=True)
        return
    print(f"seed {result.seed}: {result.failure}")
    for step in result.steps:
        print(f"    {step}")
    standard = (plan.households, plan.days) == (20, 1)
    options = "" if standard else f" --households {plan.households} --days {plan.days}"
    print(f"  replay: doorbell-sim storm --seed {result.seed}{options}", flush=True)


def _summary(counts: Counter[str]) -> str:
    """That the storm did storm: presses, alarms, and trouble, summed over all seeds."""
    faults = sum(number for name, number in counts.items() if name.startswith("fault."))
    return (
        f"{counts['finger.help']} presses for help, {counts['journal.raised']} alarms, "
        f"{counts['journal.accepted']} accepted, {counts['journal.not_arrived']} rung again, {faults} faults"
    )
