"""Whether this relay hears the broker: it says something to itself once a beat, and listens for it.

A line that is cut without a word is noticed by the link after a keepalive or more; a relay that hears no presses for
that long must not keep its communities. Only beside other relays: one alone could give them to nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from doorbell.link import Delivery, Link, LinkEvent
from doorbell.wire import Topics

MAX_OPEN = 600
"""Words that have not come back, of ten minutes: by then nobody counts any more."""


def echo_topic(topics: Topics, client_id: str) -> str:
    """One that nobody else hears or says."""
    return f"{topics.prefix}/{client_id}"


class Echo:
    """Stands between the link and the loop's inbox. ``token`` tells this process's words from those of one before it.

    ``topic`` is one that nobody else hears or says.
    """

    def __init__(self, topics: Topics, client_id: str, token: str, sink: Callable[[LinkEvent], None]) -> None:
        self.topic = echo_topic(topics, client_id)
        self._token = token
        self._sink = sink
        self._count = 0
        self._open: deque[tuple[bytes, int]] = deque(maxlen=MAX_OPEN)
        """What was said, and when, oldest first."""
        self._last_heard = b""

    def take(self, event: LinkEvent) -> None:
        """On the link's thread: what the broker has sent."""
        if isinstance(event, Delivery) and event.topic == self.topic:
            self._last_heard = event.payload
        else:
            self._sink(event)

    def say(self, link: Link, now_ms: int) -> None:
        """Say the next word; without a connection nobody hears it, and it counts as said."""
        self._count += 1
        word = f"{self._token} {self._count}".encode()
        link.publish(self.topic, word, qos=0)
        self._open.append((word, now_ms))

    def silent_ms(self, now_ms: int) -> int:
        """Since when nothing of what was said has come back."""
        words = [word for word, _ in self._open]
        if self._last_heard in words:
            for _ in range(words.index(self._last_heard) + 1):
                self._open.popleft()
        return now_ms - self._open[0][1] if self._open else 0
