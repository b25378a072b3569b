"""What was heard for communities that another relay holds, or nobody: kept for a while, should they become ours.

Every relay hears every event, and acknowledges to the broker what is not its own: the holder has a copy, and the device
keeps its own until the receipt. If the holder dies between hearing and committing, the next one has the event here and
need not wait for the device to send it again, which may take half a minute.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from operator import itemgetter

from doorbell.wire import Event
from relay.intake import Heard, grown_older

KEPT_MS = 60_000
"""A device sends what has no receipt at least every 36 s (wire contract): of every open event one copy is in here."""
MAX_KEPT = 20_000
"""Events of all communities that are not ours, about 20 MB; presses are rare, and the oldest goes first."""


class Elsewhere:
    """Events of others' communities, the newest copy of each."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Heard, Event, int]] = OrderedDict()

    def keep(self, heard: Heard, event: Event, now_ms: int) -> None:
        """An event of a community that is not ours."""
        self._kept[event.id] = (heard, event, now_ms)
        self._kept.move_to_end(event.id)
        while self._kept:
            oldest, (_, _, at_ms) = next(iter(self._kept.items()))
            if len(self._kept) <= MAX_KEPT and now_ms - at_ms < KEPT_MS:
                break
            del self._kept[oldest]

    def take(self, communities: Collection[str], now_ms: int) -> dict[str, Heard]:
        """What was kept for these, by event, each with the age that it has now, and the oldest first: of two answers of
        one bell the earlier may have been sent again after the later."""
        taken: list[tuple[int, str, Heard]] = []
        for key, (heard, event, at_ms) in [*self._kept.items()]:
            if heard.address.community not in communities:
                continue
            del self._kept[key]
            if (waited_ms := now_ms - at_ms) < KEPT_MS:
                taken.append((event.age_ms + waited_ms, key, grown_older(heard, waited_ms)))
        return {key: heard for _, key, heard in sorted(taken, key=itemgetter(0), reverse=True)}
