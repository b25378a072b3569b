"""A device with rights that says thousands of valid events a second, for a test or a measurement."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from doorbell.link import LinkUp
from doorbell.wire import Channel, ClockState, Event, EventType, Topics, encode
from tests.system.link_probe import LinkProbe, fast_settings

TICK_S = 0.01
SOME_ID = "00000000-0000-4000-8000-000000000000"


class Flooder:
    """``said``: how many events the link has taken."""

    def __init__(self, probe: LinkProbe, topic: str, per_s: int) -> None:
        self.said = 0
        self._probe, self._topic, self._per_s = probe, topic, per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        said = Event(id=SOME_ID, type=EventType.TEST, at=datetime.now(UTC), age_ms=0, clock=ClockState.SYNCED)
        before, after = encode(said).split(SOME_ID.encode())
        began_s, number = time.monotonic(), 0
        while not self._stop.wait(TICK_S):
            due = int((time.monotonic() - began_s) * self._per_s)
            for number in range(number + 1, due + 1):  # noqa: B020 - it goes on from where it was
                event_id = f"{number:08x}-0000-4000-8000-000000000000".encode()
                self.said += self._probe.link.publish(self._topic, before + event_id + after)


@contextmanager
def flooding(port: int, community: str, device: str, per_s: int) -> Iterator[Flooder]:
    """While this lasts the device says so many events a second."""
    probe = LinkProbe(fast_settings(port), device)
    try:
        probe.expect(LinkUp)
        flooder = Flooder(probe, Topics().of(community, device, Channel.EVENT), per_s)
        try:
            yield flooder
        finally:
            flooder.stop()
    finally:
        probe.link.stop(5.0)
