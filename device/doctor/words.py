"""The words of a finding in zh-CN or English, and those around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from device.doctor.words_hands import HANDS
from device.doctor.words_line import LINE
from device.doctor.words_parts import PARTS, Words
from device.findings import Finding
from device.texts import language_of, text
from device.wiring import HEADER_PINS
from doorbell.faults import FAULTS

FINDINGS: Mapping[str, Words] = {**HANDS, **PARTS, **LINE}

_UNKNOWN: Words = ("{code}（这个命令不认识）", "{code} (unknown to this command)", "", "")
"""A daemon that still runs from before an upgrade may say what its command has never heard."""

CHECKS: Mapping[str, tuple[str, str]] = {
    "service": ("服务", "service"),
    "pins": ("引脚", "pins"),
    "button": ("按钮", "button"),
    "light": ("灯", "light"),
    "speaker": ("音箱", "speaker"),
    "sound": ("声音", "sound"),
    "buzzer": ("蜂鸣器", "buzzer"),
    "clock": ("时钟", "clock"),
    "outbox": ("发件箱", "outbox"),
    "disk": ("磁盘", "disk"),
    "power": ("供电", "power"),
    "network": ("网络", "network"),
    "broker": ("消息代理", "broker"),
    "certificate": ("证书", "certificate"),
    "relay": ("中继", "relay"),
    "pair": ("结对", "pair"),
}
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "ok": ("好", "ok"),
    "note": ("注", "note"),
    "warning": ("警告", "warning"),
    "failure": ("故障", "FAILURE"),
}


def what_of(finding: Finding, language: str | None = None) -> str:
    """What was found, in a sentence."""
    chinese, english, _, _ = FINDINGS.get(finding.key, _UNKNOWN)
    return _filled(english if _english(language) else chinese, finding, language)


def next_of(finding: Finding, language: str | None = None) -> str:
    """What to do next; empty if there is nothing to do."""
    _, _, chinese, english = FINDINGS.get(finding.key, _UNKNOWN)
    return _filled(english if _english(language) else chinese, finding, language)


def name_of(table: Mapping[str, tuple[str, str]], key: str, language: str | None = None) -> str:
    """A check's or a severity's name."""
    chinese, english = table[key]
    return english if _english(language) else chinese


def _english(language: str | None) -> bool:
    return (language or language_of()) == "en"


def _filled(template: str, finding: Finding, language: str | None) -> str:
    fields = {"code": finding.key} | {key: _shown(value) for key, value in finding.data.items()}
    if "pin" in finding.data:
        gpio = int(finding.data["pin"])
        fields["pin"] = text("pin_value", language, gpio=gpio, place=HEADER_PINS[gpio])
    if "light" in finding.data:
        fields["meaning"] = text(f"is_{finding.data['light']}", language)
    if finding.key == "service.fault":
        fields |= _fault_words(str(finding.data["fault"]), english=_english(language))
    return template.format(**fields)


def _fault_words(code: str, *, english: bool) -> dict[str, str]:
    """A fault that the running device tells has its words where docs/faults.md has them from."""
    words = FAULTS.get(code)
    if words is None:
        return {"name": code, "remedy": ""}
    return {"name": words.en if english else words.zh, "remedy": words.en_remedy if english else words.zh_remedy}


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
