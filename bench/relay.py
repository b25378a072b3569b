"""The relay under load, beside the floor and beside Node-RED, on the same broker in the same run.

    python -m bench.relay                          # everything, a round each, tables on the screen: about ten minutes
    python -m bench.relay --quick                  # a few seconds for each figure: does it all still run?
    python -m bench.relay --part press --broker mosquitto --rounds 3 --write     # and into docs/benchmarks.md
    python -m bench.relay --part press --add rounds.jsonl --write    # with the rounds that are in the file, and into it

Parts: ``press`` (idle, half load, heartbeats, burst, sustained), ``restart`` (100,000 open alarms), ``postgres`` (what
PostgreSQL and the fence cost), ``register`` (a million devices imported; 100,000 served while one is changed). Figures
are ratios, not promises; nothing here can fail by being slow.

The floor (``bench/floor.py``) is what cannot be left out: read a press, commit everything that waits with one fsync,
acknowledge, publish one ring. Node-RED does what it can with a flow (``bench/peers/nodered``). The subjects of a round
get the same rate at half load: half of what the relay sustained in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.opened import KEPT_WITHIN_S, lags_s, open_alarms, spread
from bench.presser import Presser, heartbeats, quantile
from bench.registers import change_while_pressed, import_large
from bench.subjects import ROOT, Subject, node_red_missing, running_broker
from relay.privacy_key import KEY_FILE_VARIABLE
from tests.postgres import PostgresServer

Figures = dict[str, float]
PAGE = ROOT / "docs" / "benchmarks.md"
IDLE_PER_S, WINDOW = 20, 400
BEAT_EVERY_S = 60.0
SETTLED_S = 4.0
"""A relay that has started waits 3 s for retained messages, then tells every device its first state."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    idle: int = 300
    half_s: float = 5.0
    burst: int = 10_000
    sustained: int = 8_000
    beaten: int = 200
    beating: int = 10_000
    """Households whose panel and bell say that they live, once a minute each."""
    opened: int = 100_000
    due: int = 10_000
    """Of these, deadlines that fall due while the relay is down or soon after."""
    due_s: float = 30.0
    registered: int = 500_000
    """Households that are imported; and how many are served:"""
    served: int = 50_000

    @property
    def households(self) -> int:
        """Enough for every press of a round, and for those that only beat."""
        return 1_000 + self.idle + self.burst + self.sustained * 2 + self.beaten + self.beating


QUICK = Sizes(
    idle=40,
    half_s=0.5,
    burst=1_000,
    sustained=1_000,
    beaten=40,
    beating=1_000,
    opened=2_000,
    due=400,
    due_s=3,
    registered=5_000,
    served=2_000,
)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def ready(subject: Subject, presser: Presser) -> None:
    """Until it rings, and has told every device what there is to tell."""
    presser.first_ring()
    presser.drain(SETTLED_S if subject.kind == "relay" else 0.5)
    presser.forget()  # what was pressed before anybody had subscribed
    for _ in range(20):
        presser.press()
        presser.wait_all()
    presser.forget()


def measure(subject: Subject, sizes: Sizes, half_per_s: float | None) -> Figures:
    """Every figure of ``press``. ``half_per_s``: None for half of what this one sustains."""
    subject.import_register(sizes.households)
    subject.start()
    presser = Presser(subject.port)
    try:
        ready(subject, presser)
        found: Figures = {"resident, idle (MB)": subject.resident_mb()}
        cpu_s = subject.cpu_s()
        sustained = presser.sustained(sizes.sustained, WINDOW)
        found["CPU of a sustained press (µs)"] = (subject.cpu_s() - cpu_s) / sizes.sustained * 1e6
        found["sustained (presses/s)"] = sustained
        presser.drain(1.0)
        presser.take_latencies_ms()
        _spread_of(found, "idle, 20 presses/s", presser.paced(IDLE_PER_S, sizes.idle))
        rate = half_per_s or sustained / 2
        found["half load (presses/s)"] = rate
        _spread_of(found, "half load", presser.paced(rate, min(int(rate * sizes.half_s), sizes.sustained)))
        presser.drain(1.0)
        last = sizes.households
        resting = range(last - sizes.beating, last)
        for role in ("bell", "panel"):
            presser.beat(resting, (role,))  # they come online: news, and not what is measured
            presser.drain(2.0)
        beats = heartbeats(presser, resting, BEAT_EVERY_S)
        begin, cpu_s = time.perf_counter(), subject.cpu_s()
        beaten = presser.paced(IDLE_PER_S, sizes.beaten, beats)
        found["CPU at 20 presses/s among heartbeats (%)"] = (
            (subject.cpu_s() - cpu_s) / (time.perf_counter() - begin) * 100
        )
        _spread_of(found, "20 presses/s among heartbeats", beaten)
        presser.drain(1.0)
        presser.take_latencies_ms()
        found[f"burst of {sizes.burst:,} rung (s)"] = presser.burst(sizes.burst)
        _spread_of(found, f"burst of {sizes.burst:,}", presser.take_latencies_ms())
        found["resident, after all that (MB)"] = subject.resident_mb()
    finally:
        presser.close()
        subject.stop()
    return found


