"""The embedded broker as a child: it starts, keeps what it must, ends with us, and says what is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doorbell.errors import SetupError
from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.service import ExitCode
from sim.broker import HOST, MAX_ACK_PENDING, EmbeddedBroker, speaks_mqtt
from tests.system.link_probe import WITHIN_S, LinkProbe, fast_settings, probing

pytestmark = pytest.mark.system


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that somebody else must reap counts)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} still lives"
        os.sched_yield()


def test_it_lives_as_long_as_its_context(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "deep" / "data") as broker:
        pid, port = broker.pid, broker.port
        assert speaks_mqtt(port)
        broker.start()  # already running: nothing
        assert broker.pid == pid
    assert pid is not None
    assert gone(pid)
    assert not speaks_mqtt(port)


def test_what_it_acknowledged_survives_kill_9_and_restart_on_the_same_port(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        port = broker.port
        relay = LinkProbe(fast_settings(port), "relay-a", [("d/+/event", 1)], clean_session=False)
        relay.expect(LinkUp)
        with probing(fast_settings(port), "dev-1") as device:
            for number in range(100):
                assert device.link.publish("d/dev-1/event", b"%d" % number)
            assert device.link.publish("d/dev-1/desired", b"kept", retain=True)
            for _ in range(100):
                relay.expect(Delivery)  # but not acknowledged by the relay
            connection = device.link._up
            assert connection is not None
            deadline = time.monotonic() + WITHIN_S
            while connection.client._out_messages:
                assert time.monotonic() < deadline, "the broker did not acknowledge"
                os.sched_yield()
            broker.kill()
            relay.expect(LinkDown)
        broker.start()
        assert broker.port == port
        assert relay.expect(LinkUp).generation == 2
        again: set[bytes] = set()
        while len(again) < 100:
            delivery = relay.expect(Delivery)
            again.add(delivery.payload)
            relay.link.ack(delivery)
        with probing(fast_settings(port), "dev-2", [("d/dev-1/desired", 1)]) as reader:
            assert reader.expect_next(Delivery).payload == b"kept"
        relay.link.stop(WITHIN_S)


def test_a_taken_port_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port} cannot be used for the broker \(Address already in use\)"):
            EmbeddedBroker(tmp_path, port).start()


def test_two_brokers_never_share_a_directory(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path), pytest.raises(SetupError, match="another broker uses this directory"):
        EmbeddedBroker(tmp_path).start()
    with EmbeddedBroker(tmp_path) as again:
        assert again.pid is not None


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        EmbeddedBroker(tmp_path / "file" / "data").start()


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a directory")
    with pytest.raises(SetupError, match=r"the broker ended at once: .*storage directory is not a directory"):
        EmbeddedBroker(tmp_path).start()


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        config = json.loads((tmp_path / "nats.conf").read_text())
        assert (config["host"], config["mqtt"]["host"]) == (HOST, HOST)
        inodes = {str(path.readlink()) for path in Path(f"/proc/{broker.pid}/fd").iterdir() if path.is_symlink()}
        listening = [
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in inodes
        ]
        assert len(listening) == 2
        assert all(address.startswith("0100007F:") for address in listening)


def test_as_many_subscriptions_fit_as_the_constant_says_and_one_more_is_refused(tmp_path: Path) -> None:
    """NATS: max_ack_pending of all subscriptions of a session sum up to 65,535 at most."""
    fits = 65_535 // MAX_ACK_PENDING
    with EmbeddedBroker(tmp_path) as broker:
        filters = [(f"d/{number}/event", 1) for number in range(fits + 1)]
        with probing(fast_settings(broker.port), "relay-a", filters[:fits], clean_session=False):
            pass
        probe = LinkProbe(fast_settings(broker.port), "relay-b", filters, clean_session=False)
        assert probe.expect(LinkDown).reason == f"the broker refused the subscription of d/{fits}/event"
        probe.link.stop(WITHIN_S)


RUN = """
import sys
from pathlib import Path
from doorbell.logs import configure_logs
from sim.broker import run_broker
configure_logs("json")
sys.exit(run_broker(0, Path(sys.argv[1])))
"""


def run_in_child(data: Path) -> tuple[subprocess.Popen[str], dict[str, object]]:
    program = subprocess.Popen([sys.executable, "-c", RUN, str(data)], stderr=subprocess.PIPE, text=True)
    assert program.stderr is not None
    return program, json.loads(program.stderr.readline())


def test_run_broker_ends_with_0_when_asked(tmp_path: Path) -> None:
    program, ready = run_in_child(tmp_path)
    with program:
        assert ready["event"] == "broker.ready"
        assert speaks_mqtt(int(str(ready["port"])))
        program.send_signal(signal.SIGINT)
        assert program.wait(WITHIN_S) == ExitCode.OK
    assert gone(int(str(ready["pid"])))


def test_run_broker_ends_with_69_when_its_server_dies(tmp_path: Path) -> None:
    program, ready = run_in_child(tmp_path)
    with program:
        os.kill(int(str(ready["pid"])), signal.SIGKILL)
        assert program.wait(WITHIN_S) == ExitCode.UNAVAILABLE


def test_the_server_dies_with_its_parent_even_by_kill_9(tmp_path: Path) -> None:
    program, ready = run_in_child(tmp_path)
    with program:
        program.kill()
        program.wait(WITHIN_S)
    until_gone(int(str(ready["pid"])))
    with EmbeddedBroker(tmp_path) as again:  # and the directory is free again
        assert again.pid is not None
