"""The daemon as a process on a disk that takes nothing: full, or read-only, its log too; over a real broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from doorbell.wire import AlarmKind, Desired, EventType, Ring, Stage
from tests.device.doubles import START
from tests.device.mounts import KINDS, mounted, needs_root
from tests.device.test_daemon import Device, Relay
from tests.device.waiting import wait_until
from tests.system.brokers import MosquittoBroker

pytestmark = [pytest.mark.system, needs_root]
ROOT = Path(__file__).parents[2]


class Cornered(Device):
    """A daemon whose state directory is a disk of its own, and whose log goes to a device that is always full."""

    def __init__(self, directory: Path, role: str, port: int) -> None:
        super().__init__(directory, role, port)
        self.socket = directory / "pins.sock"
        (directory / "player").write_text('#!/bin/sh\n[ "$(cat "$1" | wc -c)" -gt 1000 ]\n')

    def start(self, **environment: str) -> None:
        with Path("/dev/full").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "device", "run", "--config", str(self.config)),
                    *("--pins", "mock", "--control", str(self.socket)),
                ],
                cwd=ROOT,
                env={**os.environ, **environment},
                stderr=log,
            )
        wait_until(lambda: self.runs() and self.answers(), within_s=30)

    def runs(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None
        return True


@contextmanager
def cornered(tmp_path: Path, role: str, kind: str, how: str) -> Iterator[tuple[Cornered, Relay]]:
    """A device on a spoilt disk, running, with its relay."""
    broker = MosquittoBroker(tmp_path / "broker")
    broker.start()
    relay, device = Relay(broker.port), Cornered(tmp_path, role, broker.port)
    try:
        with mounted(kind, tmp_path / "state") as disk:
            if how == "full":
                disk.fill()
            else:
                disk.remount("ro")
            device.start()
            yield device, relay
    finally:
        if device.process is not None and device.process.poll() is None:
            device.process.kill()
            device.process.wait(20)
        relay.link.stop()
        broker.stop()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["full", "read_only"])
def test_a_press_goes_out_with_its_fault_and_the_device_lives_on(tmp_path: Path, kind: str, how: str) -> None:
    with cornered(tmp_path, "panel", kind, how) as (device, relay):
        device.press("help")
        device.shows(stage="heard", link=True)
        assert relay.event(EventType.HELP).age_ms < 10_000
        fault = relay.event(EventType.FAULT).detail or {}
        assert (fault["code"], fault["subject"], fault["cleared"]) == ("outbox_failed", "disk", False)
        device.press("help")
        assert relay.event(EventType.HELP).seq is not None
        assert device.end() == ExitCode.OK


@pytest.mark.parametrize("how", ["full", "read_only"])
def test_a_bell_whose_sounds_cannot_be_kept_rings_with_a_sound(tmp_path: Path, how: str) -> None:
    """Its player ends with an error unless it is given something that is long enough to be heard."""
    alarm = "01938f3c-0000-4000-8000-000000000001"
    with cornered(tmp_path, "bell", "ext4", how) as (device, relay):
        ring = Ring(
            alarm=alarm, kind=AlarmKind.HELP, from_="button-liu", label="柳奶奶", raised_at=START, stage=Stage.RINGING
        )
        relay.desire(Desired(rev=1, rings=(ring,)))
        device.shows(stage="ringing", sounding=[alarm])
        wait_until(lambda: relay.reports.get(timeout=20).ringing == (alarm,))
        assert device.end() == ExitCode.OK
