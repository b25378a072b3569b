"""Cuts the power of a panel at random moments of press and delivery, and looks what is left.

    python -m tests.virtual_pi.cuts [--cuts 50] [--seed 1] [--jobs 2] [--write]

One cut: the panel runs (snapshot), is pressed one to three times, and QEMU is killed while the last press is on its
way; meanwhile the line is whole, or the relay hangs, or the broker is down. Then the state disk as it survived is read
on this machine, the machine is started on it again (from its boot, or a snapshot without the daemon, which then checks
and mounts the disk and starts it), and the relay must get every press that the panel had called kept or that lay on the
disk, each once.

Printed: seed and outcome of each. ``--write`` keeps the table in docs/virtual-pi.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.system.processes import ROOT, until
from tests.virtual_pi.build import Parts, build
from tests.virtual_pi.disk import FileDisk, StateDisk, VolatileDisk, make_state_disk
from tests.virtual_pi.house import LONG_S, PANEL_SIDE, House
from tests.virtual_pi.machine import ARMED, READY, Machine
from tests.virtual_pi.outside import PANEL, Outside

Away = Literal["nobody", "relay", "broker"]
FULL_BOOT_EVERY = 6
"""A boot takes as long as three starts from the snapshot."""
PRESSES_AT_MOST = 3
MOMENTS_S = (0.15, 1.0)
"""The cut comes within so long of the last press: half of them while it is debounced and committed, the others while it
is sent, receipted and forgotten, too."""
REQUESTS, PATIENCE_S = 6, 2.0
"""Writes and flushes of the disk among which the cut falls. Seen for one commit: the log's pages, the file system's
journal, a flush, the journal's commit block, a flush. Forgetting the press, where somebody hears it, takes as many
again. Where fewer come the power fails after the seconds."""
INSTALLED = "/usr/lib/doorbell-device/device/adapters/outbox.py"
PAGE = ROOT / "docs" / "virtual-pi.md"
MARK = "<!-- tests/virtual_pi/cuts.py writes below -->"


@dataclass(frozen=True, slots=True)
class Plan:
    """A cut, as chance has it: all of it follows from ``seed``."""

    seed: int
    disk: Literal["file", "volatile"]
    away: Away
    presses: int
    moment_s: float
    """From the last press to the cut, at most."""
    request: int | None
    """Of the volatile disk: the write or flush after the last press at which the power fails, if it comes in time."""
    boot: bool
    """Start again from the boot, with the root disk as the cut left it; or from the snapshot."""
    synchronous: str = "FULL"
    """Anything else is sabotage: what SQLite is told instead."""


@dataclass(slots=True)
class Outcome:
    """What came of it. Ids of presses."""

    plan: Plan
    kept: set[str] = field(default_factory=set)
    """The panel had said that they are on its disk, before it showed ``heard``."""
    on_disk: set[str] = field(default_factory=set)
    """They lay in the outbox after the cut."""
    at_relay: set[str] = field(default_factory=set)
    """The relay had them before the cut."""
    arrived: set[str] = field(default_factory=set)
    """The relay has them in the end."""
    journaled: int = 0
    forgotten: str = "-"
    """Pages that the disk forgot, of those not flushed."""
    fsck: int = 0
    rows: int = 0
    """All that lay in the outbox after the cut, faults too."""
    database: str = "ok"
    seconds: float = 0.0

    @property
    def lost(self) -> set[str]:
        """What must never be."""
        return (self.kept | self.on_disk | self.at_relay) - self.arrived

    @property
    def doubled(self) -> int:
        """Lines of the journal beyond one for each press."""
        return self.journaled - len(self.arrived)


def plan_cut(seed: int, *, number: int) -> Plan:
    """The cut of a seed; every ``FULL_BOOT_EVERY``-th is followed by a boot."""
    chance = random.Random(seed)
    disk: Literal["file", "volatile"] = chance.choice(("file", "volatile"))
    away: Away = chance.choice(("nobody", "relay", "broker"))
    requests = REQUESTS if away != "nobody" else 2 * REQUESTS
    return Plan(
        seed=seed,
        disk=disk,
        away=away,
        presses=chance.randint(1, PRESSES_AT_MOST),
        moment_s=round(chance.uniform(0.0, chance.choice(MOMENTS_S)), 3) if disk == "file" else PATIENCE_S,
        request=chance.randint(1, requests) if disk == "volatile" else None,
        boot=number % FULL_BOOT_EVERY == 0,
    )


def cut_once(parts: Parts, root: Path, outside: Outside, plan: Plan, directory: Path) -> Outcome:
    """One cut and what follows. ``root``: a copy of the root disk with its snapshots, for this and further cuts."""
    outcome, began = Outcome(plan), time.monotonic()
    state = directory / "state.img"
    known = {one.id for one in outside.heard(PANEL)}
    with _away(outside, plan.away):
        _press_and_cut(parts, root, outside, outcome, state)
        outcome.at_relay = _presses(outside) - known
    _read_outbox(state, directory, outcome)
    with _started_again(parts, root, outside, plan, state) as house:
        # Asked at once: after a boot journald sorts its files, and journalctl then finds less than it had found.
        found = house.logged(PANEL_SIDE, "device.armed")[-1]["outbox"]
        expected = outcome.kept | outcome.on_disk | outcome.at_relay
        if plan.synchronous == "FULL":
            until(lambda: expected <= _presses(outside), f"seed {plan.seed}: every press is at the relay", LONG_S)
        assert found == outcome.rows, f"seed {plan.seed}: {outcome.rows} rows on the disk, {found} of them found"
    outcome.arrived = _presses(outside) - known
    told = [line.event for line in outside.journal("raised", "pressed_again")]
    outcome.journaled = sum(event in outcome.arrived for event in told)
    outside.close_alarms()
    outcome.seconds = time.monotonic() - began
    return outcome


def cut_many(
    parts: Parts, outside: Outside, plans: list[Plan], say: Callable[[Outcome], None] = lambda _outcome: None
) -> list[Outcome]:
    """One cut after the other, each told as soon as it is over."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="cuts-") as scratch:
        root = Path(scratch) / "root.qcow2"
        shutil.copy(parts.ready, root)
        for plan in plans:
            outcome = cut_once(parts, root, outside, plan, Path(scratch))
            say(outcome)
            outcomes.append(outcome)
    return outcomes


