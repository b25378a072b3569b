"""The one way into the relay: what devices and hooks say waits here for the loop, a press before a heartbeat.

Two lanes. In the urgent one is everything that happens once: events of devices, changes of the link, outcomes of hooks.
None of it is ever dropped but what one device says over its limit (``relay.flood``), which it will say again: when the
lane is full, whoever brings more must wait, and so the broker learns to wait. Outcomes alone never do: the loop itself
may bring one, of a notice for which the notifier has no room, and there are no more of them than notices.
In the other are ``reported``, ``online`` and, of other relays, ``desired``, which tell a state. A newer one takes the
place of the same device's older one, if both can be understood: rubbish is kept for a technician, and takes nobody's
word away. Of births and wills all count, for between two a device was gone, unless they are over their device's limit:
then the newest, a little later. And while many wait, a heartbeat that says nothing new is not queued at all: the device
is vouched for, so that nobody takes the relay's haste for the device's silence.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from doorbell.errors import PeerError
from doorbell.link import Delivery
from doorbell.wire import Channel, Desired, Reported, decode
from relay.flood import Flood, FloodGate
from relay.intake import Backlog
from relay.ports import NoticeDelivered
from relay.runtime import RelayInput

QUEUE_SIZE = 50_000
"""Inputs that may wait in each lane (about 100 MB at the worst)."""
SHED_AT = 2_000
"""So many reports waiting are eight turns of nothing else: the relay does not keep up. After a start or a change of the
broker more may wait, but those are retained or news, and never shed."""
TURN_SIZE = 250
"""Inputs of one turn at the most: keeps the first press of a burst from waiting for the last."""
REPORT_SHARE = 50
"""Of a turn, for reports, however many presses wait: a bell that says that it sounds is what a panel waits for."""
_HELP = b'"help"'
"""Nobody's press is without it, whatever else there is in its payload."""
_ONLINE = f"/{Channel.ONLINE.value}"
_DESIRED = f"/{Channel.DESIRED.value}"
_STATES = (f"/{Channel.REPORTED.value}", _ONLINE, _DESIRED)


def _everything(_delivery: Delivery) -> bool:
    return True


def _is_understood(delivery: Delivery) -> bool:
    try:
        decode(Desired if delivery.topic.endswith(_DESIRED) else Reported, delivery.payload)
    except PeerError:
        return False
    return True


