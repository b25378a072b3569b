"""The demo's parts, each against its real other half: control line, office, journal, child process, register."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from device.adapters.control import ControlServer
from device.core.role import ButtonName
from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.core.policy import DEFAULT_POLICIES
from relay.ports import Batch, JournalRow
from relay.register_file import parse_register, write_register
from relay.texts import Language
from sim import demo
from sim.demo_cast import OFFICE_HOOK, demo_policy, demo_register, line_sentence, name_of
from sim.demo_child import Child, run_once
from sim.demo_journal import JournalFollower
from sim.demo_office import Office
from sim.demo_pins import HOLD_MS, PRESS_MS, PinsLine
from sim.demo_sightings import Chronicle, DeviceView, JournalLine, OfficeMessage, read_export
from tests.device.waiting import wait_until
from tests.sim.demo_stage import ALARM, EPOCH, line

HELP = DEFAULT_POLICIES[AlarmKind.HELP]

# ---------------------------------------------------------------------------------------------------------------------
# Cast


@pytest.mark.parametrize("speed", [1.0, 1.5, 3.0, 10.0, 20.0, 60.0])
def test_speed_divides_every_wait_but_none_below_a_second(speed: float) -> None:
    policy = demo_policy(speed)
    pairs = [(faster.wait_s, step.wait_s) for faster, step in zip(policy.steps, HELP.steps, strict=True)]
    pairs += [(policy.arrive_wait_s, HELP.arrive_wait_s), (policy.done_wait_s, HELP.done_wait_s)]
    for faster, wait_s in pairs:
        assert faster == max(1, math.ceil(wait_s / speed))
    assert [step.targets for step in policy.steps] == [step.targets for step in HELP.steps]


@pytest.mark.parametrize("language", list(Language))
def test_the_register_of_the_demo_is_one_that_the_relay_takes_without_a_word(language: Language) -> None:
    register = demo_register(demo_policy(10), language, "http://127.0.0.1:1/office")
    text = io.StringIO()
    write_register(register, text)
    assert parse_register(text.getvalue()) == (register, [])


def test_a_line_of_the_journal_has_names_instead_of_ids() -> None:
    told = line(0, "step_started", step=3, bells=["bell-doctor"], hooks=[OFFICE_HOOK], wait_s=12)
    assert line_sentence(told, Language.ZH) == "第 3 步：呼叫 社区医生, 社区办公室，等待 12 秒"
    assert line_sentence(told, Language.EN) == "step 3: calling Doctor, community office, waiting 12 s"
    assert name_of("somebody-else", Language.EN) == "somebody-else"


# ---------------------------------------------------------------------------------------------------------------------
# Chronicle


def test_a_blinking_lamp_is_seen_but_is_no_news() -> None:
    chronicle = Chronicle()
    chronicle.add(DeviceView("panel-liu", "ringing", lit=True), 1.0)
    chronicle.add(DeviceView("panel-liu", "ringing", lit=False), 1.5)
    assert len(chronicle.since()) == 1
    assert chronicle.devices()["panel-liu"].lit is False


def test_a_state_that_comes_late_does_not_undo_a_newer_one() -> None:
    chronicle = Chronicle()
    chronicle.add(DeviceView("panel-liu", "coming"), 2.0)
    chronicle.add(DeviceView("panel-liu", "ringing"), 1.0)
    assert [sighting.what for sighting in chronicle.since()] == [DeviceView("panel-liu", "coming")]


def test_since_gives_what_came_after_the_mark() -> None:
    chronicle = Chronicle()
    chronicle.add(line(0, "raised"))
    mark = chronicle.mark()
    assert chronicle.since(mark) == ()
    chronicle.add(line(1, "closed"))
    assert [sighting.what for sighting in chronicle.since(mark)] == [line(1, "closed")]


def test_waiting_ends_with_the_news_with_the_bound_or_when_it_is_hopeless() -> None:
    chronicle = Chronicle()
    thread = threading.Thread(target=chronicle.add, args=(line(0, "raised"),))
    thread.start()
    assert chronicle.wait_for(lambda: chronicle.since() or None, 10.0, lambda: False)
    thread.join()
    assert chronicle.wait_for(lambda: None, 0.0, lambda: False) is None
    assert chronicle.wait_for(lambda: None, 1_000.0, lambda: True) is None


def test_an_export_is_read_line_by_line() -> None:
    text = (
        '{"seq": 7, "at": "2026-11-23T06:43:00.000Z", "community": "x", "type": "raised", "household": "home-liu", '
        f'"alarm": "{ALARM}", "device": "panel-liu", "event": "{ALARM}", "data": {{"kind": "help"}}}}\n\n'
    )
    assert read_export(text) == [JournalLine(EPOCH, "raised", ALARM, "home-liu", "panel-liu", {"kind": "help"})]


# ---------------------------------------------------------------------------------------------------------------------
# The control line


class Device:
    """The real server of the control line, without a device behind it."""

    def __init__(self, path: Path) -> None:
        self.moves: list[tuple[str, bool]] = []
        self.lit = True
        self.server = ControlServer(
            path,
            pins=(ButtonName.HELP,),
            drive=lambda pin, active: self.moves.append((pin.value, active)),
            complete=lambda state: {**state, "light_lit": self.lit},
        )

    def show(self, stage: str, mono_ms: int) -> None:
        facts: dict[str, Any] = {"light": stage, "sounding": [ALARM], "rev": 3, "outbox": 0, "link": True}
        self.server.update({"device": "panel-liu", "role": "panel", "stage": stage, "mono_ms": mono_ms, **facts})


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path / "pins.sock")
    yield made
    made.server.close()


@pytest.fixture
def eye(tmp_path: Path) -> Iterator[tuple[PinsLine, Chronicle]]:
    chronicle = Chronicle()
    made = PinsLine("panel-liu", tmp_path / "pins.sock", chronicle.add)
    yield made, chronicle
    made.stop()


def test_every_change_is_seen_with_the_time_of_the_device(device: Device, eye: tuple[PinsLine, Chronicle]) -> None:
    line_, chronicle = eye
    device.show("received", 1_000)
    line_.start()
    wait_until(lambda: len(chronicle.since()) == 1)
    device.show("ringing", 1_250)
    wait_until(lambda: len(chronicle.since()) == 2)
    assert [(seen.at_s, seen.what) for seen in chronicle.since()] == [
        (at_s, DeviceView("panel-liu", stage, stage, lit=True, sounding=(ALARM,), rev=3, link=True))
        for at_s, stage in ((1.0, "received"), (1.25, "ringing"))
    ]


def test_a_device_that_is_gone_is_seen_to_be_gone(device: Device, eye: tuple[PinsLine, Chronicle]) -> None:
    line_, chronicle = eye
    device.show("idle", 1_000)
    line_.start()
    wait_until(chronicle.since)
    device.server.close()
    wait_until(lambda: chronicle.devices()["panel-liu"] == DeviceView("panel-liu"))


def test_a_lamp_is_looked_at_again_and_again(device: Device, eye: tuple[PinsLine, Chronicle]) -> None:
    line_, chronicle = eye
    device.show("ringing", 1_000)
    line_.watch_lamp()
    wait_until(lambda: chronicle.devices().get("panel-liu", DeviceView("")).lit)
    device.lit = False
    wait_until(lambda: not chronicle.devices()["panel-liu"].lit)


def test_a_press_is_down_and_up_and_a_hold_is_long_enough(
    device: Device, eye: tuple[PinsLine, Chronicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PRESS_MS >= 100
    assert HOLD_MS > 3_000
    monkeypatch.setattr("sim.demo_pins.HOLD_MS", 1)
    eye[0].press("help")
    eye[0].hold("help")
    assert device.moves == [("help", True), ("help", False)] * 2


def test_a_button_that_is_not_there_and_a_device_that_is_not_there_are_errors(
    device: Device, eye: tuple[PinsLine, Chronicle]
) -> None:
    with pytest.raises(OSError, match="answer"):
        eye[0].press("answer")
    device.server.close()
    with pytest.raises(OSError, match="No such file"):
        eye[0].press("help")


# ---------------------------------------------------------------------------------------------------------------------
# Office, journal, children


def post(url: str, body: bytes) -> int:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - same
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_office_takes_a_notice_and_refuses_rubbish() -> None:
    told: list[OfficeMessage] = []
    office = Office(told.append)
    office.start()
    try:
        notice = {"occasion": "step_started", "alarm": ALARM, "text": "柳奶奶：求助", "more": 1}
        assert post(office.url, json.dumps(notice).encode()) == 200
        assert [post(office.url, body) for body in (b"", b"[]", b"{}", b"\xff")] == [400] * 4
    finally:
        office.stop()
    assert told == [OfficeMessage("step_started", ALARM, "柳奶奶：求助")]


def test_the_journal_is_followed_as_it_is_committed(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path / "relay.db")
    chronicle = Chronicle()
    follower = JournalFollower(tmp_path / "relay.db", store.seal.file, chronicle.add)

    def commit(kind: str) -> None:
        store.commit(Batch(journal=[JournalRow(at, "xihushan", kind, alarm=ALARM, data={"step": 1})]))

    at = datetime.now(UTC).replace(microsecond=0)
    commit("raised")
    follower.start()
    try:
        wait_until(lambda: len(chronicle.since()) == 1)
        commit("closed")
        wait_until(lambda: len(chronicle.since()) == 2)
    finally:
        follower.stop()
        store.close()
    assert [sighting.what for sighting in chronicle.since()] == [
        JournalLine(at, kind, ALARM, None, None, {"step": 1}) for kind in ("raised", "closed")
    ]


def test_a_child_runs_until_it_is_stopped(tmp_path: Path) -> None:
    child = Child("server", ["http.server", "--bind", "127.0.0.1", "0"], tmp_path / "server.log")
    child.start()
    try:
        wait_until(lambda: "Serving" in (tmp_path / "server.log").read_text())
        assert child.pid is not None
        assert child.ended() is None
    finally:
        child.stop()
    assert child.pid is None


def test_a_child_that_is_killed_says_how_and_what_it_said_last(tmp_path: Path) -> None:
    child = Child("server", ["http.server", "--bind", "127.0.0.1", "0"], tmp_path / "server.log")
    child.start()
    try:
        wait_until(lambda: "Serving" in (tmp_path / "server.log").read_text())
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: child.ended() is not None)
        words = child.last_words()
    finally:
        child.stop()
    assert words.startswith("server was ended by SIGKILL")
    assert "Serving" in words
    assert "server.log" in words


def test_a_child_that_ends_by_itself_has_its_code(tmp_path: Path) -> None:
    child = Child("tool", ["json.tool", "--no-such-option"], tmp_path / "tool.log")
    child.start()
    wait_until(lambda: child.ended() is not None)
    assert child.last_words().startswith("tool ended with 2")
    child.stop()


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    code, _, errors = run_once("server", ["http.server", "--bind", "127.0.0.1", "0"], tmp_path, timeout_s=0.2)
    assert code == 124
    assert "0.2 s" in errors


# ---------------------------------------------------------------------------------------------------------------------
# The command


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(words)


def test_the_options_have_their_defaults() -> None:
    options = parsed()
    assert vars(options) == {
        "story": False,
        "json": False,
        "speed": None,
        "language": None,
        "keep": None,
        "port": 0,
        "sound": False,
    }
    assert parsed("--language", "en_GB").language is Language.EN


@pytest.mark.parametrize("words", [["--speed", "0.5"], ["--speed", "61"], ["--speed", "x"], ["--language", "fr"]])
def test_an_option_that_makes_no_sense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.main(words)
    assert stopped.value.code == 2
    assert words[1] in capsys.readouterr().err


@pytest.mark.parametrize(("language", "words"), [("en", "There is no terminal"), ("zh-CN", "没有终端")])
def test_without_a_terminal_it_says_what_to_do(
    language: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert demo.main(["--language", language]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "--story" in said.err
    assert said.out == ""


def test_a_directory_to_keep_must_be_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious")
    assert demo.main(["--story", "--keep", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
