"""``doorbell-sim demo`` as a newcomer, a program and an impatient person use it: real processes, real broker."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.device.waiting import wait_until

pytestmark = pytest.mark.system

COMMAND = [sys.executable, "-m", "sim", "demo", "--language", "en"]
PLAYED_S = 120.0
"""The bound of a whole story; it takes 15 s."""


class Demo:
    """A demo that runs: what it says, on which pids its programs are, and where it keeps its sockets."""

    def __init__(self, temp: Path, *arguments: str, **popen: Any) -> None:
        self.temp = temp
        self._said: list[str] = []
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**os.environ, "TMPDIR": str(self.temp), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
            encoding="utf-8",
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self.process.stderr is not None:
            self._said.extend(iter(self.process.stderr.readline, ""))

    def said(self) -> str:
        return "".join(list(self._said))

    def pid_of(self, name: str) -> int:
        """The process of a device (by id) or of the relay, as it was announced."""
        match = re.search(rf"{name} \((\d+)\)", self.said())
        assert match is not None, self.said()
        return int(match[1])

    def until(self, words: str) -> None:
        wait_until(lambda: words in self.said() or self.process.poll() is not None, within_s=60.0)
        assert words in self.said(), self.said()

    def finish(self) -> tuple[int, str]:
        """Its exit code and its stdout."""
        out = self.process.stdout.read() if self.process.stdout is not None else ""
        code = self.process.wait(PLAYED_S)
        self._reader.join(10.0)
        return code, out

    def programs(self) -> list[int]:
        """The announced processes that still run."""
        return [int(pid) for pid in re.findall(r"\((\d+)\)$", self.said(), re.MULTILINE) if is_alive(int(pid))]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def temp() -> Iterator[Path]:
    """A TMPDIR of the demo's own with a path that is short enough for its sockets too."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as name:
        yield Path(name)


@contextmanager
def demo(temp: Path, *arguments: str, **popen: Any) -> Iterator[Demo]:
    made = Demo(temp, *arguments, **popen)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                made.process.wait(30.0)
        made.process.kill()
        made.process.wait()
        for stream in (made.process.stdout, made.process.stderr):
            if stream is not None:
                stream.close()


def assert_tidy(run: Demo) -> None:
    wait_until(lambda: not run.programs())
    assert list(run.temp.iterdir()) == []


def steps_of(out: str) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in json.loads(out)["steps"]}


def test_the_story_is_seen_on_real_devices(temp: Path) -> None:
    with demo(temp, "--json", "--speed", "20") as run:
        code, out = run.finish()
        assert code == 0, run.said()
        assert_tidy(run)
    told = json.loads(out)
    assert told["ok"] is True
    steps = steps_of(out)
    assert [name for name, step in steps.items() if not step["ok"]] == []
    assert steps["pressed"]["seen_at_ms"] <= steps["panel_ringing"]["seen_at_ms"] < steps["second_bell"]["seen_at_ms"]
    assert steps["second_bell"]["seen_at_ms"] < steps["alliance_bell"]["seen_at_ms"] < steps["arrived"]["seen_at_ms"]
    assert told["policy"]["waits_s"] == [3, 3, 6, 6]
    assert 0 < told["press_to_ring_ms"] == steps["first_bell"]["seen_at_ms"]
    kinds = [line["type"] for line in told["timeline"]]
    assert [kind for kind in kinds if kind in ("raised", "accepted", "arrived", "closed")] == [
        "raised",
        "accepted",
        "arrived",
        "closed",
    ]


def test_the_story_fails_when_a_bell_dies_in_the_middle(temp: Path) -> None:
    with demo(temp, "--json", "--speed", "20") as run:
        run.until("Peng Xiaoping's bell rings")
        os.kill(run.pid_of("bell-zhang"), signal.SIGKILL)
        code, out = run.finish()
        assert code == 1, run.said()
        assert "bell-zhang was ended by SIGKILL" in run.said()
        assert_tidy(run)
    assert json.loads(out)["ok"] is False
    steps = steps_of(out)
    assert steps["first_bell"]["ok"]
    assert not steps["second_bell"]["ok"]
    assert not steps["accepted"]["ok"]


@pytest.mark.slow
def test_the_story_fails_when_a_bell_lives_and_does_not_ring(temp: Path) -> None:
    with demo(temp, "--json", "--speed", "20") as run:
        run.until("Peng Xiaoping's bell rings")
        os.kill(run.pid_of("bell-doctor"), signal.SIGSTOP)
        code, out = run.finish()
        assert code == 1, run.said()
        assert_tidy(run)
    steps = steps_of(out)
    assert steps["second_bell"]["ok"]
    assert "not seen: Sounds(bell='bell-doctor')" in steps["alliance_bell"]["why"]


@pytest.mark.parametrize(("moment", "number"), [("starting: Peng", signal.SIGTERM), ("ready", signal.SIGINT)])
def test_a_signal_stops_everything_and_tidies(temp: Path, moment: str, number: signal.Signals) -> None:
    with demo(temp, "--json", "--speed", "20") as run:
        run.until(moment)
        run.process.send_signal(number)
        code, out = run.finish()
        assert (code, out) == (130, ""), run.said()
        assert_tidy(run)


def test_nothing_outlives_a_demo_that_is_killed(temp: Path) -> None:
    with demo(temp, "--json", "--speed", "20") as run:
        run.until("ready")
        assert len(run.programs()) == 6
        run.process.kill()
        run.finish()
        wait_until(lambda: not run.programs())


@pytest.mark.slow
def test_a_long_tmpdir_leaves_room_for_sockets_elsewhere(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    with demo(long, "--json") as run:
        run.until("ready")


def test_a_broker_port_that_is_taken_is_told(temp: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        with demo(temp, "--story", "--port", str(port)) as run:
            code, _ = run.finish()
            assert code == 2
            assert f"port {port} cannot be used" in run.said()
            assert_tidy(run)


def test_a_person_presses_sees_and_leaves_with_the_terminal_as_it_was(temp: Path) -> None:
    """The screen in a real terminal: key 1 raises the alarm, a answers, q leaves."""
    leader, follower = pty.openpty()
    screen = bytearray()

    def watch() -> None:
        with suppress(OSError):  # the other end is closed when the demo has gone
            while data := os.read(leader, 65_536):
                screen.extend(data)

    before = subprocess.run(["stty", "-g"], stdin=follower, capture_output=True, check=True).stdout
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with demo(temp, "--speed", "20", stdin=follower, stdout=follower) as run:
        run.until("ready")
        wait_until(lambda: b"All is quiet." in screen)
        os.write(leader, b"1")
        wait_until(lambda: b"answer for a neighbour" in screen)
        os.write(leader, b"a")
        wait_until(lambda: b"Peng Xiaoping is coming" in screen)
        os.write(leader, b"?")
        wait_until(lambda: b"Three presses within a minute" in screen)
        os.write(leader, b"q")
        code, _ = run.finish()
        assert code == 0, run.said()
        assert_tidy(run)
    after = subprocess.run(["stty", "-g"], stdin=follower, capture_output=True, check=True).stdout
    os.close(follower)
    os.close(leader)
    watcher.join(10.0)
    assert after == before
    assert screen.count(b"\x1b[?1049h") == screen.count(b"\x1b[?1049l") == 1
