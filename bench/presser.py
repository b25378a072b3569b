"""The load of ``bench/relay.py``: presses, waits for the rings, and has devices say that they live.

A press is an ``event`` published with QoS 1 by the panel of a household that has not pressed yet; it has rung when the
``desired`` of the paired bell that names its alarm has come back. All of it is one thread and two connections made by
hand (``bench/rawmqtt.py``): whatever the load generator costs, it costs every subject alike.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence

from bench.rawmqtt import RawClient, publish_packet

REVS = {"bell": 1, "panel": 2}
"""What a device has been told in a household in which nobody has pressed: a panel twice, for its bell came online."""
_HEARTBEAT = b'{"rev":%d,"ringing":[],"firmware":"bench","clock":"synced","outbox":0,"uptime_s":1,"next_in_s":60}'
LOST_AFTER_S = 120.0


class Presser:
    """Presses in households 0, 1, 2 …; a household is never pressed in twice."""

    def __init__(self, port: int) -> None:
        self._out = RawClient(port, "bench-out")
        self._in = RawClient(port, "bench-in")
        self._in.subscribe("doorbell/v1/bench/+/desired")
        self._household = 0
        self._mid = 0
        self._sent: dict[bytes, float] = {}
        self.latencies: list[float] = []

    @property
    def waiting(self) -> int:
        """Presses not rung yet."""
        return len(self._sent)

    def press(self, count: int = 1) -> None:
        """Press in the next ``count`` households at once."""
        packets, ids = [], []
        for _ in range(count):
            event = str(uuid.uuid4())
            packets.append(self._packet(f"panel-{self._household}/event", press_payload(event)))
            self._household += 1
            ids.append(event.encode())
        now = time.perf_counter()
        self._sent.update(dict.fromkeys(ids, now))
        self._out.send(b"".join(packets))

    def beat(self, households: range, roles: Sequence[str] = ("bell", "panel")) -> None:
        """These devices of the households say that they live, and which state they show."""
        for first in range(households.start, households.stop, 100):
            some = range(first, min(first + 100, households.stop))
            packets = [
                self._packet(f"{role}-{n}/reported", _HEARTBEAT % REVS[role], retain=True)
                for n in some
                for role in roles
            ]
            self._out.send(b"".join(packets))
            while self._out.feed(0.0, _ignore):
                pass

    def listen(self, timeout_s: float) -> None:
        """Take what has arrived."""
        self._in.feed(timeout_s, self._on_desired)
        self._out.feed(0.0, _ignore)

    def drain(self, quiet_s: float) -> None:
        """Until nothing more comes for so long."""
        self._in.drain(quiet_s)
        self._out.drain(0.1)

    def first_ring(self, bound_s: float = LOST_AFTER_S) -> float:
        """Press once, and again every second in another household, until one rings; seconds since the first press."""
        begin = time.perf_counter()
        while not self.latencies:
            self.press()
            pressed = time.perf_counter()
            while not self.latencies and time.perf_counter() - pressed < 1.0:
                self.listen(0.005)
            if time.perf_counter() - begin > bound_s:
                raise SystemExit(f"nothing rang within {bound_s:.0f} s")
        return time.perf_counter() - begin

    def paced(self, per_s: float, count: int, beats: Iterator[None] | None = None) -> list[float]:
        """``count`` presses at this rate, each at its moment; returns their latencies. ``beats``: taken every ms."""
        begin = time.perf_counter()
        pressed = 0
        while pressed < count:
            due = min(count, int((time.perf_counter() - begin) * per_s) + 1)
            if due > pressed:
                self.press(due - pressed)
                pressed = due
            if beats is not None:
                next(beats, None)
            left_s = begin + pressed / per_s - time.perf_counter()
            if left_s > 0:
                self.listen(min(left_s, 0.001 if beats is not None else 0.01))
            else:
                self.listen(0.0)
        self.wait_all()
        return self.take_latencies_ms()

    def burst(self, count: int) -> float:
        """``count`` presses at once; returns the seconds until the last has rung."""
        begin = time.perf_counter()
        self.press(count)
        self.wait_all()
        return time.perf_counter() - begin

    def sustained(self, count: int, window: int) -> float:
        """``count`` presses, at most ``window`` of them not rung; returns how many a second."""
        begin, left = time.perf_counter(), count
        while left:
            room = min(window - self.waiting, left)
            if room > window // 8 or room == left:
                self.press(room)
                left -= room
            self.listen(0.05)
        self.wait_all()
        return count / (time.perf_counter() - begin)

    def wait_all(self) -> None:
        """Until every press has rung."""
        heard = time.perf_counter()
        while self._sent:
            before = len(self._sent)
            self.listen(0.1)
            if len(self._sent) < before:
                heard = time.perf_counter()
            elif time.perf_counter() - heard > LOST_AFTER_S:
                raise SystemExit(f"{len(self._sent)} presses were never rung")

    def forget(self) -> None:
        """Wait no more for what has not rung."""
        self._sent.clear()
        self.latencies.clear()

    def take_latencies_ms(self) -> list[float]:
        """The latencies since the last call, sorted."""
        taken, self.latencies = sorted(x * 1000 for x in self.latencies), []
        return taken

    def close(self) -> None:
        """Leave the broker."""
        self._in.close()
        self._out.close()

    def _packet(self, topic: str, payload: bytes, *, retain: bool = False) -> bytes:
        self._mid = self._mid % 65_000 + 1
        return publish_packet(f"doorbell/v1/bench/{topic}", payload, self._mid, retain=retain)

    def _on_desired(self, topic: bytes, payload: bytes) -> None:
        if b"/bell-" not in topic:
            return
        at = payload.find(b'"alarm":"')
        if at >= 0:
            sent = self._sent.pop(payload[at + 9 : at + 45], None)
            if sent is not None:
                self.latencies.append(time.perf_counter() - sent)


def heartbeats(presser: Presser, households: range, every_s: float) -> Iterator[None]:
    """Have all of them say so once in ``every_s``, evenly; each step sends what has become due."""
    begin, beaten = time.perf_counter(), 0
    while True:
        due = int((time.perf_counter() - begin) / every_s * len(households))
        if due > beaten:
            first = households.start + beaten % len(households)
            presser.beat(range(first, min(first + due - beaten, households.stop)))
            beaten = due
        yield


def quantile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def press_payload(event: str) -> bytes:
    """What a panel says of a press that happened 5 ms ago."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    said = f'{{"id":"{event}","type":"help","at":"{at}","age_ms":5,"clock":"synced","alarm":null,"seq":1}}'
    return said.encode()


def _ignore(_topic: bytes, _payload: bytes) -> None:
    return
