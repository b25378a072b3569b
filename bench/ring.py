"""Press → ring: how long, how many, how soon, how large; each beside the floor in the same run.

    python -m bench.ring                       # three rounds on the embedded broker, table on the screen
    python -m bench.ring --write               # and into docs/benchmarks.md
    python -m bench.ring --broker mosquitto --rounds 1

A press is an ``event`` published with QoS 1 by the panel of a household of its own; it is rung when the ``desired`` of
the paired bell that names its alarm has come back to the bench. The relay is the real command with its real store; the
floor is ``bench/floor.py``. Both run on the same broker program, freshly started, on the same machine as the bench:
figures are ratios, not promises. Nothing here can fail by being slow.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.rawmqtt import RawClient, publish_packet
from sim.broker import EmbeddedBroker

PACED, PACE_PER_S, BURST, SUSTAINED, WINDOW = 400, 20, 2_000, 6_000, 400
HOUSEHOLDS = 20 + PACED + BURST + SUSTAINED
ROOT = Path(__file__).resolve().parent.parent
AIMS = {
    "p50 at 20/s (ms)": "<= 1.5",
    "burst of 2,000 rung (s)": "<= 2",
    "sustained (presses/s)": ">= 0.5",
}


@dataclass(frozen=True)
class Figures:
    """What one round of one subject measured."""

    start_up_s: float
    idle_mb: float
    p50_ms: float
    p99_ms: float
    burst_s: float
    burst_p50_ms: float
    burst_p99_ms: float
    sustained_per_s: float
    cpu_us: float
    loaded_mb: float

    def rows(self) -> dict[str, float]:
        """The figures under the names of the table."""
        return {
            "start-up (s)": self.start_up_s,
            "resident, idle (MB)": self.idle_mb,
            "p50 at 20/s (ms)": self.p50_ms,
            "p99 at 20/s (ms)": self.p99_ms,
            "burst of 2,000 rung (s)": self.burst_s,
            "p50 in the burst (ms)": self.burst_p50_ms,
            "p99 in the burst (ms)": self.burst_p99_ms,
            "sustained (presses/s)": self.sustained_per_s,
            "CPU per sustained press (µs)": self.cpu_us,
            "resident, after the load (MB)": self.loaded_mb,
        }


class Presser:
    """Presses and waits for the rings."""

    def __init__(self, port: int) -> None:
        self._out = RawClient(port, "bench-out")
        self._in = RawClient(port, "bench-in")
        self._in.subscribe("doorbell/v1/bench/+/desired")
        self._household = 0
        self._sent: dict[bytes, float] = {}
        self.latencies: list[float] = []

    def bells_come_online(self) -> None:
        """Every bell says that it is there, once, for a day."""
        report = b'{"rev":0,"ringing":[],"firmware":"bench","clock":"synced","outbox":0,"uptime_s":1,"next_in_s":86400}'
        packets = [
            publish_packet(f"doorbell/v1/bench/bell-{n}/reported", report, n % 65_000 + 1, retain=True)
            for n in range(HOUSEHOLDS)
        ]
        for first in range(0, len(packets), 200):
            self._out.send(b"".join(packets[first : first + 200]))
            while self._out.pubacks < min(first + 200, len(packets)) - 200:
                self._out.feed(0.5, _ignore)
        # The relay waits 3 s for retained messages, then tells every device its first desired state.
        self._in.drain(quiet_s=5)
        self._out.drain()

    def press(self, count: int) -> None:
        """Press in ``count`` households that have not been pressed in yet."""
        packets, ids = [], []
        for _ in range(count):
            event, number = str(uuid.uuid4()), self._household
            self._household += 1
            payload = (
                f'{{"id":"{event}","type":"help","at":"{_wall()}","age_ms":5,"clock":"synced","alarm":null,"seq":1}}'
            )
            packets.append(
                publish_packet(f"doorbell/v1/bench/panel-{number}/event", payload.encode(), number % 65_000 + 1)
            )
            ids.append(event.encode())
        now = time.perf_counter()
        self._sent.update(dict.fromkeys(ids, now))
        self._out.send(b"".join(packets))

    def listen(self, timeout_s: float) -> None:
        """Take what has arrived."""
        self._in.feed(timeout_s, self._on_desired)
        self._out.feed(0.0, _ignore)

    def _on_desired(self, topic: bytes, payload: bytes) -> None:
        if b"/bell-" not in topic:
            return
        at = payload.find(b'"alarm":"')
        if at >= 0:
            sent = self._sent.pop(payload[at + 9 : at + 45], None)
            if sent is not None:
                self.latencies.append(time.perf_counter() - sent)

    def wait_all(self, bound_s: float = 120.0) -> None:
        """Until every press has rung."""
        end = time.perf_counter() + bound_s
        while self._sent:
            if time.perf_counter() > end:
                raise SystemExit(f"{len(self._sent)} presses were never rung")
            self.listen(0.1)

    def take_latencies_ms(self) -> list[float]:
        """The latencies since the last call, sorted."""
        taken, self.latencies = sorted(x * 1000 for x in self.latencies), []
        return taken

    @property
    def waiting(self) -> int:
        """Presses not rung yet."""
        return len(self._sent)


def _ignore(_topic: bytes, _payload: bytes) -> None:
    return


def _wall() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def quantile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def measure(presser: Presser, process: subprocess.Popen[bytes], start_up_s: float) -> Figures:
    """All phases against a subject that is up."""
    presser.bells_come_online()
    idle_mb = _resident_mb(process.pid)
    for _ in range(20):
        presser.press(1)
        presser.wait_all()
    presser.take_latencies_ms()

    begin = time.perf_counter()
    for number in range(PACED):
        while (left := begin + number / PACE_PER_S - time.perf_counter()) > 0:
            presser.listen(min(left, 0.01))
        presser.press(1)
    presser.wait_all()
    paced = presser.take_latencies_ms()

    begin = time.perf_counter()
    presser.press(BURST)
    presser.wait_all()
    burst_s = time.perf_counter() - begin
    burst = presser.take_latencies_ms()

    begin, cpu_s = time.perf_counter(), _cpu_s(process.pid)
    left_to_press = SUSTAINED
    while left_to_press:
        room = min(WINDOW - presser.waiting, left_to_press)
        if room > WINDOW // 8 or room == left_to_press:
            presser.press(room)
            left_to_press -= room
        presser.listen(0.05)
    presser.wait_all()
    sustained_per_s = SUSTAINED / (time.perf_counter() - begin)
    return Figures(
        start_up_s,
        idle_mb,
        quantile(paced, 0.5),
        quantile(paced, 0.99),
        burst_s,
        quantile(burst, 0.5),
        quantile(burst, 0.99),
        sustained_per_s,
        (_cpu_s(process.pid) - cpu_s) / SUSTAINED * 1e6,
        _resident_mb(process.pid),
    )


@contextmanager
def running_floor(port: int, scratch: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The floor, up and subscribed."""
    begin = time.perf_counter()
    arguments = [sys.executable, str(ROOT / "bench" / "floor.py"), str(port), str(scratch / "floor.db")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process, time.perf_counter() - begin
        finally:
            process.terminate()


@contextmanager
def running_relay(port: int, scratch: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The relay's own command with a register of ``HOUSEHOLDS`` homes, up and subscribed."""
    config = scratch / "relay.toml"
    config.write_text(
        f'name = "bench"\ndatabase = "{scratch / "relay.db"}"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
    )
    _write_register(scratch / "register.toml")
    command = [sys.executable, "-m", "relay"]
    imported = [*command, "register", "import", str(scratch / "register.toml"), "--config", str(config)]
    subprocess.run(imported, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(scratch / "notify"))
        notify.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(scratch / "notify")}
        begin = time.perf_counter()
        with (
            (scratch / "relay.log").open("wb") as log,
            subprocess.Popen(
                [*command, "run", "--config", str(config)], cwd=ROOT, env=environment, stderr=log, stdout=log
            ) as process,
        ):
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
                yield process, time.perf_counter() - begin
            finally:
                process.terminate()


def _write_register(path: Path) -> None:
    lines = ['[[community]]\nid = "bench"\nname = "bench"\n']
    lines.append(
        '[[policy]]\nid = "one-step"\narrive_wait_s = 86400\nsteps = [{call = ["volunteer:1"], wait_s = 86400}]\n'
    )
    for n in range(HOUSEHOLDS):
        lines.append(f'[[person]]\nid = "person-{n}"\ncommunity = "bench"\nname = "志愿者{n}"\nbells = ["bell-{n}"]\n')
        lines.append(
            f'[[household]]\nid = "home-{n}"\ncommunity = "bench"\nlabel = "柳奶奶{n}"\nplace = "3栋{n}"\n'
            f'panels = ["panel-{n}"]\nvolunteers = ["person-{n}"]\npolicies = {{ help = "one-step" }}\n'
        )
    path.write_text("".join(lines), encoding="utf-8")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the subject has ended")


@contextmanager
def running_broker(kind: str, scratch: Path) -> Iterator[int]:
    """A fresh broker; gives its MQTT port."""
    if kind == "nats":
        with EmbeddedBroker(scratch / "nats") as broker:
            yield broker.port
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    config = scratch / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
        "max_inflight_messages 0\n"
    )
    with subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def one_round(kind: str, subject: str) -> Figures:
    """One subject on a broker of its own."""
    with tempfile.TemporaryDirectory() as name, running_broker(kind, Path(name)) as port:
        start = running_floor if subject == "floor" else running_relay
        with start(port, Path(name)) as (process, start_up_s):
            return measure(Presser(port), process, start_up_s)


