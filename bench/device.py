"""A device: how large, how idle, how soon armed, and how long from an edge to the broker; each beside its floor.

    python -m bench.device                     # under two minutes, table on the screen
    python -m bench.device --write             # and into docs/benchmarks.md
    python -m bench.device --rounds 2 --idle-s 10

The device is the real command on mock pins with its real outbox, as an elder's panel; the floor is
``bench/device_floor.py``, the smallest paho and gpiozero program that commits a press and publishes it. Both talk to
the same bare socket, which answers as a broker must and notes when a PUBLISH arrives, and then to mosquitto or the
embedded broker with a subscriber behind it. The debounce (25 ms, by design) is shown apart. A machine that is busy with
other work is told of, and nothing of it is written.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.presser import quantile
from bench.rawbroker import RawBroker
from bench.rawmqtt import RawClient, publish_packet
from bench.subjects import ROOT, running_broker
from device.core.button import ButtonLimits
from device.core.contact import ContactLimits

PRESSES = 2 * (ContactLimits().press_burst - 1)
"""Of one start, on two buttons in turn: a contact that presses more at once is thinned."""
DEBOUNCE_MS = ButtonLimits().stable_ms + ButtonLimits().lag_ms
HOLD_S = 0.04
OFF_S = 0.045
BOUND_S = 30.0
BUSY = 0.35
"""Load for each core, of the minute before, above which figures are not worth keeping."""
MARKER, END = "<!-- bench/device.py writes below -->\n", "<!-- bench/device.py wrote above -->\n"
EVENT, DESIRED = "doorbell/v1/bench/panel/event", "doorbell/v1/bench/panel/desired"
HIDE = "import sys; sys.modules['rich'] = None; "
"""structlog loads rich where it finds it; a Pi has none, the relay's environment does."""
START = f"{HIDE}import runpy; runpy.run_module('device', run_name='__main__', alter_sys=True)"
IMPORTS = {"device": "import device.daemon, device.command", "floor": "import paho.mqtt.client, gpiozero, sqlite3"}


class Ear(Protocol):
    """Where a PUBLISH arrives."""

    def feed(self, timeout_s: float, on_message: Callable[[bytes, bytes], None]) -> bool:
        """Give what has arrived within ``timeout_s`` to ``on_message(topic, payload)``; False if nothing has."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Send something to whoever subscribed."""
        ...


class BrokerEar:
    """A subscriber behind a real broker."""

    def __init__(self, port: int) -> None:
        self._in = RawClient(port, "bench-in")
        self._in.subscribe(EVENT)
        self._out = RawClient(port, "bench-out")
        self._mid = 0

    def feed(self, timeout_s: float, on_message: Callable[[bytes, bytes], None]) -> bool:
        """See ``Ear``."""
        self._out.feed(0.0, on_message)
        return self._in.feed(timeout_s, on_message)

    def publish(self, topic: str, payload: bytes) -> None:
        """See ``Ear``."""
        self._mid = self._mid % 65_000 + 1
        self._out.send(publish_packet(topic, payload, self._mid, retain=True))


@dataclass
class Subject:
    """A running device or floor."""

    process: subprocess.Popen[bytes]
    armed_s: float
    down: Callable[[str], None]
    up: Callable[[str], None]


@dataclass
class Figures:
    """What was measured of one subject."""

    armed_s: list[float] = field(default_factory=list)
    import_s: list[float] = field(default_factory=list)
    socket_ms: list[float] = field(default_factory=list)
    broker_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    """Of one press, its release and its receipt; a mean of each start."""
    rss_mb: float = 0.0
    pss_mb: float = 0.0
    idle_pct: float = 0.0
    wakes_per_s: float = 0.0


@contextmanager
def running_device(port: int, scratch: Path) -> Iterator[Subject]:
    """A panel on mock pins, armed."""
    config, control = scratch / "panel.toml", scratch / "pins.sock"
    config.write_text(
        f'device = "panel"\ncommunity = "bench"\nrole = "panel"\nstate_dir = "{scratch / "state"}"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n[sound]\nplayer = ["true"]\n'
    )
    (scratch / "notify").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(scratch / "notify"))
        notify.settimeout(BOUND_S)
        command = [sys.executable, "-c", START, "run", "--config", str(config), "--pins", "mock"]
        environment = {**os.environ, "NOTIFY_SOCKET": str(scratch / "notify")}
        begin = time.perf_counter()
        with (
            (scratch / "device.log").open("wb") as log,
            subprocess.Popen(
                [*command, "--control", str(control)], cwd=ROOT, env=environment, stderr=log, stdout=log
            ) as process,
        ):
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
                armed_s = time.perf_counter() - begin
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as pins:
                    pins.connect(str(control))

                    def move(what: str, pin: str) -> None:
                        pins.sendall(json.dumps({"do": what, "pin": pin}).encode() + b"\n")
                        pins.recv(4096)

                    yield Subject(process, armed_s, lambda pin: move("down", pin), lambda pin: move("up", pin))
            finally:
                process.kill()  # as a power cut: saying offline to a bench that has gone would take its time


