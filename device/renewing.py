"""The shell of ``device.core.renewal``: looks, does what follows, and gives the device's core what it is to tell."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import structlog

from device.core.machine import Trouble
from device.core.moment import Moment
from device.core.renewal import (
    Adopt,
    CameUp,
    KeyMade,
    Look,
    MakeKey,
    RenewalInput,
    RenewalLimits,
    RenewalOrder,
    RenewalSaid,
    RenewalState,
    Say,
    Take,
    TryNext,
    Warn,
    advance_renewal,
    days_left,
)
from device.core.twin import TwinState
from device.ports import IdentityPapers
from doorbell.link import LinkUp

_log = structlog.get_logger("device.renewing")


class Renewer:
    """The renewal of one device. Without ``identity`` nothing is renewed."""

    def __init__(self, identity: IdentityPapers | None, device: str, limits: RenewalLimits) -> None:
        self._identity = identity
        self._limits = limits
        self._state = RenewalState()
        self._share = int.from_bytes(sha256(device.encode()).digest()[:4]) / 2**32

    def came_up(self, up: LinkUp, moment: Moment) -> None:
        """There is a connection, with the certificate that the link says."""
        if self._identity is not None:
            self._advance(self._identity, CameUp(self._identity.is_next(up.certificate)), moment)

    def made(self, made: KeyMade, moment: Moment) -> None:
        """The key that was asked for is there, or is not."""
        if made.failure is not None:
            _log.warning("renewal.no_key", reason=made.failure)
        if self._identity is not None:
            self._advance(self._identity, made, moment)

    def look(self, moment: Moment, twin: TwinState, *, calm: bool, seq: int) -> Sequence[RenewalSaid | Trouble]:
        """Do what is to be done now; what the device is to tell. ``seq``: the number of its next event."""
        identity = self._identity
        if identity is None:
            return ()
        told = None if twin.desired is None else twin.desired.cert
        look = Look(moment.now_ms, moment.wall, moment.synced, twin.connected, calm, told, self._share)
        return self._advance(identity, look, moment, seq)

    def days_left(self, moment: Moment) -> int | None:
        """How long our certificate lasts still; None without one, or while nobody knows what day it is."""
        papers = None if self._identity is None else self._identity.papers()
        return days_left(papers, moment.wall) if papers is not None and moment.synced else None

    def _advance(
        self, identity: IdentityPapers, event: RenewalInput, moment: Moment, seq: int = 0
    ) -> list[RenewalSaid | Trouble]:
        self._state, orders = advance_renewal(self._state, event, identity.papers(), moment.now_ms, self._limits)
        said: list[RenewalSaid | Trouble] = []
        for order in orders:
            match order:
                case Say(detail):
                    said.append(RenewalSaid(moment.event_id(seq + len(said)), detail))
                case Warn(days, cleared):
                    said.append(Trouble("certificate_ends", "mqtt", f"{days} days left", cleared=cleared))
                case MakeKey() | Take() | TryNext() | Adopt():
                    self._do(identity, order)
        return said

    def _do(self, identity: IdentityPapers, order: RenewalOrder) -> None:
        match order:
            case MakeKey():
                _log.info("renewal.begun")
                identity.make_key()
            case Take(certificate):
                if not identity.take(certificate):
                    _log.warning("renewal.not_taken", reason="it is for another key, or cannot be kept")
            case TryNext():
                _log.info("renewal.trying")
                identity.try_next()
            case Adopt():
                if identity.adopt():
                    _log.info("renewal.done")
            case _:
                pass
