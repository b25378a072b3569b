"""The relay's part in a renewal: it keeps what a device asks, tells it the certificate, and hears that it was taken.

Signing is not done here: whoever has the issuing key answers in the database (``relay.signing``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

import structlog

from doorbell.wire import Event
from relay.core.register import Device, Register
from relay.core.renewal import TAKEN, Renewal, RenewalRow, hear_renewal
from relay.news import News
from relay.telling import Teller
from relay.turn import Turn

_log = structlog.get_logger("relay")


class RenewalDesk:
    """What devices ask and are told; ``hear`` after ``tell`` of the same turn."""

    def __init__(self, teller: Teller, told: Iterable[RenewalRow], counts: Counter[str]) -> None:
        self._known: Mapping[str, RenewalRow] = {}
        self._teller = teller
        self._counts = counts
        teller.certify(told)

    def hear(self, turn: Turn, device: Device, event: Event) -> str:
        """A device asks, or has taken what it was told; the verdict."""
        last = turn.batch.renewals.get(device.id) or self._known.get(device.id)
        verdict, row = hear_renewal(last, device.id, device.community, event.detail, turn.now)
        if row is not None:
            self._change(turn, device, row)
        elif last is not None and last.state is Renewal.TOLD:  # by another relay, whose community it was then
            self._teller.certify((last,))
            turn.touch(device)
        self._counts[f"renewal.{verdict.removeprefix('renewal_')}"] += 1
        _log.info("renewal.taken" if verdict == TAKEN else "renewal.heard", device=device.id, verdict=verdict)
        return verdict

    def tell(self, turn: Turn, news: News, register: Register, held: Container[str]) -> None:
        """Certificates that were made: into the desired states of those whose communities are ours."""
        self._known = news.renewals
        for row in news.signed:
            device = register.devices.get(row.device)
            if device is None or device.community not in held:
                continue
            told = replace(row, community=device.community, state=Renewal.TOLD)
            self._change(turn, device, told)
            self._counts["renewal.told"] += 1
            _log.info("renewal.told", device=device.id)

    def _change(self, turn: Turn, device: Device, row: RenewalRow) -> None:
        turn.batch.renewals[device.id] = row
        turn.touched.add(device.community)
        self._teller.certify((row,))
        turn.touch(device)
