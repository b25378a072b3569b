"""Every finding has words in both languages, and how findings are shown, summed up and turned into an exit code."""

from __future__ import annotations

import ast
import json
import re
import string
from pathlib import Path
from types import MappingProxyType

import pytest

import device
from device.doctor.report import document, finding_lines, summary_lines
from device.doctor.words import CHECKS, FINDINGS, SEVERITIES
from device.doctor.words_talk import _TALK
from device.findings import EXIT_CODE, Finding, Severity, finding_from_json, finding_to_json, worst_of
from device.options import CHECKS as ASKABLE

PACKAGE = Path(device.__file__).parent
SOURCES = [*PACKAGE.glob("doctor/*.py"), PACKAGE / "selftest.py"]


def made_in(source: str) -> set[str]:
    """``check.code`` of every ``Finding("check", "code", ...)`` whose words are written out."""
    made = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Name(id="Finding"), args=[ast.Constant(value=str(check)), ast.Constant(value=str(code)), *_]
            ):
                made.add(f"{check}.{code}")
            case _:
                pass
    return made


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_finding_that_is_made_has_words_and_all_words_belong_to_one() -> None:
    sources = [path.read_text("utf-8") for path in SOURCES]
    made = set().union(*map(made_in, sources))
    assert len(made) > 60
    assert made <= FINDINGS.keys()
    # Of other modules' words: ``Presence`` and what ``running`` tells.
    literals = {"online", "offline"} | set(re.findall(r'"([a-z_0-9]+)"', "\n".join(sources)))
    assert {key for key in FINDINGS if key.partition(".")[2] not in literals} == set()


def test_what_a_daemon_of_before_an_upgrade_says_is_shown_as_it_is() -> None:
    strange = Finding("clock", "brand_new", Severity.NOTE, {"x": 1})
    assert finding_lines(strange, "en") == ["[note] clock: clock.brand_new (unknown to this command)"]


@pytest.mark.parametrize("key", sorted(FINDINGS))
def test_both_languages_say_the_same_facts(key: str) -> None:
    zh_what, en_what, zh_next, en_next = FINDINGS[key]
    assert zh_what
    assert fields(zh_what) == fields(en_what)
    assert fields(zh_next) == fields(en_next)
    assert bool(zh_next) == bool(en_next)
    assert key.partition(".")[0] in CHECKS


@pytest.mark.parametrize("key", sorted(_TALK))
def test_questions_too(key: str) -> None:
    chinese, english = _TALK[key]
    assert chinese
    assert fields(chinese) == fields(english)


def test_every_check_and_severity_has_a_name() -> None:
    assert set(ASKABLE) <= CHECKS.keys()
    assert {one.value for one in Severity} == SEVERITIES.keys()


OK = Finding("clock", "synced", Severity.OK)
NOTE = Finding("clock", "no_rtc", Severity.NOTE)
WARNING = Finding("network", "wifi_weak", Severity.WARNING, {"dbm": -83})
FAILURE = Finding("broker", "refused", Severity.FAILURE, {"where": "h:1", "port": 1})


def test_a_finding_is_a_line_and_what_to_do_next() -> None:
    assert finding_lines(OK, "zh-CN") == ["[好] 时钟：时钟已同步"]
    assert finding_lines(WARNING, "zh-CN") == [
        "[警告] 网络：Wi-Fi 信号弱：-83 dBm", "    → 移近路由器，或改用网线；-70 以上才可靠",
    ]  # fmt: skip
    assert finding_lines(FAILURE, "en")[0] == "[FAILURE] broker: nothing listens at h:1"


def test_the_summary_says_fit_or_what_must_be_repaired_the_worst_first() -> None:
    assert summary_lines([OK, NOTE], "en") == ["Fit for service."]
    assert summary_lines([OK, WARNING], "en") == [
        "Fit for service.",
        "To be repaired soon:",
        "  - the Wi-Fi is weak: -83 dBm",
    ]
    assert summary_lines([WARNING, FAILURE, OK], "zh-CN") == [
        "不能使用。要修：", "  ・ h:1 没有程序在听", "还有：", "  ・ Wi-Fi 信号弱：-83 dBm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("findings", "code"), [([], 0), ([OK], 0), ([NOTE, OK], 0), ([WARNING, NOTE], 1), ([OK, FAILURE, WARNING], 3)]
)
def test_the_exit_code_is_that_of_the_worst(findings: list[Finding], code: int) -> None:
    assert EXIT_CODE[worst_of(findings)] == code


def test_the_document_has_stable_keys_and_is_json() -> None:
    made = json.loads(json.dumps(document("doctor", "panel-liu", "2026-11-23T06:43:00.000Z", [OK, FAILURE], "en")))
    assert list(made) == ["schema", "command", "device", "at", "fit", "worst", "findings"]
    assert (made["fit"], made["worst"]) == (False, "failure")
    assert list(made["findings"][1]) == ["check", "code", "severity", "what", "do_next", "data"]
    assert document("doctor", "d", "t", [WARNING], "en")["fit"]


def test_a_finding_survives_the_control_line() -> None:
    made = Finding("button", "down", Severity.WARNING, MappingProxyType({"button": "help"}))
    assert finding_from_json(json.loads(json.dumps(finding_to_json(made)))) == made
