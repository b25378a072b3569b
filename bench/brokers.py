"""From one broker to the next: how long a link is without any, by what happened to the first.

    python -m bench.brokers                    # three rounds, a minute and a half
    python -m bench.brokers --rounds 2

Default settings (back-off, time of a try) but for ``return_s`` = 5 and ``steady_s`` = 0.
The fallback is a mosquitto of our own, the first
one too, or a socket that takes connections and never says a word. Nothing here can fail by being slow.
"""

from __future__ import annotations

import argparse
import queue
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from doorbell.broker_order import STABLE_S
from doorbell.link import LinkEvent, LinkUp
from doorbell.logs import configure_logs
from doorbell.mqtt import MqttLink
from doorbell.settings import FallbackBroker, MqttSettings
from tests.system.brokers import MosquittoBroker

RETURN_S = 5.0
WITHIN_S = 60.0


class Watched:
    """A started link that tells when it came up, and when it went down."""

    def __init__(self, first: int, second: int) -> None:
        self._events: queue.Queue[tuple[float, LinkEvent]] = queue.Queue()
        self.link = MqttLink(
            MqttSettings(
                port=first, fallback=(FallbackBroker(host="127.0.0.1", port=second),), return_s=RETURN_S, steady_s=0.0
            ),
            client_id="bench",
            subscriptions=[("doorbell/v1/west-lake/bench/desired", 1)],
            sink=lambda event: self._events.put((time.monotonic(), event)),
            clean_session=True,
            presence_topic="doorbell/v1/west-lake/bench/online",
        )
        self.link.start()

    def up(self) -> tuple[float, float]:
        """When it was first seen down since the last call (or now), and when it was up again."""
        down_s = None
        while True:
            at_s, event = self._events.get(timeout=WITHIN_S)
            if isinstance(event, LinkUp):
                return at_s if down_s is None else down_s, at_s
            down_s = at_s if down_s is None else down_s


@contextmanager
def linked(first: int, second: int) -> Iterator[Watched]:
    watched = Watched(first, second)
    try:
        yield watched
    finally:
        watched.link.stop(1.0)


def one_round(one: MosquittoBroker, two: MosquittoBroker) -> dict[str, float]:
    """Every case once; seconds."""
    figures: dict[str, float] = {}
    one.kill()
    began_s = time.monotonic()
    with linked(one.port, two.port) as watched:
        figures["first refuses at start: up on the fallback"] = watched.up()[1] - began_s
        one.start()
        back_s = time.monotonic()
        down_s, up_s = watched.up()
        figures["first is back: until the return"] = up_s - back_s
        figures["the return itself: without any broker"] = up_s - down_s
        time.sleep(STABLE_S + 0.5)  # a connection that has just begun is not mourned: no pause would follow
        killed_s = time.monotonic()
        one.kill()
        figures["first is killed: up on the fallback"] = watched.up()[1] - killed_s
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        began_s = time.monotonic()
        with linked(mute.getsockname()[1], two.port) as watched:
            figures["first takes connections and is mute: up on the fallback"] = watched.up()[1] - began_s
    return figures


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default 3")
    rounds = parser.parse_args().rounds
    configure_logs("console", "error")
    with tempfile.TemporaryDirectory() as directory:
        one, two = (MosquittoBroker(Path(directory) / name) for name in ("a", "b"))
        two.start()
        try:
            measured = [one_round(one, two) for _ in range(rounds)]
        finally:
            one.stop()
            two.stop()
    print("| what | median (s) | worst (s) |\n| --- | ---: | ---: |")
    for what in measured[0]:
        values = [figures[what] for figures in measured]
        print(f"| {what} | {statistics.median(values):.3f} | {max(values):.3f} |")


if __name__ == "__main__":
    main()
