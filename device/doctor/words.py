"""The words of a finding in zh-CN or English, and those around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from device.doctor.words_line import LINE
from device.doctor.words_parts import PARTS, Words
from device.findings import Finding
from device.texts import language_of

FINDINGS: Mapping[str, Words] = {**PARTS, **LINE}

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
    chinese, english, _, _ = FINDINGS[finding.key]
    return _filled(english if _english(language) else chinese, finding)


def next_of(finding: Finding, language: str | None = None) -> str:
    """What to do next; empty if there is nothing to do."""
    _, _, chinese, english = FINDINGS[finding.key]
    return _filled(english if _english(language) else chinese, finding)


def name_of(table: Mapping[str, tuple[str, str]], key: str, language: str | None = None) -> str:
    """A check's or a severity's name."""
    chinese, english = table[key]
    return english if _english(language) else chinese


def _english(language: str | None) -> bool:
    return (language or language_of()) == "en"


def _filled(template: str, finding: Finding) -> str:
    return template.format(**{key: _shown(value) for key, value in finding.data.items()})


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