def cut_beside_each_other(parts: Parts, plans: list[Plan], jobs: int, say: Callable[[Outcome], None]) -> list[Outcome]:
    """As many at a time as ``jobs``, each with a broker and a relay of its own; the outcomes in the plans' order."""

    def share(number: int) -> list[Outcome]:
        with tempfile.TemporaryDirectory(prefix="outside-") as directory, Outside(Path(directory)) as outside:
            return cut_many(parts, outside, plans[number::jobs], say)

    with ThreadPoolExecutor(jobs) as pool:
        outcomes = [outcome for outcomes in pool.map(share, range(jobs)) for outcome in outcomes]
    return sorted(outcomes, key=lambda one: one.plan.seed)


def _press_and_cut(parts: Parts, root: Path, outside: Outside, outcome: Outcome, state: Path) -> None:
    plan = outcome.plan
    if plan.synchronous == "FULL":
        shutil.copy(parts.state, state)
    else:
        make_state_disk(state)
    disk = _disk(plan, state)
    with Machine(parts.image, root, port=outside.port, state=disk.node() if plan.synchronous == "FULL" else None) as pi:
        house = House(pi)
        if plan.synchronous == "FULL":
            pi.wake(ARMED)
        else:
            pi.wake(READY)
            pi.plug(disk.node())
            house.mount_state()
            pi.sh(f"sed -i 's/synchronous = FULL/synchronous = {plan.synchronous}/' {INSTALLED}")
            assert plan.synchronous in pi.sh(f"grep synchronous {INSTALLED}")
            pi.sh(f"systemctl start {PANEL_SIDE.unit}", within_s=LONG_S)
        eye = pi.eye()
        pi.sh(f"journalctl -f -n all -o cat -u {PANEL_SIDE.unit} >/dev/virtio-ports/eye 2>/dev/null </dev/null &")

        def kept() -> set[str]:
            return {
                line["id"]
                for line in map(json.loads, (line for line in eye.lines() if line.startswith('{"')))
                if line["event"] == "event.kept" and line["type"] == "help"
            }

        if plan.away != "broker" and plan.synchronous == "FULL":
            until(lambda: any('"link.up"' in line for line in eye.lines()), "the panel has found its broker", LONG_S)
        for number in range(1, plan.presses):
            house.press(PANEL_SIDE, "help")
            until(lambda number=number: len(kept()) >= number, "the panel has kept the press", LONG_S)  # type: ignore[misc]
        failed = disk.failed if isinstance(disk, VolatileDisk) else threading.Event()
        if isinstance(disk, VolatileDisk) and plan.request is not None:
            disk.fail_at(plan.request)
        house.down(PANEL_SIDE, "help")
        failed.wait(plan.moment_s)
        disk.fail()
        pi.cut()
        eye.close()
        outcome.kept = kept()
    outcome.forgotten = disk.settle()


@contextmanager
def _started_again(parts: Parts, root: Path, outside: Outside, plan: Plan, state: Path) -> Iterator[House]:
    """The machine on the disk that survived, with the daemon running."""
    disk = FileDisk(state)
    with Machine(parts.image, root, port=outside.port, state=disk.node() if plan.boot else None) as pi:
        house = House(pi)
        if plan.boot:
            pi.boot()
            pi.set_clock()
        else:
            pi.wake(READY)
            pi.plug(disk.node())
            house.mount_state()
            pi.sh(f"systemctl start {PANEL_SIDE.unit}", within_s=LONG_S)
        until(lambda: house.logged(PANEL_SIDE, "link.up"), f"seed {plan.seed}: the panel is back", LONG_S)
        mounted = pi.sh("findmnt -n -o SOURCE /var/lib/doorbell-device")
        assert mounted == "/dev/vdb\n", f"seed {plan.seed}: the state disk is not mounted: {mounted}"
        yield house


