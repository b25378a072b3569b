"""``doorbell-device selftest``: has the running daemon prove itself without a sound, and says what came of it."""

# ruff: noqa: T201 - a command's answer goes to stdout
from __future__ import annotations

import argparse
import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from device.doctor.report import document, finding_lines, summary_lines
from device.doctor.running import ask_selftest, find_running
from device.findings import EXIT_CODE, Finding, finding_from_json, worst_of
from device.ports import UnavailableError
from device.selftest import MAX_RECEIPT_S
from device.settings import DaemonSettings
from device.texts import language_of, text
from doorbell.errors import SetupError
from doorbell.settings import load_settings
from doorbell.wire import format_time

MAX_WAIT_S = 86_400
_AGAIN_S = 5.0
"""How often a busy daemon is asked again."""


def run_selftest(options: argparse.Namespace) -> int:
    """The exit code: 0 all proven, 1 with warnings, 3 with failures. ``UnavailableError`` (69) if nothing was proven:
    no daemon, or an alarm that did not end within ``--wait``."""
    for name, least, most in (("receipt", 1, MAX_RECEIPT_S), ("wait", 0, MAX_WAIT_S)):
        if not least <= getattr(options, name) <= most:
            raise SetupError(text("out_of_range", name=f"--{name}", least=least, most=most))
    settings = load_settings(DaemonSettings, options.config)
    findings = _findings(settings, options)
    language = language_of()
    if options.json:
        at = format_time(datetime.now(UTC))
        print(json.dumps(document("selftest", settings.device, at, findings, language), ensure_ascii=False))
    else:
        for finding in findings:
            print("\n".join(finding_lines(finding, language)))
        print("\n".join(summary_lines(findings, language)))
    return EXIT_CODE[worst_of(findings)]


def _findings(settings: DaemonSettings, options: argparse.Namespace) -> list[Finding]:
    deadline, pause = time.monotonic() + options.wait, threading.Event()
    while True:
        running = find_running(settings, options.socket)
        if running is None:
            raise UnavailableError(text("no_daemon", device=settings.device))
        answer: dict[str, Any] = ask_selftest(running, options.receipt)
        if not answer["busy"]:
            return [finding_from_json(one) for one in answer["findings"]]
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise UnavailableError(text("selftest_busy", stage=answer["stage"]))
        pause.wait(min(_AGAIN_S, left_s))
