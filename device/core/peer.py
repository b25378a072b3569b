"""The direct way between a panel and its bells: what is told to whom, and when again. Pure.

A relay that does not answer must not keep a press from the neighbour's bell. What a device has in its outbox and a
paired device must know, the role's core names as a ``Telling``; here is only the time-table: at once or after
``after_ms`` without a receipt, and again every ``again_ms`` as long as the role wants it told. The role stops wanting
it when the relay has stored it or a person has answered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """``after_ms``: how long the relay may take before the direct way is used (wire contract: 5 s).

    ``settle_ms``: how long it may take after a connect, when everything that waited is sent at once. ``again_ms``:
    pause between two tellings. ``forget_ms``: a bell stops a direct ring that it has not been told again for so long:
    the panel has reached the relay, somebody else has answered, or the panel is gone; two tellings may be lost.
    ``arrive_ms``: how long an acceptance is believed without the relay (policy: 10 min to arrive), then it rings again.
    ``merge_ms``: how long what was said directly outweighs a relay that is back and has not heard all of it yet: longer
    than the longest pause of an outbox (30 s and a fifth).
    """

    after_ms: int = 5_000
    settle_ms: int = 2_000
    again_ms: int = 10_000
    forget_ms: int = 25_000
    arrive_ms: int = 10 * 60_000
    merge_ms: int = 40_000


@dataclass(frozen=True, slots=True)
class Telling:
    """An event of the outbox that these devices must know. ``since_ms``: when it happened, monotonic."""

    event_id: str
    to: tuple[str, ...]
    since_ms: int
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class PeerState:
    """``due``: when each event that is being told goes (again), monotonic ms; ``open_ms``: from when on anything may be
    told, None without a connection."""

    due: tuple[tuple[str, int], ...] = ()
    open_ms: int | None = None


def peers_connected(state: PeerState, now_ms: int, limits: PeerLimits, *, up: bool) -> PeerState:
    """The link came up or went down; what fell due meanwhile goes as soon as the relay has had its time."""
    return replace(state, open_ms=now_ms + limits.settle_ms if up else None)


def peers_asked(state: PeerState, ids: Collection[str], now_ms: int, limits: PeerLimits) -> PeerState:
    """Whom these were told still asks: tell it again at once, unless that was done in the last ``settle_ms``."""

    def sooner(due_ms: int) -> int:
        return min(due_ms, max(now_ms, due_ms - limits.again_ms + limits.settle_ms))

    return replace(state, due=tuple((one, sooner(at_ms) if one in ids else at_ms) for one, at_ms in state.due))


def peers_due(
    state: PeerState, wanted: Iterable[Telling], now_ms: int, limits: PeerLimits
) -> tuple[PeerState, tuple[Telling, ...]]:
    """What is to be told now, of everything that is wanted now."""
    known = dict(state.due)
    due: list[tuple[str, int]] = []
    now: list[Telling] = []
    for one in wanted:
        if not one.to:
            continue
        at_ms = known.get(one.event_id, one.since_ms + (0 if one.at_once else limits.after_ms))
        if state.open_ms is not None and not one.at_once:
            at_ms = max(at_ms, state.open_ms)
        if state.open_ms is not None and at_ms <= now_ms:
            now.append(one)
            at_ms = now_ms + limits.again_ms
        due.append((one.event_id, at_ms))
    planned = tuple(due)
    return state if planned == state.due else replace(state, due=planned), tuple(now)


def peers_deadline(state: PeerState) -> int | None:
    """The monotonic ms at which something is to be told, or None."""
    return None if state.open_ms is None else min((at_ms for _, at_ms in state.due), default=None)
