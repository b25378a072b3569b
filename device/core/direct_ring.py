"""The bell's half of the direct way: what paired panels call for while no relay does. Pure.

A panel that no relay answers tells its bells of the press, again and again. One direct ring for each panel: more
presses of it are the same call. It ends when the relay asks for the same alarm (its ring goes on without a gap), when
the elder or another bell takes it away, when its helper is done, or when the panel has been silent about it for
``forget_ms``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from device.core.peer import PeerLimits
from doorbell.wire import Desired, Event, EventType


@dataclass(frozen=True, slots=True)
class DirectRing:
    """A panel's call. ``alarm``: its first press. ``heard_ms``: when the panel last said so, monotonic.

    ``accepted_ms``: when it was accepted here. ``taken_by``: the name, possibly empty, of another who goes, and
    ``taken_ms``: when the panel last said so.
    """

    panel: str
    alarm: str
    heard_ms: int
    seq: int | None = None
    label: str = ""
    place: str = ""
    presses: frozenset[str] = frozenset()
    accepted_ms: int | None = None
    arrived: bool = False
    taken_by: str | None = None
    taken_ms: int = 0

    @property
    def calls(self) -> bool:
        """Whether it asks for somebody."""
        return self.accepted_ms is None and self.taken_by is None


MAX_DIRECT_PRESSES = 64
"""Presses of one panel that are remembered by id; more are the same call all the same."""

DirectRings = tuple[DirectRing, ...]


def hear_panel(
    rings: DirectRings, panel: str, event: Event, desired: Desired | None, now_ms: int, limits: PeerLimits, *,
    sounding: bool,
) -> tuple[DirectRings, str | None]:  # fmt: skip
    """Take in what a paired panel says; with the reason if it changes nothing.

    ``sounding``: the relay's ring for this panel sounds here now, so the press is heard already.
    """
    mine = ring_of(rings, panel)
    match event.type:
        case EventType.HELP if mine is not None:
            return _with(rings, _pressed(mine, event, now_ms, limits)), None
        case EventType.HELP if sounding:
            return rings, "peer_relay_rings"
        case EventType.HELP:
            label, place = _spoken(desired, panel)
            return (*rings, DirectRing(panel, event.id, now_ms, event.seq, label, place, frozenset({event.id}))), None
        case EventType.OK if mine is not None and not _newer(mine.seq, event.seq):
            return (_without(rings, mine) if mine.calls else _with(rings, replace(mine, arrived=True))), None
        case EventType.ACCEPT if mine is not None and event.alarm in mine.presses:
            taken = replace(mine, heard_ms=now_ms, accepted_ms=None, taken_by=_name(event), taken_ms=now_ms)
            return _with(rings, taken), None
        case EventType.DECLINE if mine is not None and mine.taken_by is not None:
            return _with(rings, replace(mine, heard_ms=now_ms, taken_by=None)), None
        case _:
            return rings, "peer_of_no_ring"


def keep_wanted(rings: DirectRings, now_ms: int, limits: PeerLimits) -> DirectRings:
    """Without those of which nobody speaks any more."""
    kept = tuple(one for one in rings if now_ms < _ends_ms(one, limits))
    return rings if len(kept) == len(rings) else kept


def rings_deadline(rings: DirectRings, limits: PeerLimits) -> int | None:
    """The monotonic ms at which ``keep_wanted`` drops one, or None."""
    return min((_ends_ms(one, limits) for one in rings), default=None)


def merge_relay(rings: DirectRings, desired: Desired, *, news: bool) -> DirectRings:
    """The relay knows these now, and rules: their direct rings end. ``news``: a relay has just said it, it is not the
    last word of one that is gone, which a broker keeps."""
    known = {ring.alarm for ring in desired.rings}
    panels = {ring.from_ for ring in desired.rings} if news else frozenset()
    return tuple(one for one in rings if not one.presses & known and one.panel not in panels)


def ring_of(rings: Iterable[DirectRing], panel: str) -> DirectRing | None:
    """The direct ring of a panel."""
    return next((one for one in rings if one.panel == panel), None)


def answer_ring(rings: DirectRings, alarm: str, kind: EventType, now_ms: int) -> DirectRings:
    """A button of this bell has answered: accepted, or declined and done, which end it."""
    if kind is EventType.ACCEPT:
        return tuple(replace(one, accepted_ms=now_ms) if one.alarm == alarm else one for one in rings)
    return tuple(one for one in rings if one.alarm != alarm)


def _pressed(ring: DirectRing, event: Event, now_ms: int, limits: PeerLimits) -> DirectRing:
    new = event.id not in ring.presses and len(ring.presses) < MAX_DIRECT_PRESSES
    seq = event.seq if ring.seq is None or (event.seq is not None and event.seq > ring.seq) else ring.seq
    heard = replace(ring, heard_ms=now_ms, seq=seq, presses=ring.presses | {event.id} if new else ring.presses)
    waited = ring.accepted_ms is not None and now_ms - ring.accepted_ms >= limits.arrive_ms - limits.again_ms
    # A panel that starts anew calls until it has heard the acceptance again: that other bells need not hear.
    left = ring.taken_by is not None and now_ms - ring.taken_ms >= limits.again_ms + limits.after_ms
    if waited or left or (ring.arrived and new):
        # Nobody has arrived in time, or she calls anew after they had: it rings again, under the newest press's name.
        return replace(heard, alarm=event.id if new else ring.alarm, accepted_ms=None, arrived=False, taken_by=None)
    return heard


def _ends_ms(ring: DirectRing, limits: PeerLimits) -> int:
    silent_ms = ring.heard_ms + limits.forget_ms
    return silent_ms if ring.accepted_ms is None else max(silent_ms, ring.accepted_ms + limits.arrive_ms)


def _spoken(desired: Desired | None, panel: str) -> tuple[str, str]:
    neighbours = desired.neighbours if desired is not None else ()
    return next(((one.label, one.place) for one in neighbours if one.device == panel), ("", ""))


def _name(event: Event) -> str:
    who = (event.detail or {}).get("who")
    return who[:40] if isinstance(who, str) else ""


def _newer(seq: int | None, than: int | None) -> bool:
    return seq is not None and than is not None and seq > than


def _with(rings: DirectRings, ring: DirectRing) -> DirectRings:
    return tuple(ring if one.panel == ring.panel else one for one in rings)


def _without(rings: DirectRings, ring: DirectRing) -> DirectRings:
    return tuple(one for one in rings if one.panel != ring.panel)