def _spread_of(found: Figures, name: str, latencies: list[float]) -> None:
    found[f"{name}: p50 (ms)"] = quantile(latencies, 0.5)
    found[f"{name}: p99 (ms)"] = quantile(latencies, 0.99)


def restart(subject: Subject, sizes: Sizes, filled: Path | None) -> Figures:
    """Killed with ``sizes.opened`` alarms open; from its start until a press that waits at the broker has rung.

    ``filled``: the relay's database of the same round, of which the floor takes up the open alarms.
    """
    households = sizes.opened + 3_000
    subject.import_register(households)
    subject.start()
    presser = Presser(subject.port)
    try:
        ready(subject, presser)
        subject.kill()
        due: dict[str, datetime] = {}
        if subject.kind == "relay":
            homes = range(households - sizes.opened, households)
            soon = spread(sizes.due, datetime.now(UTC) + timedelta(seconds=20), timedelta(seconds=sizes.due_s))
            late = spread(sizes.opened - sizes.due, datetime.now(UTC) + timedelta(days=2), timedelta(days=1))
            due = {f"home-{home}": at for home, at in zip(homes, soon, strict=False)}
            open_alarms(subject.database_file, homes, [*soon, *late])
        subject.open_alarms = filled
        presser.press()
        begin = time.perf_counter()
        subject.start()
        presser.wait_all()
        found = {f"{sizes.opened:,} open alarms: start to first ring (s)": time.perf_counter() - begin}
        presser.drain(0.5)
        found["resident (MB)"] = subject.resident_mb()
        if due:
            while datetime.now(UTC) < max(due.values()) + timedelta(seconds=3):
                presser.listen(0.1)
            lags = lags_s(subject.database_file, due)
            up = time.perf_counter() - begin
            found[f"of {len(due):,} deadlines: kept (%)"] = 100 * len(lags) / len(due)
            found[f"of {len(due):,} deadlines: later than {KEPT_WITHIN_S:.0f} s"] = sum(
                lag > KEPT_WITHIN_S for lag in lags
            )
            found["lag of a deadline, p99 (s)"] = quantile(lags, 0.99) if lags else up
        return found
    finally:
        presser.close()
        subject.kill()


# ---------------------------------------------------------------------------------------------------------------------
# Rounds and tables

PRESS_AIMS = {
    "sustained (presses/s)": ">= 0.7",
    "idle, 20 presses/s: p50 (ms)": "<= 1.3",
    "half load: p99 (ms)": "<= 2",
}


Taken = dict[str, list[Figures]]


def run_press(broker: str, sizes: Sizes, rounds: int) -> Taken:
    """Rows of ``press`` on one broker."""
    kinds = ["relay", "floor", *([] if node_red_missing() else ["nodered"])]
    taken: Taken = {kind: [] for kind in kinds}
    for number in range(rounds):
        half: float | None = None
        for kind in kinds:
            _say(f"{broker}: round {number + 1} of {rounds}, {kind}")
            with tempfile.TemporaryDirectory() as name, running_broker(broker, Path(name)) as port:
                found = measure(Subject(kind, port, Path(name)), sizes, half)
            half = half or found["half load (presses/s)"]
            taken[kind].append(found)
    return taken


def run_restart(broker: str, sizes: Sizes, rounds: int) -> Taken:
    """Rows of ``restart``."""
    taken: Taken = {kind: [] for kind in ("relay", "floor", *([] if node_red_missing() else ["nodered"]))}
    for number in range(rounds):
        with ExitStack() as folders:
            filled: Path | None = None
            for kind, figures in taken.items():
                _say(f"{broker}: restart, round {number + 1} of {rounds}, {kind}")
                scratch = Path(folders.enter_context(tempfile.TemporaryDirectory()))
                with running_broker(broker, scratch) as port:
                    subject = Subject(kind, port, scratch)
                    figures.append(restart(subject, sizes, filled if kind == "floor" else None))
                    filled = filled or subject.database_file
    return taken


def run_postgres(broker: str, sizes: Sizes, rounds: int) -> Taken:
    """The relay on SQLite, alone, and on PostgreSQL, where it leases its community and every write is fenced."""
    taken: Taken = {"PostgreSQL": [], "SQLite": []}
    wanted = ("sustained", "CPU of", "idle,", "half", "burst")
    server = PostgresServer()
    try:
        for number in range(rounds):
            half: float | None = None
            for name in ("SQLite", "PostgreSQL"):
                _say(f"{broker}: {name}, round {number + 1} of {rounds}")
                with tempfile.TemporaryDirectory() as folder, running_broker(broker, Path(folder)) as port:
                    database = server.ready() if name == "PostgreSQL" else ""
                    found = measure(Subject("relay", port, Path(folder), database), sizes, half)
                half = half or found["half load (presses/s)"]
                taken[name].append({row: value for row, value in found.items() if row.startswith(wanted)})
    finally:
        server.stop()
        server.remove()
    return taken


