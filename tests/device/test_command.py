"""Settings and the command: examples load, every mistake is named with its key, both languages have every word."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any

import pytest

from device import command, texts
from device.core.panel import PanelStage
from device.core.role import ButtonName, Role
from device.core.signals import Light, Tone
from device.settings import DaemonSettings
from device.texts import language_of, text
from doorbell.errors import SetupError
from doorbell.service import ExitCode
from doorbell.settings import load_settings

CONFIG = Path(__file__).parents[2] / "config"
PANEL = 'device = "button-liu"\ncommunity = "xihushan"\nrole = "panel"\nstate_dir = "var"\n'
BELL = PANEL.replace('"panel"', '"bell"')


def load(tmp_path: Path, toml: str) -> DaemonSettings:
    path = tmp_path / "device.toml"
    path.write_text(toml, "utf-8")
    return load_settings(DaemonSettings, path)


@pytest.mark.parametrize("name", ["panel", "bell"])
def test_the_examples_load_and_say_the_defaults(name: str) -> None:
    settings = load_settings(DaemonSettings, CONFIG / f"{name}.example.toml")
    assert settings.role is Role(name)
    assert settings.button == type(settings.button)()
    assert settings.sound == type(settings.sound)()
    assert settings.logs == type(settings.logs)()
    assert settings.report_interval_s == 60
    assert settings.mqtt.port == 18830
    assert (settings.state_dir).name == name


def test_the_default_wiring_is_the_documented_one(tmp_path: Path) -> None:
    panel, bell = load(tmp_path, PANEL), load(tmp_path, BELL)
    assert panel.button_pins() == {ButtonName.HELP: 17, ButtonName.OK: 27}
    assert (panel.light_pin(), panel.buzzer_pin()) == (22, None)
    assert bell.button_pins() == {ButtonName.ANSWER: 17, ButtonName.DECLINE: 27}
    assert (bell.light_pin(), bell.buzzer_pin()) == (22, 18)


def test_what_is_not_fitted_is_none(tmp_path: Path) -> None:
    bell = load(tmp_path, BELL + '[pins]\ndecline = "none"\nlight = "none"\nbuzzer = "none"\n')
    assert bell.button_pins() == {ButtonName.ANSWER: 17}
    assert (bell.light_pin(), bell.buzzer_pin()) == (None, None)


def test_thresholds_reach_the_core(tmp_path: Path) -> None:
    limits = load(
        tmp_path, "report_interval_s = 30\nunreachable_s = 7\n" + PANEL + "[button]\nstable_ms = 25\nstuck_s = 90\n"
    ).limits()
    assert (limits.button.stable_ms, limits.button.hold_ms, limits.button.stuck_ms) == (25, 3_000, 90_000)
    assert (limits.panel.unreachable_ms, limits.report_interval_s) == (7_000, 30)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (PANEL.replace("button-liu", "Button Liu"), "device:"),
        (PANEL.replace('"panel"', '"phone"'), "role:"),
        (PANEL + "[pins]\nanswer = 17\n", "a panel has no such button"),
        (PANEL + '[pins]\nhelp = "none"\n', "without this button is useless"),
        (PANEL + "[pins]\nok = 17\n", "GPIO17 is already the pin of help"),
        (PANEL + "[pins]\nbuzzer = 22\n", "GPIO22 is already the pin of light"),
        (PANEL + "[pins]\nhelp = 40\n", "pins.help"),
        (PANEL + "[button]\nstable_ms = 60\n", "button.stable_ms"),
        (PANEL + "[sound]\nplayer = []\n", 'or "none"'),
        (PANEL + "[sound]\nvolumme = 10\n", "did you mean 'volume'"),
        ("volume = 10\n" + PANEL, "unknown key"),
    ],
)
def test_mistakes_are_named_with_their_key(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(SetupError, match=re.escape(words)):
        load(tmp_path, toml)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "zh-CN"),
        ({"LANG": "C.UTF-8"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US"}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale_and_chinese_otherwise(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_both_languages_have_the_same_blanks_and_chinese_is_chinese() -> None:
    for key, (chinese, english) in texts._TEXTS.items():
        fields = [{name for _, name, _, _ in string.Formatter().parse(one) if name} for one in (chinese, english)]
        assert fields[0] == fields[1], key
        assert chinese
        assert english.isascii(), key


def test_check_explains_in_both_languages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for language, words in (("zh_CN", "按下接地"), ("en_US", "to ground when pressed")):
        monkeypatch.setenv("LC_ALL", language)
        assert command.main(["check", "--config", str(CONFIG / "bell.example.toml")]) == ExitCode.OK
        out = capsys.readouterr().out
        assert words in out
        assert "GPIO18" in out


def test_a_wrong_file_ends_with_the_setup_code_and_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "en_US")
    assert command.main(["run", "--config", str(tmp_path / "none.toml")]) == ExitCode.SETUP
    assert "no such file" in capsys.readouterr().err
    assert command.main(["run", "--config", str(CONFIG / "panel.example.toml"), "--control", "x"]) == ExitCode.SETUP
    assert "--pins mock" in capsys.readouterr().err
    assert command.main(["pins", "state", "--socket", str(tmp_path / "none")]) == ExitCode.SETUP


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["check"],
        ["pins"],
        ["pins", "state"],
        ["pins", "watch"],
        *(["pins", move] for move in ("press", "hold", "down", "up")),
    ],
)
def test_help_is_there_for_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([*arguments, "--help"])
    assert ended.value.code == 0
    examples = capsys.readouterr().out.partition(text("examples"))[2].split("\n")[1:]
    assert examples
    assert all(line.startswith("  doorbell-device " + " ".join(arguments)) for line in examples if line)


STATE: dict[str, Any] = {
    "device": "dev-1", "role": "panel", "stage": "coming", "light": "coming", "tone": "coming", "sounding": [],
    "outbox": 0, "link": True, "light_lit": True, "pins": {"help": False}, "rev": 3, "at": "2026-11-23T06:43:00.000Z",
}  # fmt: skip


@pytest.mark.parametrize(("locale", "words"), [("zh_CN", "有人正在来"), ("en_US", "somebody is coming")])
def test_the_state_is_told_in_words_and_json_keeps_the_names(
    locale: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setattr("device.adapters.control.ask", lambda *_: [STATE])
    command.main(["pins", "state", "--socket", "x"])
    assert capsys.readouterr().out.count(words) == 3
    command.main(["pins", "state", "--socket", "x", "--json"])
    assert json.loads(capsys.readouterr().out) == STATE


def test_every_stage_light_and_tone_has_words() -> None:
    for name in (*PanelStage, *Light, *Tone, None):
        assert command._word(name)


def test_every_key_of_the_commands_has_words() -> None:
    source = Path(command.__file__).read_text("utf-8")
    for key in re.findall(r'text\("(\w+)"', source):
        assert text(key, "en", stable=1, hold=2, stuck=3, player="p", volume=4, s=5)
