"""What is told to the service manager, and how a program ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.service import ExitCode, ServiceNotifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The manager's socket and what it puts into NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@doorbell-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5.0)
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        yield sock, name


def test_readiness_watchdog_and_stopping_are_told(manager: tuple[socket.socket, str]) -> None:
    sock, name = manager
    notifier = ServiceNotifier({"NOTIFY_SOCKET": name})
    notifier.ready("1 community\nup " + "x" * 300)
    notifier.watchdog()
    notifier.stopping()
    got = [sock.recv(1000).decode() for _ in range(3)]
    assert got == ["READY=1\nSTATUS=1 community up " + "x" * 185, "WATCHDOG=1", "STOPPING=1"]


def test_without_a_manager_nothing_happens(capsys: pytest.CaptureFixture[str]) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}):
        notifier = ServiceNotifier(environment)
        notifier.ready()
        notifier.watchdog()
        assert notifier.watchdog_interval_s() is None
    assert capsys.readouterr().out == ""


def test_a_manager_that_is_gone_is_logged_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notifier = ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    for _ in range(3):
        notifier.watchdog()
    assert capsys.readouterr().out.count("service.notify_failed") == 1


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_wants_to_hear_twice_in_its_limit(environment: dict[str, str], interval_s: float | None) -> None:
    assert ServiceNotifier(environment).watchdog_interval_s() == interval_s


PROGRAM = """
import sys, threading
from doorbell.service import on_stop_signals
asked = threading.Event()
on_stop_signals(asked.set)
print("ready", flush=True)
while not asked.wait(0.05):
    pass
print("asked", flush=True)
if "hang" in sys.argv:
    threading.Event().wait()
"""


@pytest.mark.system
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_second_ends_at_once(first: signal.Signals) -> None:
    for hang, code in ((False, ExitCode.OK), (True, ExitCode.FORCED)):
        command = [sys.executable, "-c", PROGRAM, *(["hang"] if hang else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            program.send_signal(first)
            assert program.stdout.readline() == "asked\n"
            if hang:
                program.send_signal(signal.SIGTERM)
            assert program.wait(10.0) == code


def test_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "SETUP": 2,
        "UNAVAILABLE": 69,
        "BUG": 70,
        "FORCED": 130,
    }
