"""The device's half of the twin: which desired is applied, and when to report. Pure.

``rev`` begins at 0 with every start of the process: the retained desired is the first thing that a connection brings,
and sets it. So a device needs no memory of the relay's wishes, and a relay restored from a back-up can take a device
back by one restart at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from device.core.effects import Ignored
from doorbell.wire import Desired


@dataclass(frozen=True, slots=True)
class TwinState:
    """``told``: rev and ringing of the last report, None if one is owed. Times are monotonic ms."""

    default_interval_s: int
    rev: int = 0
    desired: Desired | None = None
    told: tuple[int, tuple[str, ...]] | None = None
    report_at_ms: int = 0
    connected: bool = False

    @property
    def interval_s(self) -> int:
        """Seconds between two heartbeats: the relay's wish, else the device's setting."""
        wish = self.desired.settings.report_interval_s if self.desired is not None else None
        return wish if wish is not None else self.default_interval_s


def apply_desired(state: TwinState, desired: Desired) -> tuple[TwinState, tuple[Ignored, ...]]:
    """Take a desired state, unless it is older than the last. The same one again changes nothing, but owes a report:
    the relay says it twice only when it has not heard that it was applied."""
    if desired.rev < state.rev:
        return state, (Ignored("stale_rev", f"{desired.rev} after {state.rev}"),)
    return replace(state, rev=desired.rev, desired=desired, told=None), ()


def link_changed(state: TwinState, *, up: bool) -> TwinState:
    """A report is owed at every connect."""
    return replace(state, connected=up, told=None)


def report_due(state: TwinState, ringing: tuple[str, ...], now_ms: int) -> tuple[TwinState, bool]:
    """Whether to report now; if so the state counts it as told."""
    if not state.connected:
        return state, False
    if state.told == (state.rev, ringing) and now_ms < state.report_at_ms:
        return state, False
    return replace(state, told=(state.rev, ringing), report_at_ms=now_ms + state.interval_s * 1000), True


def report_deadline(state: TwinState) -> int | None:
    """The monotonic ms of the next heartbeat; None while there is nobody to hear it."""
    return state.report_at_ms if state.connected else None
