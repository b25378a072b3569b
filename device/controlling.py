"""The control line of a running daemon: what may be asked there, on mock pins and on real ones."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from device.adapters.clock import SystemClock
from device.adapters.control import ControlServer, State
from device.adapters.disk import prove_disk
from device.adapters.gpio import GpioPins
from device.adapters.outbox import read_copy
from device.adapters.sound import Speaker
from device.core.role import ButtonName
from device.loop import Inbox
from device.ports import UnavailableError
from device.runtime import DeviceRuntime
from device.selftest import Lent, SelfTest
from doorbell.errors import SetupError
from doorbell.wire import format_time

REAL_MODE = 0o660
"""Nothing that can be asked of real pins does harm: the device's group, technicians, may ask."""
MOCK_MODE = 0o600

_log = structlog.get_logger("device.control")


def serve_control(
    path: Path,
    stack: ExitStack,
    *,
    mock: bool,
    runtime: DeviceRuntime,
    inbox: Inbox,
    pins: GpioPins,
    speaker: Speaker,
    clock: SystemClock,
    state_dir: Path,
    outbox: Path,
) -> Callable[[], None]:
    """Listen at ``path`` until ``stack`` is unwound; returns what must be called after every turn.

    Raises ``SetupError`` or ``UnavailableError`` if it cannot listen there, on mock pins: nobody could press them. On
    real pins a finger can, so the daemon goes on without its control line and says so in the log.
    """
    selftest = SelfTest(
        Lent(
            snapshot=runtime.snapshot,
            state=lambda: runtime.state,
            put=inbox.put_proof,
            pins=pins,
            clock=clock,
            prove_sound=speaker.prove,
            prove_disk=lambda: prove_disk(state_dir),
            on_disk=lambda event_id: any(row.id == event_id for row in read_copy(outbox).rows),
            new_id=lambda: str(uuid.uuid4()),
        )
    )

    def complete(state: State) -> State:
        return {**state, "light_lit": pins.light_lit(), "pins": pins.levels(), "mock": mock}

    def drive(pin: ButtonName, active: bool) -> None:
        pins.drive(pin, active=active)

    try:
        server = ControlServer(
            path,
            pins=tuple(pins.fitted()),
            drive=drive if mock else None,
            complete=complete,
            asks={"selftest": selftest.answer},
            mode=MOCK_MODE if mock else REAL_MODE,
        )
    except (SetupError, UnavailableError, OSError) as error:
        if mock:
            raise
        _log.warning("control.unavailable", reason=str(error))
        return lambda: None
    stack.callback(server.close)

    def after_turn() -> None:
        server.update(_state_of(runtime, clock))
        selftest.after_turn()

    return after_turn


def _state_of(runtime: DeviceRuntime, clock: SystemClock) -> State:
    """What the runtime shows and knows, and what of the relay's word a technician asks for."""
    desired = runtime.state.twin.desired
    known: dict[str, Any] = {
        "peers": [] if desired is None else list(desired.peers),
        "coverage": None if desired is None or desired.panel is None else desired.panel.coverage.value,
        "faults": sorted(f"{code} {subject}" for code, subject in runtime.state.faults),
    }
    return {
        **asdict(runtime.snapshot()),
        **known,
        "at": format_time(clock.wall()),
        "mono_ms": clock.monotonic_ms(),
    }
