"""``doorbell-sim day``: a day of many households on virtual time, with nothing going wrong.

One relay, communities of fifty households, the daily green press of most, the emergencies that there are on a day, and
every device's heartbeat. All checks of the storm run along, and the village must come to rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sim.ending import end_day
from sim.faults import Faults, Trouble
from sim.network import Weather
from sim.people import DAY_MS, Habits, People
from sim.storm import POLL_MS, prepare_process
from sim.village import Village
from sim.world import build_register

COMMUNITY_SIZE = 50
EMERGENCIES = 0.03
"""Of a household on a day: about one a month."""
HEARTBEAT_S = 3_600
"""Every minute, as devices are delivered, a day is sixty times as many reports, and nearly nothing else."""


@dataclass(frozen=True, slots=True)
class DayPlan:
    """``heartbeat_s``: of every device."""

    households: int = 1_000
    heartbeat_s: int = HEARTBEAT_S
    seed: int = 1


def live_a_day(plan: DayPlan) -> Mapping[str, float | int]:
    """What happened, by name, and how long it took. Raises ``Violation``."""
    began_s = time.perf_counter()
    name = f"day-{plan.seed}"
    communities = max(1, round(plan.households / COMMUNITY_SIZE))
    register = build_register(Village.stream(name, "world"), -(-plan.households // communities), communities)
    devices = {key: replace(device, report_interval_s=None) for key, device in register.devices.items()}
    register = replace(register, devices=devices)
    village = Village(register, name, poll_ms=POLL_MS, report_interval_s=plan.heartbeat_s)
    people = People(village, Habits(alarms=max(1, round(len(register.households) * EMERGENCIES))))
    faults = Faults(village, Trouble((), Weather(), knows_boot=True, favourite=None))
    village.start()
    people.plan_day(0)
    village.schedule.run_until(DAY_MS)
    end_day(village, people, faults)
    counts = village.counts
    return {
        "households": len(register.households),
        "devices": len(register.devices),
        "presses": counts["finger.help"],
        "oks": counts["finger.ok"],
        "alarms": counts["journal.raised"],
        "closed": counts["journal.closed"],
        "reports": village.channels["reported"],
        "steps": village.schedule.happened,
        "seconds": round(time.perf_counter() - began_s, 1),
    }


def day_command(plan: DayPlan, *, as_json: bool) -> int:
    """Run, and tell. Returns the exit code; a ``Violation`` is a bug and comes with its traceback."""
    prepare_process()
    told = live_a_day(plan)
    if as_json:
        print(json.dumps(told), flush=True)
    else:
        print(
            "{households:,} households with {devices:,} devices: {presses:,} presses for help, {oks:,} green presses, "
            "{alarms:,} alarms, {closed:,} closed; {reports:,} reports; {seconds} s".format_map(told),
            flush=True,
        )
    return 0
