"""The renewal of our own certificate: what to do next, from what lies on the disk. Pure.

The disk is the memory: a new key with its request, then with its certificate, then in the place of the old one. So a
power cut at any moment changes nothing but when the next step is taken. docs/adr/0015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from doorbell.wire import certificate_mark

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class RenewalLimits:
    """``begin``: after which part of its life a certificate is renewed; ``spread``: within which further part of it the
    devices of a day come; ``warn``: how much of its life is left when a person must look. The rest is in ms."""

    begin: float = 2 / 3
    spread: float = 1 / 12
    warn: float = 1 / 12
    ask_every_ms: int = 24 * _HOUR_MS
    retry_ms: int = _HOUR_MS
    """After a key that could not be made, or a certificate that was refused; doubled each time."""
    retry_max_ms: int = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Papers:
    """What lies on the disk: since and until when the certificate in use is good, aware UTC, and its mark
    (``certificate_mark``); the request of the next key, if there is one; whether the next certificate is there."""

    since: datetime
    until: datetime
    mark: str
    request: str | None = None
    ready: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """How things stand. ``calm``: nothing would be missed if the connection ended now. ``told``: the certificate in
    the desired state. ``share``: this device's place in a fleet, 0 to 1, always the same."""

    now_ms: int
    wall: datetime
    synced: bool
    connected: bool
    calm: bool
    told: str | None
    share: float


@dataclass(frozen=True, slots=True)
class CameUp:
    """Connected and subscribed: with the next certificate, or with the one in use."""

    with_next: bool


@dataclass(frozen=True, slots=True)
class KeyMade:
    """A key and its request are on the disk; ``failure``: they are not, and why."""

    failure: str | None = None


RenewalInput = Look | CameUp | KeyMade


@dataclass(frozen=True, slots=True)
class RenewalState:
    """``making``, ``trying``: a step is under way. ``took``: the mark of the last certificate that was tried on our
    key, ``thanked``: of the last that we said to have taken. ``warned``: a person was told."""

    wait_until_ms: int = 0
    failures: int = 0
    making: bool = False
    trying: bool = False
    asked_ms: int | None = None
    took: str | None = None
    thanked: str | None = None
    warned: bool = False


@dataclass(frozen=True, slots=True)
class MakeKey:
    """Make a key and a request for it."""


@dataclass(frozen=True, slots=True)
class Take:
    """Put this certificate (PEM) beside the new key, if it is for it."""

    certificate: str


@dataclass(frozen=True, slots=True)
class TryNext:
    """Leave the broker, and come back once with the next certificate."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """The next certificate is the one in use from now on."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the relay by a ``renew`` event."""

    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Warn:
    """The certificate ends soon, or, with ``cleared``, does not any more."""

    days: int
    cleared: bool = False


RenewalOrder = MakeKey | Take | TryNext | Adopt | Say | Warn


@dataclass(frozen=True, slots=True)
class RenewalSaid:
    """To the device's core: something to tell the relay. ``event_id``: a random UUID."""

    event_id: str
    detail: Mapping[str, Any]


def advance_renewal(
    state: RenewalState, event: RenewalInput, papers: Papers | None, now_ms: int, limits: RenewalLimits
) -> tuple[RenewalState, tuple[RenewalOrder, ...]]:
    """Take in one event. ``papers``: None for a device without a certificate of our authority, which never renews."""
    match event:
        case KeyMade(failure):
            state = replace(state, making=False)
            return (state, ()) if failure is None else (_failed(state, now_ms, limits), ())
        case CameUp(with_next):
            if with_next:
                # The wait is for a disk that refuses: the next certificate lies there still, and is tried again.
                return replace(state, trying=False, failures=0, wait_until_ms=now_ms + limits.retry_ms), (Adopt(),)
            return (_failed(replace(state, trying=False), now_ms, limits) if state.trying else state), ()
        case Look():
            if papers is None:
                return state, ()
            state, warning = _warned(state, event, papers, limits)
            state, orders = _next(state, event, papers, limits)
            return state, (*warning, *orders)


def days_left(papers: Papers, wall: datetime) -> int:
    """Whole days until it ends, 0 once it has."""
    return max(0, (papers.until - wall) // timedelta(days=1))


def is_due(papers: Papers, look: Look, limits: RenewalLimits) -> bool:
    """Whether it is this device's time. Only a clock that was set knows."""
    life = papers.until - papers.since
    return look.synced and look.wall >= papers.since + life * (limits.begin + limits.spread * look.share)


def _next(
    state: RenewalState, look: Look, papers: Papers, limits: RenewalLimits
) -> tuple[RenewalState, tuple[RenewalOrder, ...]]:
    mark = None if look.told is None else certificate_mark(look.told)
    if look.connected and mark == papers.mark and state.thanked != mark:
        return replace(state, thanked=mark), (Say({"taken": mark}),)
    waits = look.now_ms < state.wait_until_ms
    if papers.ready:
        if state.trying or waits or not look.connected or not look.calm:
            return state, ()
        return replace(state, trying=True), (TryNext(),)
    if papers.request is not None:
        if look.told is not None and mark not in (papers.mark, state.took):
            return replace(state, took=mark), (Take(look.told),)
        again = state.asked_ms is None or look.now_ms - state.asked_ms >= limits.ask_every_ms
        if not again or not look.connected or not is_due(papers, look, limits):
            return state, ()
        return replace(state, asked_ms=look.now_ms, took=None), (Say({"request": papers.request}),)
    if state.making or waits or not is_due(papers, look, limits):
        return state, ()
    return replace(state, making=True), (MakeKey(),)


def _warned(
    state: RenewalState, look: Look, papers: Papers, limits: RenewalLimits
) -> tuple[RenewalState, tuple[Warn, ...]]:
    if not look.synced:
        return state, ()
    late = papers.until - look.wall < (papers.until - papers.since) * limits.warn
    if late == state.warned:
        return state, ()
    return replace(state, warned=late), (Warn(days_left(papers, look.wall), cleared=not late),)


def _failed(state: RenewalState, now_ms: int, limits: RenewalLimits) -> RenewalState:
    wait_ms = min(limits.retry_ms << min(state.failures, 10), limits.retry_max_ms)
    return replace(state, failures=state.failures + 1, wait_until_ms=now_ms + wait_ms)
