"""Attempts on a broker with the configuration that we write: every one is refused, and nobody else notices.

Each is made with real TLS and packets by hand. After each, those who are let in speak to each other and must have heard
nothing else: no word of the intruder, and no loss of their connection.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.service import ExitCode
from doorbell.wire import Channel
from relay.adapters.authority import keys
from relay.commands.program import main
from tests.relay.identities import SCRYPT_N
from tests.system.attempts import ATTEMPTS, Attempt, connects_often, shows
from tests.system.forgeries import make_forgeries
from tests.system.fortress import BELL, FOREIGN, HERE, THERE, TOPICS, Fortress
from tests.system.link_probe import probing

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("fortress")]

DEAF = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); print(flush=True); signal.pause()"
"""A process that is told something and does not do it."""


@pytest.fixture(scope="module", params=["mosquitto", "nats"])
def fortress(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "SCRYPT_N", SCRYPT_N)
        with Fortress(tmp_path_factory.mktemp(request.param), request.param) as made:
            make_forgeries(made)
            made.undisturbed()
            yield made


def test_the_table_is_long_and_says_each_thing_once() -> None:
    names = [one.name for one in ATTEMPTS]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.name)
def test_an_attempt_is_refused_and_nobody_else_notices(fortress: Fortress, attempt: Attempt) -> None:
    attempt.act(fortress)
    fortress.undisturbed()


@pytest.mark.slow
def test_ten_thousand_connections_from_one_address_disturb_nobody(fortress: Fortress) -> None:
    connects_often(10_000)(fortress)


def test_who_is_taken_back_is_out_at_once_and_stays_out(fortress: Fortress) -> None:
    """Also who is connected: a broker that only asks at the door would let a thief stay."""
    with probing(fortress.settings_of("bell-gone"), "bell-gone") as gone:
        fortress.run("authority", "revoke", "bell-gone", "--why", "stolen")
        gone.expect_next(LinkDown)
        shows("bell-gone", "bell-gone")(fortress)
        assert gone.events.empty() or not isinstance(gone.events.get(), LinkUp)
    fortress.undisturbed()


@pytest.mark.parametrize("fortress", ["nats"], indirect=True)
def test_a_nats_server_that_has_not_read_its_configuration_is_told(
    fortress: Fortress, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or whoever was taken back would be thought to be out."""
    for patience in ("broker_proof.READ_WITHIN_S", "broker.RELOADED_WITHIN_S"):
        monkeypatch.setattr(f"relay.commands.{patience}", 0.0)
    right = fortress.folder / "broker.pid"
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        kept = right.read_text("ascii")
        right.write_text(str(deaf.pid), "ascii")
        words = ["authority", "revoke", "bell-late", "--why", "lost", "--config", str(fortress.config)]
        assert main(words) == ExitCode.SETUP
        assert "bell-late" in capsys.readouterr().err
        right.write_text(kept, "ascii")
        deaf.kill()
    monkeypatch.undo()
    fortress.run("broker", "reload")
    shows("bell-late", "bell-late")(fortress)
    fortress.undisturbed()


def test_what_intruders_did_has_left_nothing(fortress: Fortress) -> None:
    """After all of it the broker keeps what those have said who may, and nothing else (a second relay hears it)."""
    fortress.undisturbed()
    last = f"desired {fortress.count}".encode()
    everything = [(TOPICS.all_of("+", channel), 1) for channel in Channel if channel is not Channel.PEER]
    with probing(fortress.settings_of("relay-second"), "relay-second", everything) as second:
        end = TOPICS.of(THERE, FOREIGN, Channel.DESIRED)
        assert fortress.relay.link.publish(end, b"end")
        heard = second.message(end, b"end")
        kept = {(one.topic, one.payload) for one in second.passed if isinstance(one, Delivery)}
        assert kept == {(TOPICS.of(HERE, BELL, Channel.DESIRED), last)}
        assert not heard.retained
    assert fortress.foreign.expect_next(Delivery).payload == b"end"
