"""Renewals as the relay hears them: a device asks for a certificate, is told one, and says that it has taken it.

Who may sign, and whether the name in a request is the sender's, is the authority's to say: here is only what needs no
key. A device asks once and then again every day with the same request, so nothing of it need be kept for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from doorbell.wire import MAX_REQUEST, certificate_mark

ASK_EVERY = timedelta(hours=20)
"""A new request of one device is heard so often at most. Devices ask once a day; another key sooner than that is a
device out of its mind, or somebody else's program on it."""
ASKED, TAKEN = "renewal_asked", "renewal_taken"
"""The two verdicts that change something."""
_PEM = re.compile(r"-----BEGIN CERTIFICATE REQUEST-----\r?\n[A-Za-z0-9+/=\r\n]*-----END CERTIFICATE REQUEST-----\r?\n")


class Renewal(StrEnum):
    """How far the newest request of a device has come."""

    WAITING = "waiting"
    """For whoever has the issuing key."""
    SIGNED = "signed"
    REFUSED = "refused"
    TOLD = "told"
    """The certificate is in the device's desired state."""
    TAKEN = "taken"
    """The device is connected with it."""


@dataclass(frozen=True, slots=True)
class RenewalRow:
    """A device's newest request for a certificate, and what became of it: one row for each device."""

    device: str
    community: str
    request: str
    """PKCS #10, PEM."""
    asked_at: datetime
    state: Renewal = Renewal.WAITING
    answer: str = ""
    """The certificate, PEM, from ``SIGNED`` on; why not, if ``REFUSED``."""
    answered_at: datetime | None = None


def hear_renewal(
    last: RenewalRow | None, device: str, community: str, detail: Mapping[str, Any] | None, now: datetime
) -> tuple[str, RenewalRow | None]:
    """What a ``renew`` event means, as a verdict; and the device's new row, None where it changes nothing.

    ``last``: the device's row so far.
    """
    said = detail or {}
    if (mark := said.get("taken")) is not None:
        if last is None or last.state is not Renewal.TOLD or certificate_mark(last.answer) != mark:
            return "renewal_not_told", None
        return TAKEN, replace(last, community=community, state=Renewal.TAKEN)
    request = said.get("request")
    if not isinstance(request, str) or not _is_request(request):
        return "renewal_no_request", None
    asked = RenewalRow(device, community, request, now)
    if last is None:
        return ASKED, asked
    fresh = now - last.asked_at < ASK_EVERY
    if last.request != request:
        return ("renewal_too_soon", None) if fresh else (ASKED, asked)
    match last.state:
        case Renewal.TAKEN:
            return "renewal_done", None
        case Renewal.REFUSED if not fresh:
            return ASKED, asked
        case _:
            return "renewal_under_way", None


def _is_request(text: str) -> bool:
    """By its letters alone: it goes into the database, where a NUL would stop more than this device."""
    return len(text) <= MAX_REQUEST and _PEM.fullmatch(text) is not None
