"""Signing what devices have asked for, by whoever has the issuing key: the relay's clerk, or a person's command.

The key need not be where the relay is. The clerk looks whether the authority's folder is there; where it is not, the
requests wait for ``doorbell-relay authority renewals --sign`` on a machine that has both it and the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from doorbell.errors import DoorbellError
from doorbell.logs import LogOnce
from relay.core.renewal import Renewal, RenewalRow
from relay.figures import Figures
from relay.looker import Looker
from relay.texts.refusal import RefusalError

LOOK_S = 10.0
"""Between two looks: a query by an index that finds nothing in most of a year."""


class Requests(Protocol):
    """Where requests lie. Every failure is a ``StoreError``."""

    def renewals(self, *, devices: Sequence[str] | None = None, state: Renewal | None = None) -> list[RenewalRow]:
        """Oldest first."""
        ...

    def answer_renewal(self, row: RenewalRow, state: Renewal, answer: str, at: datetime) -> bool:
        """False if it waits no more."""
        ...


class RefusedError(DoorbellError):
    """This request must not be signed, now or later."""


Sign = Callable[[RenewalRow], str]
"""Gives the certificate, PEM. ``RefusedError``, or a ``RefusalError`` if none can be made now."""


def sign_waiting(
    requests: Requests, sign: Sign, now: datetime, count: Callable[[Renewal], object] = lambda _: None
) -> dict[Renewal, list[str]]:
    """Answer every request that waits; the devices that were answered, by how. Raises what ``sign`` raises for one
    that cannot be answered now: it waits on, and so do those after it. ``count``: called for each that was answered."""
    done: dict[Renewal, list[str]] = {Renewal.SIGNED: [], Renewal.REFUSED: []}
    log = structlog.get_logger("relay.signing")
    for row in requests.renewals(state=Renewal.WAITING):
        try:
            state, answer = Renewal.SIGNED, sign(row)
        except RefusedError as refusal:
            state, answer = Renewal.REFUSED, str(refusal)
        if requests.answer_renewal(row, state, answer, now):
            done[state].append(row.device)
            count(state)
            reason = answer if state is Renewal.REFUSED else None
            log.info("renewal.answered", device=row.device, state=state.value, reason=reason)
    return done


class Clerk(Looker):
    """Signs beside a relay, on a thread of its own, from ``start`` to ``close``.

    ``authority``: a way to sign, or None where there is no authority; asked when a request waits. ``figures``: where
    it is counted.
    """

    def __init__(
        self,
        requests: Requests,
        authority: Callable[[], Sign | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        figures: Figures | None = None,
    ) -> None:
        super().__init__("clerk", first_s=LOOK_S)
        self._figures = figures or Figures()
        self._requests = requests
        self._authority = authority
        self._now = now
        self._log = structlog.get_logger("relay.signing").bind()
        self._complaints = LogOnce(self._log)

    def look(self) -> float:
        """One look, every ``LOOK_S``."""
        try:
            self._figures.renewals_waiting = len(self._requests.renewals(state=Renewal.WAITING))
            if not self._figures.renewals_waiting:
                return LOOK_S
            if (sign := self._authority()) is None:
                self._complaints.warning("renewal.waits", reason="the issuing key is not on this machine")
                return LOOK_S
            sign_waiting(self._requests, sign, self._now(), self._count)
        except (DoorbellError, RefusalError) as error:
            self._complaints.warning("renewal.cannot_sign", reason=str(error))
            return LOOK_S
        self._complaints.clear()
        return LOOK_S

    def crashed(self) -> float:
        """See ``Looker``."""
        self._log.error("renewal.clerk_crashed", exc_info=True)
        return LOOK_S

    def _count(self, state: Renewal) -> None:
        figures = self._figures
        figures.renewals_waiting -= 1
        if state is Renewal.SIGNED:
            figures.renewals_signed += 1
        else:
            figures.renewals_refused += 1
