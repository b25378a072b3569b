"""``doorbell-device doctor``: the command around a visit."""

# ruff: noqa: T201 - a command's answer goes to stdout
from __future__ import annotations

import argparse
import json
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime

from device.adapters.clock import SystemClock
from device.adapters.health import SystemHealth
from device.doctor.bench import pins_held
from device.doctor.console import TerminalConsole
from device.doctor.network import SystemNetwork
from device.doctor.report import document, finding_lines, summary_lines
from device.doctor.running import find_running
from device.doctor.service import SystemdService
from device.doctor.speaker import PlayerAndRecorder
from device.doctor.visit import Asked, Instruments, Visit
from device.doctor.words_talk import say
from device.findings import EXIT_CODE, Finding, worst_of
from device.options import CHECKS
from device.settings import DaemonSettings
from device.texts import language_of, text
from doorbell.logs import configure_logs
from doorbell.service import ExitCode
from doorbell.settings import load_settings
from doorbell.wire import format_time


def run_doctor(options: argparse.Namespace) -> int:
    """The exit code: 0 all well, 1 with warnings, 3 with failures. Raises ``SetupError`` (2) for wrong settings."""
    settings = load_settings(DaemonSettings, options.config)
    # What the link and the pins log is told by the findings; what they cannot tell goes to stderr.
    configure_logs(settings.logs.format, "error")
    mock, language = options.pins == "mock", language_of()
    # With --json what is said to the person goes to stderr, so that stdout is one document.
    talk = sys.stderr if options.json else sys.stdout
    console = TerminalConsole(talk)
    asked = Asked(
        checks=frozenset(options.only or CHECKS),
        hands=not options.yes and sys.stdin.isatty(),
        recorder=options.listen,
        force=options.force,
        mock=mock,
    )
    player = settings.sound.player
    instruments = Instruments(
        console=console,
        service=SystemdService(),
        network=SystemNetwork(),
        clock=SystemClock(),
        health=SystemHealth(settings.state_dir),
        loud=None if player == "none" else PlayerAndRecorder(player),
        find=lambda: find_running(settings, options.socket),
        pins=lambda: pins_held(settings, mock=mock),
        pause=threading.Event().wait,
    )
    console.tell([say("hello", device=settings.device, role=text(settings.role.value), count=len(asked.checks))])
    findings: list[Finding] = []
    try:
        # Closing it is what starts a stopped device again, wherever in the visit we are interrupted.
        with closing(Visit(settings, asked, instruments).findings()) as visit:
            for finding in visit:
                findings.append(finding)
                console.tell(finding_lines(finding, language))
    except KeyboardInterrupt:
        return ExitCode.FORCED
    if options.json:
        at = format_time(datetime.now(UTC))
        print(json.dumps(document("doctor", settings.device, at, findings, language), ensure_ascii=False))
    console.tell(["", *summary_lines(findings, language)])
    return EXIT_CODE[worst_of(findings)]
