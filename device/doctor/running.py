"""The running daemon, as a technician's command finds it: at its control socket, and known by its id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.adapters.control import ControlError, State, ask
from device.settings import CONTROL_SOCKET, DaemonSettings

STATE_WITHIN_S = 5.0
"""A daemon that cannot say its state within this is stuck."""


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that answered: its socket, and its state at that moment."""

    socket: Path
    state: State


def sockets_of(settings: DaemonSettings) -> tuple[Path, ...]:
    """Where the daemon of these settings may listen: on real pins first, then on mock ones."""
    if settings.control is not None:
        return (settings.control,)
    return (CONTROL_SOCKET, settings.control_socket(mock=True))


def find_running(settings: DaemonSettings, socket: Path | None = None) -> Running | None:
    """The daemon of these settings; None if none answers. Raises ``ControlError`` if one is there and may not be
    asked, or hangs."""
    for path in (socket,) if socket is not None else sockets_of(settings):
        try:
            (state,) = ask(path, {"do": "state"}, within_s=STATE_WITHIN_S)
        except ControlError as error:
            if error.reason == "nobody":
                continue
            raise
        if state.get("device") == settings.device:
            return Running(path, state)
    return None


def ask_selftest(running: Running, receipt_s: int) -> dict[str, Any]:
    """The daemon's answer to a self-test: findings, or that it is busy. Raises ``ControlError``."""
    # Outbox 20 s, player 20 s, receipt: each has its own bound in the daemon.
    (answer,) = ask(running.socket, {"do": "selftest", "receipt_s": receipt_s}, within_s=receipt_s + 60.0)
    return answer
