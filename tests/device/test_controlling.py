"""The control line of a daemon: real pins are never moved from there, and a missing line stops no device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from device.adapters.clock import SystemClock
from device.adapters.control import ControlError, ask
from device.adapters.gpio import GpioPins, open_factory
from device.adapters.sound import Speaker
from device.controlling import serve_control
from device.core.role import ButtonName, Role
from device.loop import Inbox
from device.repertoire import SpeakerOptions
from device.wiring import ButtonWire, OutputWire, Wiring
from doorbell.errors import SetupError
from tests.device.doubles import Bench

Serve = Callable[..., Callable[[], None]]


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[GpioPins]:
    wiring = Wiring({ButtonName.HELP: ButtonWire(17)}, light=(OutputWire(22),))
    made = GpioPins(open_factory(tmp_path, mock=True), wiring, sink=print, now_ms=lambda: 0)
    yield made
    made.close()


@pytest.fixture
def serve(tmp_path: Path, pins: GpioPins) -> Iterator[Serve]:
    with ExitStack() as stack:

        def make(path: Path, *, mock: bool) -> Callable[[], None]:
            return serve_control(
                path,
                stack,
                mock=mock,
                runtime=Bench().runtime,
                inbox=Inbox(),
                pins=pins,
                speaker=Speaker(SpeakerOptions(None, Role.PANEL), tmp_path, buzzer=None, sink=print),
                clock=SystemClock(),
                state_dir=tmp_path,
                outbox=tmp_path / "outbox.sqlite3",
            )

        yield make


def state_of(path: Path) -> dict[str, Any]:
    (state,) = ask(path, {"do": "state"})
    return state


@pytest.mark.parametrize("mock", [True, False])
def test_only_mock_pins_are_pressed_from_the_control_line(tmp_path: Path, serve: Serve, *, mock: bool) -> None:
    path = tmp_path / "control.sock"
    serve(path, mock=mock)()
    if mock:
        list(ask(path, {"do": "down", "pin": "help"}))
    else:
        with pytest.raises(ControlError):
            list(ask(path, {"do": "down", "pin": "help"}))
    state = state_of(path)
    assert (state["pins"], state["mock"]) == ({"help": mock}, mock)
    assert path.stat().st_mode & 0o777 == (0o600 if mock else 0o660)


def test_a_technician_sees_peers_coverage_and_faults(tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "control.sock"
    serve(path, mock=False)()
    state = state_of(path)
    assert (state["peers"], state["coverage"], state["faults"]) == ([], None, [])


def test_without_room_for_a_socket_real_pins_work_on_and_mock_pins_say_so(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "file").touch()
    serve(tmp_path / "file" / "control.sock", mock=False)()
    serve(tmp_path / ("x" * 120), mock=False)()
    with pytest.raises((SetupError, OSError)):
        serve(tmp_path / "file" / "control.sock", mock=True)
