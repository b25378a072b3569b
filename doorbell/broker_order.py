"""Which of several brokers to try or use, and when: the pure core of the link's choice.

``advance_order(order, event, now_s, chance, limits) -> order``. A *round* tries every broker once, one right after the
other; only after a round in vain there is a pause. It begins with the first broker, or after a good connection with
the broker that had it: most losses are a short one of our own network. If that broker fell silent it is tried last,
because asking it again would cost a whole timeout.

On a fallback the first is asked from time to time whether it answers again. When it has done so for a steady time the
link goes back, if the program does not need its connection: a broker that has just started answers before it has its
state, a server of a cluster many seconds before. A first broker that answers, and refuses us or ends soon after, is
asked at growing intervals: there may be a proxy in front of a dead broker, or a broker that does not know our password.

Times are monotonic seconds. With one broker this is nothing but a back-off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

STABLE_S = 10.0
"""A connection that lasted less counts as a try in vain: two clients with one id would kick each other for ever."""
SETTLED_S = 600.0
"""The first broker must have kept us so long after a return to be trusted again at once."""
HOLD_MAX_S = 1800.0
"""The longest interval between two returns that fail: each costs a gap of up to a whole try."""
ASK_AGAIN_S = 5.0
"""How often while it is to be seen whether the first stays, and while the program needs its connection."""
RECEIPT_LIMIT_S = 120.0
"""Longer than this no return waits for a receipt: a press that has none by now is better served by the first broker."""
ALARM_LIMIT_S = 1800.0
"""Longer than this no return waits for the end of an alarm, if the first has answered all the time: what this broker
tells of may be an alarm of the day before, retained where no relay speaks any more."""
_SPREAD = 0.25
"""A fleet on the fallback does not come back in step."""


class Need(Enum):
    """What the program needs its connection for: no moment to leave it for a better one."""

    NONE = "none"
    RECEIPT = "receipt"
    """Something was said and has no receipt yet; that may be the fault of this connection."""
    ALARM = "alarm"
    """An alarm is open that this connection tells of: it works."""


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """From the settings: back-off after a round in vain, time for one try at first and at most, time between asking,
    and for how long the first must have answered before it is preferred to a connection that works."""

    backoff_min_s: float
    backoff_max_s: float
    try_s: float
    try_max_s: float
    return_s: float
    steady_s: float


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """Where the link stands. Brokers are numbered from 0, the first, to ``count`` - 1."""

    count: int
    hold_s: float
    """Time on a fallback before the first is asked; doubled by every return that failed."""
    current: int = 0
    """The broker that is used if ``up``, else the next to try."""
    untried: tuple[int, ...] = ()
    """The rest of the round."""
    try_at_s: float = 0.0
    up: bool = False
    up_since_s: float = 0.0
    pauses: int = 0
    """Since the last good connection."""
    ask_at_s: float | None = None
    """When the first is to be asked; None while it is used. A fallback that comes and goes does not postpone it."""
    answers_since_s: float | None = None
    """Since when the first has answered whenever it was asked."""
    receipt_since_s: float | None = None
    """Since when only a receipt that does not come keeps us from returning."""
    leaving: bool = False
    """The connection is to be ended for the sake of the first."""
    returned: bool = False
    """The first broker is tried or used because we left a fallback for it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The try of ``current`` came to nothing."""


@dataclass(frozen=True, slots=True)
class CameUp:
    """Connected and subscribed at ``current``."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over. ``silent``: nothing came back any more, as opposed to being closed by the other side."""

    silent: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """The first broker was asked, and ``answers`` or not. ``need``: of the program, at this moment."""

    answers: bool
    need: Need = Need.NONE


OrderEvent = Refused | CameUp | Ended | Asked


def new_order(count: int, limits: OrderLimits) -> BrokerOrder:
    """The beginning: the first broker, now."""
    return _round(BrokerOrder(count=count, hold_s=limits.return_s), range(count))


