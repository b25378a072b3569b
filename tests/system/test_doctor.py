"""The doctor as a process, against a real broker and relay: with the device running, without, with nothing there."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import ROOT, environment
from tests.system.town import FIRST, PANEL, SECOND, Town

pytestmark = pytest.mark.system

LINE = ["--only", "network", "--only", "broker", "--only", "relay", "--only", "pair"]


def doctor(town: Town, name: str, *options: str, language: str = "en_US") -> tuple[int, str]:
    """Exit code and stdout of ``doorbell-device doctor --yes`` about a device of the town."""
    done = subprocess.run(
        [*command(town, name), "--yes", *options],
        env={**environment(), "LC_ALL": language},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def command(town: Town, name: str) -> list[str]:
    words = ["doctor", "--config", str(town.config_of(name)), "--socket", str(town.socket_of(name)), "--pins", "mock"]
    return [sys.executable, "-m", "device", *words]


def found(town: Town, name: str, *options: str) -> dict[str, Any]:
    """``check.code`` with the facts of each finding."""
    _, out = doctor(town, name, "--json", *options)
    return {f"{one['check']}.{one['code']}": one["data"] for one in json.loads(out)["findings"]}


def test_the_line_is_proven_by_the_running_device_and_without_it_by_the_doctor(tmp_path: Path) -> None:
    with Town(tmp_path, "embedded") as town:
        asked = found(town, PANEL, *LINE)
        assert {"service.running", "broker.reachable", "broker.link_up", "relay.receipted"} <= asked.keys()
        assert asked["pair.known"] == {"peers": [FIRST, SECOND]}
        assert "pair.covered" in asked
        assert town.panel.now.link, "the doctor did not take the device's identity from it"

        town.panel.stop()
        alone = found(town, PANEL, *LINE)
        assert {"broker.accepted", "relay.desired", "relay.receipted", "pair.online"} <= alone.keys()
        assert alone["pair.known"] == {"peers": [FIRST, SECOND]}
        assert town.store.alarms() == []
        tests = [line for line in town.lines_of("test") if line.device == PANEL]
        assert len(tests) == 3  # probe and result of the device, then the doctor's own

        town.relay.stop()
        silent = found(town, PANEL, *LINE)
        assert "relay.no_receipt" in silent
        assert "relay.desired" in silent  # retained by the broker

        town.broker.stop()
        code, out = doctor(town, PANEL, *LINE, language="zh_CN")
        assert code == 3
        assert re.search(r"\[故障\] 消息代理：127\.0\.0\.1:\d+ 没有程序在听\n    → 检查设置文件的 mqtt\.host", out)
        assert out.splitlines()[-1] != ""
        assert "不能使用。要修：" in out


SAMPLE = ("button", "buzzer", "certificate", "broker", "relay", "pair")


def at_a_terminal(words: list[str], language: str, answers: dict[bytes, list[bytes]]) -> tuple[int, str]:
    """Exit code and everything shown of a command at a real terminal; ``answers``: for each question, in order."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        words,
        stdin=there,
        stdout=there,
        stderr=there,
        env={**environment(), "LC_ALL": language},
        start_new_session=True,
    )
    os.close(there)
    said, left = b"", {question: [*replies] for question, replies in answers.items()}
    try:
        while True:
            try:
                more = os.read(here, 4_096)
            except OSError:  # the other side has ended
                break
            said += more
            for question, replies in left.items():
                while replies and said.count(question) > len(answers[question]) - len(replies):
                    os.write(here, replies.pop(0))
    finally:
        os.close(here)
    return process.wait(30), said.decode().replace("\r\n", "\n")


def test_a_person_at_the_terminal_is_walked_through_the_buttons_and_lights(tmp_path: Path) -> None:
    """On mock pins, whose buttons press themselves; the answers are typed."""
    config = tmp_path / "panel.toml"
    config.write_text(
        'device = "panel-liu"\ncommunity = "xihushan"\nrole = "panel"\nstate_dir = "state"\n[sound]\nplayer = "none"\n'
    )
    words = [sys.executable, "-m", "device", "doctor", "--config", str(config), "--pins", "mock"]
    lights = [b"n\n" if number == 4 else b"y\n" for number in range(1, 11)]
    only = [f"--only={check}" for check in ("button", "light", "buzzer")]
    code, said = at_a_terminal([*words, *only], "en_US", {b"Is it?": lights})
    assert code == 3
    assert said.count("Press the button help now") == 1
    assert re.search(r"\[ok\] button: help, GPIO17.*: pressed for 1\d\d ms, bounced for 0 ms, 2 edges\n", said), said
    assert said.count("[ok] light") == 9
    assert said.count("[FAILURE] light") == 1
    assert "no buzzer is fitted" in said
    assert "NOT fit for service" in said


def test_the_page_for_technicians_shows_what_the_doctor_says(tmp_path: Path) -> None:
    """docs/doctor.md holds one run; only its figures may differ from this one."""
    with Town(tmp_path, "embedded") as town:
        town.panel.stop()
        only = [f"--only={check}" for check in SAMPLE]
        code, said = at_a_terminal([*command(town, PANEL), *only], "zh_CN", {})
        assert code == 1, said
        page = (ROOT / "docs" / "doctor.md").read_text("utf-8")
        (sample,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
        assert without_figures(sample) == without_figures(said), said


def without_figures(text: str) -> list[str]:
    return [re.sub(r"\d+", "N", line.rstrip()) for line in text.strip().splitlines()]