@contextmanager
def running_floor(port: int, scratch: Path) -> Iterator[Subject]:
    """The floor, connected."""
    begin = time.perf_counter()
    arguments = [sys.executable, str(ROOT / "bench" / "device_floor.py"), str(port), str(scratch / "floor.db")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            stdin = process.stdin
            process.stdout.readline()

            def say(what: bytes) -> None:
                stdin.write(what)
                stdin.flush()

            yield Subject(process, time.perf_counter() - begin, lambda _: say(b"down\n"), lambda _: say(b"up\n"))
        finally:
            process.terminate()


def press(subject: Subject, ear: Ear, count: int) -> list[float]:
    """Milliseconds from each edge to the arrival of its PUBLISH."""
    latencies: list[float] = []
    arrived: list[tuple[float, str]] = []

    def hear(topic: bytes, payload: bytes) -> None:
        if topic == EVENT.encode():
            arrived.append((time.perf_counter(), str(json.loads(payload)["id"])))

    def pause(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            ear.feed(left, hear)

    pause(0.3)  # connected, subscribed, first report gone
    stored: set[str] = set()
    for number in range(count):
        pin = ("help", "ok")[number % 2]
        arrived.clear()
        begin = time.perf_counter()
        subject.down(pin)
        while not (new := [one for one in arrived if one[1] not in stored]):
            if time.perf_counter() - begin > BOUND_S:
                raise SystemExit("a press was never published")
            ear.feed(1.0, hear)
        latencies.append((new[0][0] - begin) * 1000)
        stored.add(new[0][1])
        receipt = {"rev": number + 1, "stored": [new[0][1]], "panel": {"alarm": None, "coverage": "covered"}}
        ear.publish(DESIRED, json.dumps(receipt).encode())
        pause(max(0.0, begin + HOLD_S - time.perf_counter()))
        subject.up(pin)
        pause(OFF_S)
    return latencies


def measure_idle(seconds: float) -> dict[str, tuple[float, float, float, float]]:
    """Per cent of one core, wake-ups a second, RSS and PSS (MB) of device and floor side by side, nothing happening."""
    out = {}
    with (
        tempfile.TemporaryDirectory() as name,
        RawBroker() as ear,
        RawBroker() as other,
        running_device(ear.port, Path(name)) as device,
        running_floor(other.port, Path(name)) as floor,
    ):
        subjects = {"device": device.process.pid, "floor": floor.process.pid}
        _wait(ear, other, seconds=2.0)
        ear.publish(DESIRED, b'{"rev":1,"panel":{"alarm":null,"coverage":"covered"}}')
        _wait(ear, other, seconds=3.0)
        before = {kind: _use(pid) for kind, pid in subjects.items()}
        begin = time.perf_counter()
        _wait(ear, other, seconds=seconds)
        took = time.perf_counter() - begin
        for kind, pid in subjects.items():
            cpu_s, wakes = (after - then for after, then in zip(_use(pid), before[kind], strict=True))
            out[kind] = (cpu_s / took * 100, wakes / took, *_memory_mb(pid))
    return out


def _wait(*ears: RawBroker, seconds: float) -> None:
    """Answer pings and reports meanwhile."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for ear in ears:
            ear.feed(0.25, lambda *_: None)


def _use(pid: int) -> tuple[float, float]:
    """CPU seconds (to the nanosecond, from the scheduler) and voluntary waits of all threads."""
    cpu_ns = wakes = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        cpu_ns += int((task / "schedstat").read_text().split()[0])
        status = (task / "status").read_text()
        wakes += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return cpu_ns / 1e9, float(wakes)


def _memory_mb(pid: int) -> tuple[float, float]:
    rolled = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in rolled[1:]}
    return sizes["Rss"], sizes["Pss"]


def import_s(kind: str) -> float:
    """Seconds that the imports of a subject take in a fresh interpreter, bytecode cached."""
    code = f"{HIDE}import time; begin = time.perf_counter(); {IMPORTS[kind]}; print(time.perf_counter() - begin)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(out.stdout)


def measure(rounds: int, idle_s: float, broker: str) -> dict[str, Figures]:
    """All phases, subjects in turn."""
    figures = {"floor": Figures(), "device": Figures()}
    starts = {"floor": running_floor, "device": running_device}
    for kind in starts:
        import_s(kind)  # bytecode is written once, at installation
    for number in range(rounds):
        for kind, start in starts.items():
            _say(f"round {number + 1} of {rounds}, {kind} …")
            of = figures[kind]
            of.import_s.append(import_s(kind))
            with tempfile.TemporaryDirectory() as name, RawBroker() as ear, start(ear.port, Path(name)) as subject:
                of.armed_s.append(subject.armed_s)
                before_s, _ = _use(subject.process.pid)
                of.socket_ms += press(subject, ear, PRESSES)
                of.cpu_ms.append((_use(subject.process.pid)[0] - before_s) / PRESSES * 1000)
            with (
                tempfile.TemporaryDirectory() as name,
                running_broker(broker, Path(name)) as port,
                start(port, Path(name)) as subject,
            ):
                of.broker_ms += press(subject, BrokerEar(port), PRESSES)
    _say(f"idle for {idle_s:g} s …")
    for kind, idle in measure_idle(idle_s).items():
        figures[kind].idle_pct, figures[kind].wakes_per_s, figures[kind].rss_mb, figures[kind].pss_mb = idle
    return figures


def table(figures: dict[str, Figures], broker: str, notes: list[str]) -> str:
    """Markdown."""
    floor, ours = figures["floor"], figures["device"]
    cores = len(os.sched_getaffinity(0))
    wait = float(DEBOUNCE_MS)

    def late(of: Figures, which: str, share: float) -> float:
        return quantile(sorted(getattr(of, which)), share) - (wait if of is ours else 0.0)

    rows: list[tuple[str, float, float, str]] = [
        ("resident, RSS (MB)", floor.rss_mb, ours.rss_mb, "< 50"),
        ("resident, PSS (MB)", floor.pss_mb, ours.pss_mb, ""),
        ("idle CPU (% of one core)", floor.idle_pct, ours.idle_pct, "< 0.5"),
        ("idle wake-ups (a second)", floor.wakes_per_s, ours.wakes_per_s, ""),
        ("CPU for a press and its receipt (ms)", statistics.median(floor.cpu_ms), statistics.median(ours.cpu_ms), ""),
        ("imports (s)", statistics.median(floor.import_s), statistics.median(ours.import_s), ""),
        ("start to armed, median (s)", statistics.median(floor.armed_s), statistics.median(ours.armed_s), "< 1.5"),
        ("start to armed, worst (s)", max(floor.armed_s), max(ours.armed_s), ""),
    ]
    for which, what in (("socket_ms", "bare socket"), ("broker_ms", f"{broker} and a subscriber")):
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            aim = "< 10" if name == "p99" else ""
            rows.append((f"edge → {what}, {name} (ms)", late(floor, which, share), late(ours, which, share), aim))
    about = (
        f"Machine: {cores} cores. {len(ours.armed_s)} starts, {len(ours.socket_ms)} presses on each way. The device's "
        f"latencies are those beyond its debounce of {wait:g} ms."
    )
    lines = [
        *notes,
        about,
        "",
        "| what | floor | device | device / floor | aim |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, low, high, aim in rows:
        lines.append(f"| {name} | {low:,.2f} | {high:,.2f} | {high / low if low > 0 else 0:.2f} | {aim} |")
    return "\n".join(lines) + "\n"


def busy() -> str | None:
    """Why this machine is not quiet enough, None if it is."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load <= BUSY * cores:
        return None
    return f"the machine is busy: load {load:.1f} on {cores} cores; these figures are worse than the device is"


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-s", type=float, default=30.0)
    parser.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    complaint = busy()
    if complaint:
        _say(complaint)
    figures = measure(arguments.rounds, arguments.idle_s, arguments.broker)
    text = table(figures, arguments.broker, [f"**{complaint}**"] if complaint else [])
    print(text)
    if arguments.write and complaint:
        _say("not written: try again when the load has gone")
        return 1
    if arguments.write:
        page = ROOT / "docs" / "benchmarks.md"
        head, _, rest = page.read_text("utf-8").partition(MARKER)
        page.write_text(head + MARKER + "\n" + text + "\n" + END + rest.partition(END)[2], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
