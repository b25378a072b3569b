"""Whether the wall clock may judge a certificate. A Pi has none until NTP answers (docs/adr/0008).

A clock that NTP has set is believed. One that it has not set is believed too, unless it is *provably* wrong: it says a
time before this software or our own certificate was made, or after our authority has ended, or our authority has
signed something that is not valid yet by it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from doorbell.certificates import Validity, read_validities

SOFTWARE_EPOCH = datetime(2026, 11, 24, tzinfo=UTC)
"""A day on which this source existed: no device that runs it can be earlier. Raised now and then, as systemd does with
its own clock epoch; a test keeps it out of the future."""


def _now() -> datetime:
    return datetime.now(UTC)


class ClockDoubt:
    """What is known against the wall clock, over all connects of a link.

    ``synced``: whether NTP has set the clock since boot. ``now``: the wall clock, aware UTC.
    """

    def __init__(self, synced: Callable[[], bool], now: Callable[[], datetime] = _now) -> None:
        self._synced = synced
        self._now = now
        self._behind = False

    def surely_past(self, authority: Path, own: Path | None) -> datetime | None:
        """None: the clock may judge. Else it is provably wrong, and this moment is the latest known to have passed."""
        if self._synced():
            return None
        ours, authorities = _validities(own), _validities(authority)
        known = [SOFTWARE_EPOCH, *(one.not_before for one in ours)]
        # Of several authorities one may be meant for later.
        known += sorted(one.not_before for one in authorities)[:1]
        epoch, now = max(known), self._now()
        if authorities and now > max(one.not_after for one in authorities):
            return epoch
        if now < epoch or self._behind:
            return max(now, epoch)
        return None

    def seen_not_yet_valid(self) -> None:
        """Our authority's signature stands under a certificate that begins later than now: with an unsynced clock, it
        is the clock that is behind."""
        self._behind = True


def _validities(path: Path | None) -> tuple[Validity, ...]:
    if path is not None:
        with suppress(OSError):  # told where the file is used
            return read_validities(path)
    return ()
