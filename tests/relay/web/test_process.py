"""``doorbell-relay web`` as a process: it listens, it stops, it holds nobody up, and a relay beside it rings on."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx2
import pytest

from doorbell.service import ExitCode
from relay.audit_head import read_head
from tests.relay.office import ALARM, EXAMPLE, Office
from tests.relay.people import GOOD, OFFICE, add, an_account

pytestmark = pytest.mark.system
PATIENCE_S = 120


@contextmanager
def pages_of(office: Office, more: str = "") -> Iterator[tuple[subprocess.Popen[str], list[dict[str, Any]], str]]:
    """The process, what its log has told so far, and where it listens. Killed at the end."""
    settings = f'name = "test"\ndatabase = "data/relay.sqlite3"\n[web]\nport = 0\n{more}'
    office.config.write_text(settings, encoding="utf-8")
    words = [sys.executable, "-m", "relay", "web", "--config", str(office.config)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=EXAMPLE.parents[1])
    patience = threading.Timer(PATIENCE_S, process.kill)
    patience.start()
    assert process.stderr is not None
    told: list[dict[str, Any]] = []
    try:
        while not told or told[-1]["event"] != "web.listening":
            line = process.stderr.readline()
            assert line, "the pages ended before they listened"
            told.append(json.loads(line))
        yield process, told, told[-1]["url"]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        patience.cancel()


def test_it_serves_beside_a_relay_and_stops_when_it_is_told(busy: Office) -> None:
    with closing(busy.store()) as store:
        add(store, an_account(1, OFFICE), GOOD)
    with closing(busy.store()) as relay, pages_of(busy) as (process, told, url):
        with httpx2.Client(base_url=url, headers={"origin": url}) as browser:
            assert browser.get("/healthz").text == "ok\n"
            answer = browser.post("/sign-in", data={"login": "user1", "password": GOOD})
            assert answer.status_code == 303
            page = browser.get("/households/liu")
            assert (page.status_code, "柳奶奶" in page.text) == (200, True)
            assert "server" not in page.headers
        assert relay.find_alarm(ALARM) is not None, "and the relay's own connection is as it was"
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        rest = [json.loads(line) for line in process.stderr]
        assert process.wait(timeout=PATIENCE_S) == ExitCode.OK
        assert [line["event"] for line in rest][-1] == "web.stopped"
        heads = [line["hash"] for line in [*told, *rest] if line["event"] == "audit.head"]
        head = relay.audit.head()
        assert heads[-1] == head.hash
        assert read_head(busy.folder / "data" / "relay-audit-head") == head, "noted outside of the database"
    assert busy.run("audit", "verify")[0] == 0
    assert (busy.folder / "data" / "relay-web-secret").stat().st_mode & 0o077 == 0


def test_whoever_connects_and_says_nothing_is_sent_away(busy: Office) -> None:
    with pages_of(busy) as (_, told, url):
        port = told[-1]["port"]
        silent = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(20)]
        dribbling = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        dribbling.sendall(b"GET / HTTP/1.1\r\nHo")
        assert httpx2.get(f"{url}/healthz").status_code == 200, "others are served meanwhile"
        for one in (*silent, dribbling):
            with closing(one):
                assert one.recv(1000) == b"", "sent away"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ('host = "0.0.0.0"\n', "web.tls"),
        ('base_url = "http://bell.example.org"\n', "clear text"),
        ("[web.tls]\ncertificate = 'none.pem'\nkey = 'none.pem'\n", "web.tls"),
        ("idle_minutes = 1\n", "idle_minutes"),
    ],
)
def test_what_would_not_be_safe_is_refused(busy: Office, more: str, what: str) -> None:
    busy.config.write_text(f'name = "test"\ndatabase = "data/relay.sqlite3"\n[web]\nport = 0\n{more}', encoding="utf-8")
    code, _, err = busy.run("web")
    assert (code, what in err) == (ExitCode.SETUP, True)


def test_a_port_that_is_taken_is_told(busy: Office) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        busy.config.write_text(
            f'name = "test"\ndatabase = "data/relay.sqlite3"\n[web]\nport = {port}\n', encoding="utf-8"
        )
        code, _, err = busy.run("web")
    assert (code, f"127.0.0.1:{port}" in err) == (ExitCode.SETUP, True)


def test_without_a_database_it_does_not_make_one(office: Office) -> None:
    assert office.run("web")[0] == ExitCode.SETUP
    assert not (office.folder / "data").exists()
