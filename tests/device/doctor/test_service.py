"""The device's service: stopped and started through systemctl, and a net of systemd's own under it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.doctor.service import NET_UNIT, UNIT, SystemdService, no_interrupt, signals_as_interrupt


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl and a systemd-run that note what they are asked, and fail for what ``fails`` holds."""
    for name in ("systemctl", "systemd-run"):
        path = tmp_path / name
        path.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n'
            f'if grep -q "^$1$" {tmp_path}/fails 2>/dev/null; then echo "no $1 for you" >&2; exit 1; fi\n'
        )
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def asked(manager: Path) -> list[str]:
    file = manager / "asked"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_stopped_with_a_net_and_started_without_it(manager: Path) -> None:
    service = SystemdService()
    assert service.is_active()
    assert asked(manager) == [f"systemctl is-active --quiet {UNIT}"]
    assert service.stop() is None
    net, stop = asked(manager)
    assert net.startswith(f"systemd-run --quiet --collect --unit={NET_UNIT} --on-active=30min")
    assert net.endswith(f"systemctl start {UNIT}")
    assert stop == f"systemctl stop {UNIT}"
    assert service.start() is None
    assert asked(manager) == [f"systemctl start {UNIT}", f"systemctl stop {NET_UNIT}.timer"]


def test_a_refusal_is_told_in_systemds_words_and_a_start_that_fails_keeps_the_net(manager: Path) -> None:
    (manager / "fails").write_text("stop\nstart\nis-active\n")
    service = SystemdService()
    assert not service.is_active()
    asked(manager)
    assert service.stop() == "no stop for you"
    assert asked(manager)[-1] == f"systemctl stop {NET_UNIT}.timer"
    assert service.start() == "no start for you"
    assert asked(manager) == [f"systemctl start {UNIT}"]


def test_without_systemd_nothing_is_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not SystemdService().is_active()
    assert "No such file" in (SystemdService().start() or "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_lost_terminal_is_an_interrupt_inside_and_what_it_was_outside(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), signals_as_interrupt():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


@pytest.fixture
def _interrupts() -> Iterator[None]:
    """As in a terminal: what a script starts in the background is born deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
def test_while_the_device_is_started_again_no_signal_stops_us() -> None:
    with no_interrupt():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
