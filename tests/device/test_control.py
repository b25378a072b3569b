"""The control line: requests, refusals, watchers, and sockets left behind."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device.adapters.control import MAX_LINE_BYTES, REAL_PINS, ControlError, ControlServer, ask
from device.core.role import ButtonName
from device.ports import UnavailableError
from doorbell.errors import PeerError, SetupError
from tests.device.waiting import wait_until

HELP, OK = ButtonName.HELP, ButtonName.OK


class Rig:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.moves: list[tuple[str, bool]] = []
        self.server = ControlServer(
            path, pins=(HELP, OK), drive=self._drive, complete=lambda state: {**state, "pins": {"help": False}}
        )
        self.server.update(self.state("idle"))

    def _drive(self, pin: ButtonName, active: bool) -> None:
        self.moves.append((pin.value, active))

    @staticmethod
    def state(stage: str, mono_ms: int = 1) -> dict[str, Any]:
        return {"stage": stage, "at": "2026-11-23T06:43:00.000Z", "mono_ms": mono_ms}

    def raw(self, line: bytes) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            sock.sendall(line)
            answer: dict[str, Any] = json.loads(sock.makefile("rb").readline())
            return answer


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "pins.sock")
    yield made
    made.server.close()
    assert not made.path.exists()


def test_press_is_down_then_up(rig: Rig) -> None:
    assert list(ask(rig.path, {"do": "press", "pin": "help", "ms": 1})) == [{"do": "press", "pin": "help", "ms": 1}]
    assert rig.moves == [("help", True), ("help", False)]


def test_down_and_up_move_once(rig: Rig) -> None:
    list(ask(rig.path, {"do": "down", "pin": "ok"}))
    list(ask(rig.path, {"do": "up", "pin": "ok"}))
    assert rig.moves == [("ok", True), ("ok", False)]


def test_state_is_that_of_the_last_turn_and_what_is_read_live(rig: Rig) -> None:
    rig.server.update(rig.state("heard"))
    assert list(ask(rig.path, {"do": "state"})) == [{**rig.state("heard"), "pins": {"help": False}}]


def test_watch_tells_now_and_every_change_and_nothing_else(rig: Rig) -> None:
    seen: list[str] = []

    def watch() -> None:
        seen.extend(state["stage"] for state in ask(rig.path, {"do": "watch"}))

    watcher = threading.Thread(target=watch)
    watcher.start()
    wait_until(lambda: seen == ["idle"])
    for mono_ms, stage in enumerate(("idle", "heard", "heard", "received")):
        rig.server.update(rig.state(stage, mono_ms))
    rig.server.close()
    watcher.join(10)
    assert seen == ["idle", "heard", "received"]


def test_a_watcher_that_went_gives_its_place_back(rig: Rig) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(rig.path))
        sock.sendall(b'{"do": "watch"}\n')
        wait_until(lambda: len(rig.server._watchers) == 1)
    wait_until(lambda: rig.server._watchers == [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not json\n", "Expecting value"),
        (b"[1]\n", "JSON object"),
        (b"{}\n", "none of press, down, up, state, watch"),
        (b'{"do": "press", "pin": "answer"}\n', "none of help, ok"),
        (b'{"do": "press", "pin": "help", "ms": "long"}\n', "whole number"),
        (b'{"do": "press", "pin": "help", "ms": 0}\n', "whole number"),
        (b'{"do": "press", "pin": ' + b"[" * 3_000 + b"\n", ""),
        (b"x" * (MAX_LINE_BYTES + 100) + b"\n", "at most 4096 bytes"),
        (b"\xff\xfe\n", ""),
    ],
)
def test_bad_requests_are_refused_and_move_nothing(rig: Rig, line: bytes, words: str) -> None:
    answer = rig.raw(line)
    assert answer["ok"] is False
    assert words in answer["error"]
    assert rig.moves == []
    assert list(ask(rig.path, {"do": "state"}))


def test_a_refusal_is_the_callers_mistake(rig: Rig) -> None:
    with pytest.raises(SetupError, match="none of help, ok"):
        list(ask(rig.path, {"do": "press", "pin": "nose"}))


def test_the_socket_is_its_owners_only(rig: Rig) -> None:
    assert rig.path.stat().st_mode & 0o777 == 0o600


def test_a_socket_left_behind_is_replaced_a_live_one_is_not(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="another device is running"):
        Rig(rig.path)
    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))
    again = Rig(dead)
    assert list(ask(dead, {"do": "state"}))
    again.server.close()


def test_paths_that_cannot_be_sockets_are_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SetupError, match="is no socket"):
        Rig(tmp_path / "file")
    with pytest.raises(SetupError, match="at most 107 bytes"):
        Rig(tmp_path / ("x" * 120))
    assert (tmp_path / "file").read_text() == "precious"


def test_nobody_listens_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is the device running"):
        list(ask(tmp_path / "none.sock", {"do": "state"}))


# --- real pins ------------------------------------------------------------------------------------------------------


@pytest.fixture
def real(tmp_path: Path) -> Iterator[ControlServer]:
    """The control line of a device on real pins, which answers one more question."""

    def count(request: dict[str, Any]) -> dict[str, Any]:
        if request.get("to") == "boom":
            raise RuntimeError("a bug of ours")
        if not isinstance(request.get("to"), int):
            raise PeerError("invalid", "to: a whole number")
        return {"counted": request["to"]}

    made = ControlServer(
        tmp_path / "control.sock",
        pins=(HELP, OK),
        drive=None,
        complete=lambda state: {**state, "pins": {"help": False}},
        asks={"count": count},
        mode=0o660,
    )
    made.update(Rig.state("idle"))
    yield made
    made.close()


@pytest.mark.parametrize("do", ["press", "down", "up"])
def test_real_pins_can_be_looked_at_and_not_pressed(real: ControlServer, tmp_path: Path, do: str) -> None:
    path = tmp_path / "control.sock"
    with pytest.raises(ControlError, match="only a finger") as refused:
        list(ask(path, {"do": do, "pin": "help"}))
    assert refused.value.reason == REAL_PINS
    assert next(ask(path, {"do": "state"}))["stage"] == "idle"
    assert next(ask(path, {"do": "watch"}))["stage"] == "idle"


def test_the_group_may_ask_real_pins(real: ControlServer, tmp_path: Path) -> None:
    assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o660


def test_a_daemon_answers_its_own_questions_and_refuses_bad_ones(real: ControlServer, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    assert list(ask(path, {"do": "count", "to": 3})) == [{"counted": 3}]
    with pytest.raises(ControlError, match="a whole number"):
        list(ask(path, {"do": "count"}))
    with pytest.raises(ControlError, match="watch, count"):
        list(ask(path, {"do": "dance"}))


def test_a_bug_in_an_answer_is_logged_and_the_asker_is_not_left_waiting(
    real: ControlServer, tmp_path: Path, allow_error_logs: list[dict[str, Any]]
) -> None:
    with pytest.raises(ControlError, match="its log says why") as error:
        list(ask(tmp_path / "control.sock", {"do": "count", "to": "boom"}, within_s=10))
    assert error.value.reason == "silent"
    wait_until(lambda: [event["event"] for event in allow_error_logs] == ["control.failed"])
    assert list(ask(tmp_path / "control.sock", {"do": "state"}))


def test_a_daemon_that_hangs_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "hangs.sock"))
        listening.listen()
        with pytest.raises(ControlError, match=r"within 0\.05 s") as silent:
            list(ask(tmp_path / "hangs.sock", {"do": "state"}, within_s=0.05))
    with pytest.raises(ControlError) as nobody:
        list(ask(tmp_path / "hangs.sock", {"do": "state"}, within_s=0.05))
    assert (silent.value.reason, nobody.value.reason) == ("silent", "nobody")