def run_register(broker: str, sizes: Sizes, rounds: int) -> Taken:
    """Rows of ``register``."""
    taken: Taken = {"relay": []}
    for number in range(rounds):
        _say(f"{broker}: registers, round {number + 1} of {rounds}")
        with tempfile.TemporaryDirectory() as name:
            found = import_large(Path(name), sizes.registered)
        with tempfile.TemporaryDirectory() as name, running_broker(broker, Path(name)) as port:
            subject = Subject("relay", port, Path(name))
            subject.import_register(sizes.served)
            subject.start()
            presser = Presser(port)
            try:
                ready(subject, presser)
                found |= change_while_pressed(subject, presser, sizes.served)
            finally:
                presser.close()
                subject.stop()
        taken["relay"].append(found)
    return taken


def table(taken: Mapping[str, Sequence[Figures]], aims: Mapping[str, str]) -> str:
    """Medians over the rounds; the ratio of the first two columns with its spread."""
    names = list(taken)
    first = names[0]
    if len(names) == 1:
        rows = [f"| {row} | {_figure([figures[row] for figures in taken[first]])} |" for row in taken[first][0]]
        return "\n".join([f"| what | {first} |", "| --- | ---: |", *rows]) + "\n"
    second = names[1]
    columns = ["what", *names, f"{first} / {second}", "of the rounds", "aim"]
    lines = [f"| {' | '.join(columns)} |", f"| --- {'| ---: ' * (len(columns) - 2)}| --- |"]
    for row in taken[first][0]:
        ratios = [a[row] / b[row] for a, b in zip(taken[first], taken[second], strict=True) if b.get(row)]
        cells = [_figure([figures[row] for figures in taken[name] if row in figures]) for name in names]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else ""
        among = f"{min(ratios):.2f} – {max(ratios):.2f}" if len(ratios) > 1 else ""
        lines.append(f"| {row} | {' | '.join(cells)} | {ratio} | {among} | {aims.get(row, '')} |")
    return "\n".join(lines) + "\n"


def _figure(values: list[float]) -> str:
    return f"{statistics.median(values):,.2f}" if values else "–"


def page_of(broker: str, taken: Taken) -> str:
    """A table with what must be known of it."""
    cores = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rounds = len(next(iter(taken.values())))
    lacking = "" if "floor" not in taken or "nodered" in taken else f" {node_red_missing()}."
    about = f"Broker: {broker}. Machine: {cores} cores, {memory_gib:.0f} GiB. Median of rounds: {rounds}.{lacking}"
    return f"{about}\n\n{table(taken, PRESS_AIMS if 'floor' in taken else {})}"


def with_earlier(path: Path, name: str, taken: Taken) -> Taken:
    """Put these rounds into the file, and return all of the same name that are in it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": name, "taken": taken}) + "\n")
    whole: Taken = {kind: [] for kind in taken}
    for line in path.read_text("utf-8").splitlines():
        kept = json.loads(line)
        if kept["name"] == name and kept["taken"].keys() == taken.keys():
            for kind, figures in kept["taken"].items():
                whole[kind] += figures
    return whole


def _say(what: str) -> None:
    print(f"{what} …", file=sys.stderr, flush=True)


def write_section(name: str, text: str) -> None:
    """Put a table in the place of the one before."""
    page = PAGE.read_text("utf-8")
    begin, end = f"<!-- bench/relay.py {name}: begin -->\n", f"<!-- bench/relay.py {name}: end -->\n"
    head, _, rest = page.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise SystemExit(f"{PAGE} has no place for {name}")
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}", "utf-8")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("press", "restart", "postgres", "register"), action="append")
    parser.add_argument("--broker", choices=("mosquitto", "nats"), action="append")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--add", type=Path, help="keep the rounds in this file, and count those that are in it")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("figures of a quick run are not worth keeping")
    sizes = QUICK if arguments.quick else Sizes()
    parts: dict[str, Callable[[str, Sizes, int], Taken]] = {
        "press": run_press,
        "restart": run_restart,
        "postgres": run_postgres,
        "register": run_register,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ[KEY_FILE_VARIABLE] = f"{folder}/privacy.key"  # of whatever seals or opens
        for part in arguments.part or parts:
            # One broker is enough for what the broker has no part in.
            brokers = arguments.broker or (["mosquitto", "nats"] if part == "press" else ["mosquitto"])
            for broker in brokers:
                name = f"{part} {broker}"
                taken = parts[part](broker, sizes, arguments.rounds)
                if arguments.add is not None:
                    taken = with_earlier(arguments.add, name, taken)
                text = page_of(broker, taken)
                print(f"{part}\n\n{text}")
                if arguments.write:
                    write_section(name, text)


if __name__ == "__main__":
    main()