def advance_order(
    order: BrokerOrder, event: OrderEvent, now_s: float, chance: float, limits: OrderLimits
) -> BrokerOrder:
    """Take in one event; one that cannot be, such as an answer that came too late, changes nothing.

    ``chance``: 0 to 1, for the jitter.
    """
    match event:
        case Refused() if not order.up:
            return _next(_distrust(order, limits), now_s, chance, limits)
        case CameUp() if not order.up:
            order = replace(order, up=True, up_since_s=now_s)
            if order.current == 0:
                return replace(order, ask_at_s=None, answers_since_s=None)
            ask_at_s = order.ask_at_s if order.ask_at_s is not None else now_s + _spread(order.hold_s, chance)
            return replace(order, ask_at_s=ask_at_s, returned=False)
        case Ended(silent) if order.up:
            return _after_end(order, silent, now_s, chance, limits)
        case Asked(answers, need) if order.up and order.ask_at_s is not None:
            return _after_answer(order, now_s, chance, limits, need if answers else None)
        case _:
            return order


def try_within_s(order: BrokerOrder, limits: OrderLimits) -> float:
    """How long the next try may take; longer after rounds in vain, for a network that is slow and not dead."""
    return min(max(limits.try_max_s, limits.try_s), limits.try_s * 2.0 ** min(max(0, order.pauses - 1), 16))


def _after_end(order: BrokerOrder, silent: bool, now_s: float, chance: float, limits: OrderLimits) -> BrokerOrder:
    lasted_s, was = now_s - order.up_since_s, order.current
    if lasted_s < SETTLED_S:
        order = _distrust(order, limits)
    elif was == 0:
        order = replace(order, returned=False, hold_s=limits.return_s)
    order = replace(order, up=False, receipt_since_s=None)
    if lasted_s >= STABLE_S:
        order = replace(order, pauses=0)
    if order.leaving:
        others = (one for one in range(1, order.count) if one != was)
        return _round(replace(order, leaving=False, returned=True, try_at_s=now_s), (0, was, *others))
    if lasted_s < STABLE_S:
        return _next(order, now_s, chance, limits)
    others = (one for one in range(order.count) if one != was)
    return _round(_pause(order, now_s, chance, limits), (*others, was) if silent else (was, *others))


def _after_answer(
    order: BrokerOrder, now_s: float, chance: float, limits: OrderLimits, need: Need | None
) -> BrokerOrder:
    """``need``: None if it did not answer."""
    if need is None:
        ask_at_s = now_s + _spread(limits.return_s, chance)
        return replace(order, answers_since_s=None, receipt_since_s=None, ask_at_s=ask_at_s)
    since_s = order.answers_since_s if order.answers_since_s is not None else now_s
    receipt_since_s = None
    if need is Need.RECEIPT:
        receipt_since_s = order.receipt_since_s if order.receipt_since_s is not None else now_s
    overdue = receipt_since_s is not None and now_s - receipt_since_s >= RECEIPT_LIMIT_S
    overdue |= need is Need.ALARM and now_s - since_s >= ALARM_LIMIT_S
    if now_s - since_s >= limits.steady_s and (need is Need.NONE or overdue):
        return replace(order, leaving=True, ask_at_s=None, answers_since_s=None)
    ask_at_s = now_s + ASK_AGAIN_S
    return replace(order, answers_since_s=since_s, receipt_since_s=receipt_since_s, ask_at_s=ask_at_s)


def _next(order: BrokerOrder, now_s: float, chance: float, limits: OrderLimits) -> BrokerOrder:
    """The next of this round, at once; after the last a pause, and a round from the first."""
    if order.untried:
        return _round(replace(order, try_at_s=now_s), order.untried)
    return _round(_pause(order, now_s, chance, limits), range(order.count))


def _round(order: BrokerOrder, brokers: range | tuple[int, ...]) -> BrokerOrder:
    return replace(order, current=brokers[0], untried=tuple(brokers[1:]))


def _pause(order: BrokerOrder, now_s: float, chance: float, limits: OrderLimits) -> BrokerOrder:
    """Exponential with full jitter: a fleet that lost its broker must not come back in step."""
    low = limits.backoff_min_s
    high = max(low, min(limits.backoff_max_s, low * 2.0 ** min(order.pauses + 1, 16)))
    return replace(order, pauses=order.pauses + 1, try_at_s=now_s + low + (high - low) * chance)


def _distrust(order: BrokerOrder, limits: OrderLimits) -> BrokerOrder:
    """After a failure of the first broker for which we had left a fallback."""
    if order.current != 0 or not order.returned:
        return order
    return replace(order, returned=False, hold_s=min(order.hold_s * 2, max(HOLD_MAX_S, limits.return_s)))


def _spread(interval_s: float, chance: float) -> float:
    return interval_s * (1 - _SPREAD + 2 * _SPREAD * chance)
