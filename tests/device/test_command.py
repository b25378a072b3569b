"""Settings and the command: examples load, every mistake is named with its key, both languages have every word."""

from __future__ import annotations

import json
import re
import string
from datetime import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from device import command, texts
from device.adapters.control import ControlServer
from device.core.panel import PanelStage
from device.core.role import ButtonName, Role
from device.core.signals import Colour, Light, Tone
from device.settings import DaemonSettings
from device.texts import language_of, text
from device.wiring import Level, Pull
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
        (PANEL + "[pins]\nhelp = 40\n", "pins.help"),
        (PANEL + "[button]\nstable_ms = 60\n", "button.stable_ms"),
        (PANEL + "[sound]\nplayer = []\n", 'or "none"'),
        (BELL + '[sound]\nplayer = "none"\n[pins]\nbuzzer = "none"\n', "neither a player nor a buzzer"),
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


def check(
    language: str, path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[str]]:
    """The lines of ``check`` after the first, by their first word."""
    monkeypatch.setenv("LC_ALL", language)
    assert command.main(["check", "--config", str(path)]) == ExitCode.OK
    lines: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines()[1:]:
        key, _, value = line.strip().partition(": ")
        lines.setdefault(key, []).append(value)
    return lines


def test_check_explains_the_wiring_in_chinese(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = check("zh_CN", CONFIG / "bell.example.toml", capsys, monkeypatch)
    assert said["按钮"] == [
        "answer GPIO17（第 11 脚） 按下接地（内部上拉），decline GPIO27（第 13 脚） 按下接地（内部上拉）"
    ]
    assert said["灯"] == ["GPIO22（第 15 脚）"]
    assert said["蜂鸣器"] == ["GPIO25（第 22 脚）"]
    assert "注意" not in said
    assert "颜色" not in said


FULL_PINS = """
[pins]
help = { pin = 3, pull = "up" }
ok = { pin = 5, pull = "none", active = "high" }
light = { red = 22, green = 23, blue = 18, active = "low" }
pull_up = false
[colours]
coming = "green"
"""


@pytest.mark.parametrize(
    ("language", "rows", "notes"),
    [
        (
            "zh_CN",
            {
                "按钮": "help GPIO3（第 5 脚） 按下接地（内部上拉），ok GPIO5（第 29 脚） 按下为高电平（外接下拉电阻）",
                "灯": "红 GPIO22（第 15 脚） 低电平有效，绿 GPIO23（第 16 脚） 低电平有效，"
                "蓝 GPIO18（第 12 脚） 低电平有效",
                "蜂鸣器": "没有",
            },
            ["help GPIO3（第 5 脚）：I2C", "light.blue GPIO18（第 12 脚）：I2S", "ok GPIO5（第 29 脚）：没有内部上拉",
             "light.red GPIO22（第 15 脚）：上电", "light.green GPIO23（第 16 脚）：上电",
             "light.blue GPIO18（第 12 脚）：上电", 'pull_up 是旧写法，仍然有效；请改写成 pull = "down"'],
        ),
        (
            "en_US",
            {
                "buttons": "help GPIO3 (pin 5) to ground when pressed (internal pull-up), "
                "ok GPIO5 (pin 29) high when pressed (resistor outside)",
                "light": "red GPIO22 (pin 15) on when low, green GPIO23 (pin 16) on when low, "
                "blue GPIO18 (pin 12) on when low",
                "buzzer": "none",
            },
            ["help GPIO3 (pin 5): I2C", "light.blue GPIO18 (pin 12): I2S", "ok GPIO5 (pin 29): no resistor",
             "light.red GPIO22 (pin 15): on, weakly", "light.green GPIO23 (pin 16): on, weakly",
             "light.blue GPIO18 (pin 12): on, weakly", 'pull_up is the old word and still works; write pull = "down"'],
        ),
    ],
)  # fmt: skip
def test_check_tells_every_override_and_what_should_be_known(
    language: str,
    rows: dict[str, str],
    notes: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "panel.toml"
    path.write_text(PANEL + FULL_PINS, "utf-8")
    said = check(language, path, capsys, monkeypatch)
    assert {key: said[key] for key in rows} == {key: [value] for key, value in rows.items()}
    told = said["注意" if language == "zh_CN" else "note"]
    assert [one[: len(start)] for one, start in zip(told, notes, strict=True)] == notes
    colours = said["颜色" if language == "zh_CN" else "colours"][0]
    assert ("绿: 有人正在来" if language == "zh_CN" else "green: somebody is coming") in colours


@pytest.mark.parametrize(("language", "words"), [("zh_CN", "灯和蜂鸣器已关"), ("en_US", "light and buzzer are off")])
def test_lights_off_says_so(
    language: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    arguments = ["lights-off", "--config", str(CONFIG / "bell.example.toml"), "--pins", "mock"]
    assert command.main(arguments) == ExitCode.OK
    assert capsys.readouterr().out == f"{words}\n"


def test_every_way_of_wiring_has_words() -> None:
    for pull, active in product(Pull, Level):
        assert text(f"wired_{pull}_{active}")
    for colour in Colour:
        assert text(f"colour_{colour}")


def test_check_shows_the_brokers_in_order_with_all_that_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "device.toml"
    one = '[mqtt]\nhost = "a.local"\n[mqtt.tls]\nca = "ca.pem"\n'
    more = (
        '[[mqtt.fallback]]\nhost = "b.local"\nport = 8884\ntls.server_name = "b"\n[[mqtt.fallback]]\nhost = "c.local"\n'
    )
    for language, words in (("zh_CN", "备用消息代理: "), ("en_US", "fallback brokers: ")):
        monkeypatch.setenv("LC_ALL", language)
        path.write_text(PANEL + one)
        assert command.main(["check", "--config", str(path)]) == ExitCode.OK
        assert words not in capsys.readouterr().out
        path.write_text(PANEL + one + more)
        assert command.main(["check", "--config", str(path)]) == ExitCode.OK
        out = capsys.readouterr().out
        assert ": a.local:1883 TLS\n" in out
        assert f"{words}b.local:8884 TLS (b), c.local:1883 TLS" in out
        assert "60 " in out.partition(words)[2].partition("\n")[0]


def test_a_wrong_file_ends_with_the_setup_code_and_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "en_US")
    assert command.main(["run", "--config", str(tmp_path / "none.toml")]) == ExitCode.SETUP
    assert "no such file" in capsys.readouterr().err
    assert command.main(["pins", "state", "--socket", str(tmp_path / "none")]) == ExitCode.SETUP


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["check"],
        ["lights-off"],
        ["selftest"],
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


@pytest.mark.parametrize(("locale", "words"), [("zh_CN", "只有手指能按"), ("en_US", "only a finger can press")])
def test_a_press_of_real_pins_is_refused_in_plain_words(
    locale: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    path = tmp_path / "control.sock"
    server = ControlServer(path, pins=(ButtonName.HELP,), drive=None, complete=lambda state: state)
    assert command.main(["pins", "press", "help", "--socket", str(path)]) == ExitCode.SETUP
    assert words in capsys.readouterr().err
    server.close()


def test_the_control_socket_is_where_the_settings_say(tmp_path: Path) -> None:
    panel = load(tmp_path, PANEL)
    assert panel.control_socket(mock=True) == tmp_path / "var" / "pins.sock"
    assert panel.control_socket(mock=False) == Path("/run/doorbell-device/control.sock")
    named = load(tmp_path, 'control = "c.sock"\n' + PANEL)
    assert {named.control_socket(mock=True), named.control_socket(mock=False)} == {tmp_path / "c.sock"}


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
        assert text(
            key, "en", stable=1, hold=2, stuck=3, player="p", volume=4, s=5,
            name="n", pin="p", how="h", gpio=1, place=2, use="u", pull="up", list="b:1",
        )  # fmt: skip


def test_quiet_hours_reach_over_midnight_and_have_two_ends(tmp_path: Path) -> None:
    sound = load(tmp_path, BELL + '[sound]\nquiet_from = "22:00"\nquiet_to = "07:00"\n').sound
    hours = {"21:59": False, "22:00": True, "03:00": True, "06:59": True, "07:00": False, "12:00": False}
    assert {at: sound.quiet_at(time.fromisoformat(at)) for at in hours} == hours
    noon = load(tmp_path, BELL + '[sound]\nquiet_from = "12:30"\nquiet_to = "14:00"\n').sound
    assert [noon.quiet_at(time(hour)) for hour in (12, 13, 14, 0)] == [False, True, False, False]
    assert not load(tmp_path, BELL).sound.quiet_at(time(3))
    for wrong in ('quiet_from = "22:00"', 'quiet_from = "24:00"\nquiet_to = "07:00"', 'chime = "loud"'):
        with pytest.raises(SetupError, match=r"quiet|chime"):
            load(tmp_path, f"{BELL}[sound]\n{wrong}\n")