@contextmanager
def _away(outside: Outside, who: Away) -> Iterator[None]:
    match who:
        case "relay":
            outside.pause()
        case "broker":
            outside.broker.stop()
        case "nobody":
            pass
    yield
    match who:
        case "relay":
            outside.resume()
        case "broker":
            outside.broker.start()
        case "nobody":
            pass


def _disk(plan: Plan, state: Path) -> StateDisk:
    return FileDisk(state) if plan.disk == "file" else VolatileDisk(state, random.Random(plan.seed))


def _presses(outside: Outside) -> set[str]:
    return {one.id for one in outside.heard(PANEL, "help")}


def _read_outbox(state: Path, directory: Path, outcome: Outcome) -> None:
    """What a copy of the disk has on it, read by this machine."""
    copy = directory / "copy.img"
    shutil.copy(state, copy)
    outcome.fsck = subprocess.run(["e2fsck", "-fy", str(copy)], capture_output=True, check=False).returncode
    for name in ("outbox.sqlite3", "outbox.sqlite3-wal"):
        (directory / name).unlink(missing_ok=True)
        subprocess.run(
            ["debugfs", "-R", f"dump /{name} {directory / name}", str(copy)], capture_output=True, check=True
        )
    try:
        with closing(sqlite3.connect(directory / "outbox.sqlite3")) as database:
            outcome.database = str(database.execute("PRAGMA integrity_check").fetchone()[0])
            rows = database.execute("SELECT id, type FROM event").fetchall()
    except sqlite3.Error as error:
        outcome.database = str(error)
    else:
        outcome.rows = len(rows)
        outcome.on_disk = {row[0] for row in rows if row[1] == "help"}


def main() -> int:
    """Cut, print, and say whether all is well."""
    parser = argparse.ArgumentParser(description="Power cuts of a panel in the virtual Pi.")
    parser.add_argument("--cuts", type=int, default=50, help="how many (50)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow (1)")
    parser.add_argument("--jobs", type=int, default=2, help="so many beside each other (2)")
    parser.add_argument("--write", action="store_true", help="keep the table in docs/virtual-pi.md")
    options = parser.parse_args()
    parts = build()
    plans = [plan_cut(options.seed + number, number=number) for number in range(options.cuts)]
    print(HEAD, flush=True)
    outcomes = cut_beside_each_other(parts, plans, options.jobs, lambda outcome: print(row(outcome), flush=True))
    verdict = sum_up(outcomes)
    print(verdict)
    if options.write:
        kept = PAGE.read_text("utf-8").partition(MARK)[0]
        rows = "\n".join(map(row, outcomes))
        PAGE.write_text(f"{kept}{MARK}\n\n{verdict}\n\n{HEAD}\n{rows}\n", "utf-8")
    return 1 if any(one.lost or one.doubled for one in outcomes) else 0


HEAD = (
    "| seed | disk | away | presses | cut after | kept | on disk | at relay | forgotten | fsck | started by | "
    "arrived | lost | doubled | s |\n"
    "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |"
)


def row(outcome: Outcome) -> str:
    """A line of the table."""
    plan = outcome.plan
    cells = (
        *(
            plan.seed,
            plan.disk,
            plan.away,
            plan.presses,
            f"{plan.moment_s:.3f} s" if plan.request is None else f"request {plan.request}",
        ),
        *(len(outcome.kept), len(outcome.on_disk), len(outcome.at_relay), outcome.forgotten, outcome.fsck),
        *("boot" if plan.boot else "snapshot", len(outcome.arrived), len(outcome.lost), outcome.doubled),
        f"{outcome.seconds:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def sum_up(outcomes: list[Outcome]) -> str:
    """One sentence of figures."""
    boots = sum(one.plan.boot for one in outcomes)
    volatile = sum(one.plan.disk == "volatile" for one in outcomes)
    kept, arrived = (sum(map(len, ids)) for ids in zip(*((one.kept, one.arrived) for one in outcomes), strict=True))
    lost, doubled = sum(len(one.lost) for one in outcomes), sum(one.doubled for one in outcomes)
    minutes = sum(one.seconds for one in outcomes) / 60
    return (
        f"{len(outcomes)} cuts, {volatile} with the volatile disk; started again {boots} times from the boot and "
        f"{len(outcomes) - boots} times from the snapshot, every time. {kept} presses kept before the cut, {arrived} "
        f"arrived, {lost} lost, {doubled} doubled. {minutes:.0f} machine minutes."
    )


if __name__ == "__main__":
    sys.exit(main())
