"""``doorbell-relay run`` as a process: its signals, its lock, its watchdog."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import pytest

from doorbell.errors import DoorbellBug
from doorbell.service import ExitCode
from relay.commands.program import main
from relay.commands.run import _Beat
from relay.privacy_key import KEY_FILE_VARIABLE
from relay.runtime import RelayRuntime
from tests.relay.office import EXAMPLE, Office


class Beats:
    def __init__(self, interval_s: float | None) -> None:
        self.interval_s = interval_s
        self.count = 0

    def watchdog_interval_s(self) -> float | None:
        return self.interval_s

    def watchdog(self) -> None:
        self.count += 1


@pytest.mark.parametrize(("interval_s", "turns"), [(None, []), (15.0, [0, 15, 30, 45])])
def test_the_watchdog_is_fed_at_its_interval_and_not_at_every_turn(interval_s: float | None, turns: list[int]) -> None:
    now = iter(range(1_000, 2_000)).__next__
    service = Beats(interval_s)
    beat = _Beat(service, now)  # type: ignore[arg-type]
    fed = []
    for turn in range(60):  # a turn a second
        before = service.count
        beat()
        if service.count > before:
            fed.append(turn)
    assert fed == turns


@pytest.mark.parametrize("kind", [DoorbellBug, RuntimeError, KeyError])
def test_a_bug_ends_the_run_with_70_and_one_line_with_its_trace(
    kind: type[Exception], busy: Office, monkeypatch: pytest.MonkeyPatch, allow_error_logs: list[dict[str, Any]]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise kind("two outcomes")

    monkeypatch.setattr(RelayRuntime, "decide", broken)
    # What a run sets in the process that runs it, which is that of the other tests.
    monkeypatch.setattr("relay.commands.run.on_stop_signals", lambda _: None)
    monkeypatch.setattr("relay.commands.run.sys.setswitchinterval", lambda _: None)
    unreachable_broker(busy)
    code, _, err = busy.run("run")
    assert code == ExitCode.BUG
    (line,) = (line for line in map(json.loads, err.splitlines()) if line["event"] == "relay.bug")
    assert "Traceback" in line["exception"]
    assert "two outcomes" in line["exception"]
    assert "in broken" in line["exception"]
    assert [event["event"] for event in allow_error_logs] == ["relay.bug"]


def test_a_check_tells_what_a_start_would_and_touches_nothing(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in busy.folder.rglob("*")}
    assert busy.run("run", "--check")[:2] == (0, f"{busy.config} 没有问题，中继可以启动\n")
    assert {path: path.stat().st_mtime_ns for path in busy.folder.rglob("*")} == before
    whole = busy.config.read_text("utf-8")
    for wrong, told in (
        ("[statuss]\n", "did you mean 'status'"),
        ('[mqtt]\npassword_file = "none"\n', "password file cannot be read"),
        ('[mqtt.tls]\nca = "none.pem"\n', "none.pem"),
    ):
        busy.config.write_text(f"{whole}{wrong}", "utf-8")
        code, _, err = busy.run("run", "--check", "--language", "en")
        assert (code, told in err) == (ExitCode.SETUP, True), err
    busy.config.write_text(whole, "utf-8")
    (spoilt := busy.folder / "spoilt.key").write_text("0", "utf-8")
    spoilt.chmod(0o600)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(spoilt))
    code, _, err = busy.run("run", "--check")
    assert (code, "the privacy key is damaged" in err) == (ExitCode.SETUP, True)


def test_the_version_is_told(busy: Office) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"doorbell-relay \d+(\.\d+)+\S*\n", busy.capture.readouterr().out)


def unreachable_broker(office: Office) -> None:
    """Port 9 (discard) of loopback: nothing listens there, so the link goes on trying."""
    office.config.write_text(
        office.config.read_text(encoding="utf-8") + "[mqtt]\nport = 9\n[status]\nport = 0\n", encoding="utf-8"
    )


@pytest.fixture
def process(busy: Office) -> Iterator[subprocess.Popen[str]]:
    """A relay of its own process whose broker is not there, after its start."""
    unreachable_broker(busy)
    words = [sys.executable, "-m", "relay", "run", "--config", str(busy.config)]
    started = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=EXAMPLE.parents[1])
    patience = threading.Timer(30, started.kill)
    patience.start()
    assert started.stderr is not None
    assert any('"relay.started"' in line for line in started.stderr), "the relay ended before it had started"
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        started.stderr.close()
        patience.cancel()


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_stops_in_order_at_a_signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    assert process.wait() == ExitCode.OK
    assert process.stderr is not None
    last = json.loads(process.stderr.read().splitlines()[-1])
    assert last["event"] == "relay.stopped"


@pytest.mark.system
def test_a_running_relay_is_seen_on_its_status_pages(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    lines = (json.loads(line) for line in process.stderr)
    port = next(line["port"] for line in lines if line["event"] == "status.listening")

    def ask(path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    assert ask("/healthz")[0] == HTTPStatus.OK
    status, body = ask("/readyz")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert [problem["code"] for problem in json.loads(body)["problems"]] == ["broker_away"]
    status, body = ask("/metrics")
    assert status == HTTPStatus.OK
    alarms = [
        line.split()[1] for line in body.splitlines() if line.startswith('doorbell_relay_open_alarms{kind="help"')
    ]
    assert sum(map(float, alarms)) == 2
    assert "doorbell_relay_link_up 0.0" in body


@pytest.mark.system
def test_a_second_relay_on_the_same_database_is_refused(busy: Office, process: subprocess.Popen[str]) -> None:
    words = [sys.executable, "-m", "relay", "run", "--config", str(busy.config)]
    second = subprocess.run(words, capture_output=True, text=True, cwd=EXAMPLE.parents[1], timeout=30, check=False)
    assert second.returncode == ExitCode.SETUP
    assert f"another relay (process {process.pid}) owns the database" in second.stderr
    assert busy.run("alarms", "list")[0] == 0
