"""The storm: many seeds, each a day of a village with everything going wrong, healed and required to come to rest."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import traceback
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field

import structlog

from sim.ending import end_day
from sim.faults import Faults, draw_trouble
from sim.people import DAY_MS, HOUR_MS, Habits, People, draw_habits
from sim.schedule import TRAIL_LENGTH, Violation
from sim.village import Village
from sim.world import build_register

POLL_MS = 600_000
"""The office of a village edits its register a few times a day; asking every second would be most of the work."""
AHEAD = 6
"""Seeds under way for each process: one takes twenty times as long as another, and results come in order."""
SEEDS_OF_PROCESS = 200
"""After so many a process is replaced: whatever has piled up in it goes with it."""
REPORT_INTERVAL_S = 7_200
"""The heartbeat of a village's devices; births, wills and what changes are reported at once as everywhere."""


SEVERAL, SEVERAL_OF_BUSY = 0.05, 0.15
"""How many seeds have several relays: each beats every second, so an hour of them costs what a day costs of one."""


@dataclass(frozen=True, slots=True)
class StormPlan:
    """What every seed goes through."""

    households: int = 20
    days: int = 1
    busy: bool = False
    """Far more presses in far less time, under as many faults for each; the households are drawn then."""
    relays: int | None = None
    """So many in every village, on busy hours; None: drawn."""
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
    scene = draw_scene(name, plan)
    village = build_village(name, plan, scene)
    counts = village.counts
    try:
        live_through(village, plan, scene)
    except Violation as violation:
        return StormResult(seed, str(violation), tuple(village.trail.lines()), counts)
    except Exception as error:  # noqa: BLE001 - a bug anywhere is this seed's result, and the other seeds go on
        where = "".join(traceback.format_exception(error)[-6:])
        return StormResult(seed, f"{type(error).__name__}: {error}\n{where}", tuple(village.trail.lines()), counts)
    return StormResult(seed, None, (), counts)


@dataclass(frozen=True, slots=True)
class Scene:
    """What one seed is about, drawn from it. ``hours``: None for days as people have them."""

    households: int
    communities: int
    relays: int
    hours: int | None
    habits: Habits


def draw_scene(name: str, plan: StormPlan) -> Scene:
    """Quiet days with one relay, and here and there some busy hours with several; a busy plan has busy hours alone."""
    chance = Village.stream(name, "scene")
    several = chance.random() < (SEVERAL_OF_BUSY if plan.busy else SEVERAL)
    relays = chance.choice((2, 2, 3)) if several else 1
    if plan.relays is not None:
        relays = plan.relays
    if relays > 1:
        hours = chance.randint(1, 3 if plan.busy else 2)
        habits = draw_habits(chance, alarms=(20 if plan.busy else 8) * hours)
        return Scene(chance.randint(2, 6), 2, relays, hours, habits)
    if plan.busy:
        households = chance.randint(3, 10)
        return Scene(households, 1, 1, 24, draw_habits(chance, alarms=20 * households))
    return Scene(plan.households, 1, 1, None, Habits(alarms=max(2, plan.households * 9 // 20)))


def build_village(name: str, plan: StormPlan, scene: Scene) -> Village:
    """A village before its first morning."""
    world = build_register(Village.stream(name, "world"), scene.households, scene.communities)
    return Village(
        world, name, poll_ms=POLL_MS, report_interval_s=REPORT_INTERVAL_S, trail=plan.trail, relays=scene.relays
    )


def live_through(village: Village, plan: StormPlan, scene: Scene) -> None:
    """People, trouble, the days, and their end. Raises whatever goes wrong."""
    people = People(village, scene.habits)
    faults = Faults(village, draw_trouble(village.chance("trouble"), several=scene.relays > 1))
    village.start()
    if scene.hours is None:
        for day in range(plan.days):
            faults.plan(day * DAY_MS, DAY_MS, people.plan_day(day))
            village.schedule.run_until((day + 1) * DAY_MS)
    else:
        length_ms = scene.hours * HOUR_MS
        faults.plan(0, length_ms, people.plan_hours(length_ms))
        village.schedule.run_until(length_ms)
    end_day(village, people, faults)
    village.counts["steps"] = village.schedule.happened
    village.counts["several"] = scene.relays > 1


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


def run_storm(seeds: Iterable[int], plan: StormPlan, jobs: int) -> Generator[StormResult, None, None]:
    """The results of many seeds, in their order; ``seeds`` may be endless, and whoever has enough stops asking."""
    if jobs <= 1:
        prepare_process()
        for seed in seeds:
            yield run_seed(seed, plan)
        return
    ahead = threading.Semaphore(jobs * AHEAD)
    enough = threading.Event()

    def gated() -> Iterator[int]:
        """The pool would take all at once: not more than a few are under way for each process."""
        for seed in seeds:
            ahead.acquire()
            if enough.is_set():
                return
            yield seed

    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, initializer=prepare_process, maxtasksperchild=SEEDS_OF_PROCESS) as pool:
        try:
            for result in pool.imap(_Runner(plan), gated()):
                ahead.release()
                yield result
        finally:
            enough.set()
            ahead.release()


@dataclass(frozen=True, slots=True)
class _Runner:
    plan: StormPlan

    def __call__(self, seed: int) -> StormResult:
        return run_seed(seed, self.plan)
