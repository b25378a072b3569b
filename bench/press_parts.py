"""Where the time of a press goes, inside of the relay: each part on its own clock.

    python -m bench.press_parts                # presses alone, then in turns of 250; a table on the screen
    python -m bench.press_parts --write        # and into docs/performance.md

The relay's own runtime, core and SQLite store, in this process and on one thread, with packets made and read as its
link does it and no broker: what the network, the threads and the broker add is in ``bench/relay.py``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import relay.runtime as shell
from bench.presser import press_payload
from bench.subjects import ROOT, write_register
from doorbell.link import Delivery, LinkUp
from doorbell.logs import configure_logs, lines_held
from doorbell.packets import Outbox, PacketSorter
from doorbell.wire import Topics
from relay.adapters.clock import SystemClock
from relay.adapters.store import SqlStore
from relay.adapters.store_hot import HotStatements
from relay.core.register import Hook
from relay.ports import NoticeRow
from relay.register_file import load_register_file
from relay.tidying import keep_what_lives

WARM, ALONE, TOGETHER, TURN = 500, 500, 10_000, 250
BEGIN, END = "<!-- bench/press_parts.py: begin -->\n", "<!-- bench/press_parts.py: end -->\n"


class Clocks:
    """Adds up how long each part took, without the parts inside of it."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}
        self._inner_s = [0.0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, on the clock ``name``."""

        def run(*arguments: Any, **named: Any) -> Any:
            self._inner_s.append(0.0)
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                took_s = time.perf_counter() - begin
                self.spent_s[name] = self.spent_s.get(name, 0.0) + took_s - self._inner_s.pop()
                self._inner_s[-1] += took_s

        run.untimed = function  # type: ignore[attr-defined]
        return run


class Packets:
    """A link without a broker: packets are made and read, and go nowhere."""

    def __init__(self) -> None:
        self.outbox = Outbox(10_000)
        self._sorter = PacketSorter()

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Made; and acknowledged at once, as far as the counting goes."""
        return self.outbox.publish(topic, payload, qos, retain)

    def ack(self, delivery: Delivery) -> None:
        """Made."""
        self.outbox.ack(delivery.mid)

    def sent(self) -> bytes:
        """What the socket would get; the broker's acknowledgements are read."""
        data = b"".join(self.outbox.waiting)
        self.outbox.waiting.clear()
        acknowledged = b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in self.outbox.unacked())
        self._sorter.sort(acknowledged)
        self.outbox.settled(self._sorter.acknowledged)
        self._sorter.acknowledged.clear()
        return data

    def receive(self, data: bytes) -> list[Delivery]:
        """Packets that have come, as the runtime hears of them."""
        self._sorter.sort(data)
        arrived, self._sorter.arrived = self._sorter.arrived, []
        return [Delivery(topic, payload, 1, mid, qos, kept) for topic, payload, mid, qos, kept in arrived]


class _NoHooks:
    def send(self, notice: NoticeRow, hook: Hook) -> None:
        """Nobody is told."""


class Bench:
    """A relay with a household for every press."""

    def __init__(self, folder: Path) -> None:
        write_register(folder / "register.toml", WARM + ALONE + TOGETHER)
        register, _ = load_register_file(folder / "register.toml")
        assert register is not None
        self.store = SqlStore.open(folder / "relay.db", exclusive=True)
        self.store.replace_register(register)
        self.link, self.clocks = Packets(), Clocks()
        self.relay = shell.RelayRuntime(self.store, self.link, _NoHooks(), SystemClock(), Topics())
        self.relay.start()
        self.relay.turn([LinkUp(1)])
        begin = time.monotonic()
        while time.monotonic() - begin < 3.2 or self.relay.next_wake_ms() <= self.relay.monotonic_ms():
            self.relay.turn([])
            self.link.sent()
        keep_what_lives()
        self._panel = 0

    def put_clocks(self) -> None:
        """From now on every part is timed."""
        relay, inside = self.relay, vars(self.relay)
        parts: list[tuple[Any, str, str]] = [
            (self.link, "receive", "packets in and out"),
            (self.link, "publish", "packets in and out"),
            (self.link, "ack", "packets in and out"),
            (self.link, "sent", "packets in and out"),
            (shell, "read_delivery", "decode topic and message"),
            (self.store, "known_events", "ask which are known"),
            (inside["_engine"], "take_event", "decide: desk, core, journal"),
            (inside["_teller"], "settle", "desired states of bell and panel"),
            (HotStatements, "write_rows", "rows and statements"),
            (self.store, "commit", "begin, fsync"),
            (shell, "log_transitions", "log"),
            (relay, "decide", "the rest of a turn"),
            (relay, "perform", "the rest of a turn"),
        ]
        for owner, name, part in parts:
            function = getattr(owner, name)
            setattr(owner, name, self.clocks.timed(part, getattr(function, "untimed", function)))

    def press(self, count: int, at_once: int) -> tuple[float, float]:
        """Press ``count`` times in turns of ``at_once``; seconds of the wall's clock and of processor for a press."""
        packets = [self._packet() for _ in range(count)]
        begin, begin_cpu = time.perf_counter(), time.process_time()
        for first in range(0, count, at_once):
            with lines_held():
                deliveries = self.link.receive(b"".join(packets[first : first + at_once]))
                self.relay.perform(self.relay.decide(deliveries))
                self.link.sent()
        return (time.perf_counter() - begin) / count, (time.process_time() - begin_cpu) / count

    def _packet(self) -> bytes:
        outbox = Outbox(1)
        topic = f"doorbell/v1/bench/panel-{self._panel}/event"
        self._panel += 1
        outbox.publish(topic, press_payload(str(uuid.uuid4())), 1, False)
        return outbox.waiting[0]


def measure(rounds: int) -> dict[str, list[float]]:
    """Microseconds for a press, alone and in a full turn, by part: medians over the rounds."""
    taken: list[dict[str, list[float]]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            bench = Bench(Path(name))
            bench.press(WARM, TURN)
            bench.put_clocks()
            rows: dict[str, list[float]] = {}
            for count, at_once in ((ALONE, 1), (TOGETHER, TURN)):
                bench.clocks.spent_s.clear()
                wall_s, cpu_s = bench.press(count, at_once)
                for part, spent_s in bench.clocks.spent_s.items():
                    rows.setdefault(part, []).append(spent_s / count * 1e6)
                rows.setdefault("**all of it**", []).append(wall_s * 1e6)
                rows.setdefault("of it, processor", []).append(cpu_s * 1e6)
            bench.store.close()
            taken.append(rows)
    return {part: [statistics.median(rows[part][column] for rows in taken) for column in (0, 1)] for part in taken[0]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    configure_logs("json", "info")
    rows = measure(arguments.rounds)
    whole = rows.pop("**all of it**"), rows.pop("of it, processor")
    lines = [f"| part | alone (µs) | in turns of {TURN} (µs) |", "| --- | ---: | ---: |"]
    ordered = sorted(rows.items(), key=lambda row: -row[1][1])
    for part, (alone, together) in [*ordered, ("**all of it**", whole[0]), ("of it, processor", whole[1])]:
        lines.append(f"| {part} | {alone:,.1f} | {together:,.1f} |")
    cores = len(os.sched_getaffinity(0))
    text = f"Machine: {cores} cores. Median of {arguments.rounds} rounds, {datetime.now(UTC):%Y-%m-%d}.\n\n"
    text += "\n".join(lines) + "\n"
    print(text)
    if arguments.write:
        page = ROOT / "docs" / "performance.md"
        head, _, rest = page.read_text("utf-8").partition(BEGIN)
        page.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