def table(floor: list[Figures], relay: list[Figures], kind: str) -> str:
    """Medians over the rounds, as a Markdown table."""
    cores = len(os.sched_getaffinity(0))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        f"Broker: {kind}. Machine: {cores} cores, {memory_gb:.0f} GiB. Median of {len(relay)} rounds.",
        "",
        "| what | floor | relay | relay / floor | aim |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name in relay[0].rows():
        low = statistics.median(figures.rows()[name] for figures in floor)
        ours = statistics.median(figures.rows()[name] for figures in relay)
        lines.append(f"| {name} | {low:,.2f} | {ours:,.2f} | {ours / low:.2f} | {AIMS.get(name, '')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--broker", choices=("nats", "mosquitto"), action="append")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    tables = []
    for kind in arguments.broker or ["nats", "mosquitto"]:
        floor: list[Figures] = []
        relay: list[Figures] = []
        for number in range(arguments.rounds):
            for subject, figures in (("floor", floor), ("relay", relay)):
                print(f"{kind}: round {number + 1} of {arguments.rounds}, {subject} …", file=sys.stderr, flush=True)
                figures.append(one_round(kind, subject))
        tables.append(table(floor, relay, kind))
        print(tables[-1])
    if arguments.write:
        page = ROOT / "docs" / "benchmarks.md"
        marker = "<!-- bench/ring.py writes below -->\n"
        head = page.read_text("utf-8").split(marker)[0]
        page.write_text(head + marker + "\n" + "\n".join(tables), "utf-8")


if __name__ == "__main__":
    main()