class Inbox:
    """Filled by any thread, emptied by the loop's alone.

    ``is_news`` tells of a ``reported`` whether it says anything that the relay does not know; it is asked on the thread
    that puts, and only while ``SHED_AT`` or more wait. Until it is set everything is news.
    """

    def __init__(
        self,
        *,
        size: int = QUEUE_SIZE,
        shed_at: int = SHED_AT,
        gate: FloodGate | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate = gate or FloodGate()
        self._monotonic = monotonic
        self._flood: list[Delivery] = []
        self.is_news: Callable[[Delivery], bool] = _everything
        self._size = size
        self._shed_at = shed_at
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._urgent: deque[tuple[int, RelayInput]] = deque()
        self._reports: OrderedDict[object, tuple[int, Delivery]] = OrderedDict()
        self._in_hand: set[object] = set()
        """Topics of the reports in the turn that runs: until it is over the relay may not know yet what they say."""
        self._number = 0
        self._superseded: list[Delivery] = []
        self._held_back: dict[str, Delivery] = {}
        self._shed: list[Delivery] = []

    def put(self, item: RelayInput) -> None:
        """Hand in an input; waits while its lane is full."""
        if isinstance(item, Delivery) and item.topic.endswith(_STATES):
            self._put_report(item)
            return
        with self._lock:
            if isinstance(item, Delivery) and not self._gate.lets_in(
                item.topic, self._monotonic(), press=_HELP in item.payload
            ):
                self._put_over_limit(item)
                return
            while len(self._urgent) >= self._size and not isinstance(item, NoticeDelivered):
                self._emptied.wait()
            self._number += 1
            self._urgent.append((self._number, item))
            self._filled.notify()

    def _put_report(self, item: Delivery) -> None:
        # A birth or will stands for itself: between the two a device was gone.
        key: object = id(item) if item.topic.endswith(_ONLINE) else item.topic
        with self._lock:
            if item.topic.endswith(_ONLINE) and (item.topic in self._held_back or not self._lets_in(item)):
                self._hold_back(item)
                return
            waiting = self._reports.get(key)
            if waiting is not None and not (_is_understood(waiting[1]) and _is_understood(item)):
                key = id(item)
            while (known := self._reports.get(key)) is None and len(self._reports) >= self._shed_at:
                if isinstance(key, str) and key not in self._in_hand and not item.retained and not self.is_news(item):
                    if len(self._shed) < self._size:
                        self._shed.append(item)
                        self._filled.notify()
                        return
                elif len(self._reports) < self._size:
                    break
                self._emptied.wait()
            while known is not None and len(self._superseded) >= self._size:
                self._emptied.wait()
                known = self._reports.get(key)
            self._number += 1
            if known is not None:
                self._superseded.append(known[1])
            self._reports[key] = (self._number, item)
            self._reports.move_to_end(key)
            self._filled.notify()

    def _lets_in(self, item: Delivery) -> bool:
        return item.retained or self._gate.lets_in(item.topic, self._monotonic())

    def _hold_back(self, item: Delivery) -> None:
        """A birth or will over its device's limit: the newest comes in when there is room for it again."""
        older = self._held_back.get(item.topic)
        self._held_back[item.topic] = item
        if older is not None:
            self._put_over_limit(older)

    def _put_over_limit(self, item: Delivery) -> None:
        while len(self._flood) >= self._size:
            self._emptied.wait()
        self._flood.append(item)
        self._filled.notify()

    def _let_go(self) -> None:
        for item in [item for item in self._held_back.values() if self._lets_in(item)]:
            del self._held_back[item.topic]
            self._number += 1
            self._reports[id(item)] = (self._number, item)

    def gather(self, for_s: float) -> list[RelayInput]:
        """Everything that comes in so long, ``TURN_SIZE`` at the most."""
        until, gathered = time.monotonic() + for_s, list[RelayInput]()
        while len(gathered) < TURN_SIZE and (left_s := until - time.monotonic()) > 0:
            gathered += self._take(left_s, self._in_hand)
        return gathered

    def take(self, timeout_s: float) -> list[RelayInput]:
        """What waits, ``TURN_SIZE`` at the most, in the order in which it came; empty after ``timeout_s``.

        To be called when the turn with what was taken before is over.
        """
        return self._take(timeout_s, set())

    def _take(self, timeout_s: float, in_hand: set[object]) -> list[RelayInput]:
        with self._lock:
            if timeout_s > 0 and not (self._urgent or self._reports or self._shed or self._flood):
                self._filled.wait(timeout_s)
            self._let_go()
            urgent, reports = self._urgent, self._reports
            count = min(len(urgent), TURN_SIZE - min(len(reports), REPORT_SHARE))
            chosen: list[tuple[int, Any]] = [urgent.popleft() for _ in range(count)]
            left = min(len(reports), TURN_SIZE - count)
            self._in_hand = in_hand
            if left:
                for _ in range(left):
                    key, numbered = reports.popitem(last=False)
                    in_hand.add(key)
                    chosen.append(numbered)
                chosen.sort(key=_by_number)
            taken: list[RelayInput] = [item for _, item in chosen]
            if self._superseded or self._shed or reports:
                taken.append(Backlog(tuple(self._superseded), tuple(self._shed), waiting=len(reports)))
                self._superseded, self._shed = [], []
            if self._flood:
                taken.append(Flood(tuple(self._flood)))
                self._flood = []
            self._emptied.notify_all()
            return taken

    def lengths(self) -> dict[str, int]:
        """How many wait, by lane; any thread may ask."""
        return {"urgent": len(self._urgent), "reports": len(self._reports)}


def _by_number(numbered: tuple[int, Any]) -> int:
    return numbered[0]
