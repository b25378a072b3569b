"""Attempts on a broker with the configuration that we write: every one is refused, and nobody else notices.

Each is made with real TLS and packets by hand. After each, those who are let in speak to each other and must have heard
nothing else: no word of the intruder, and no loss of their connection.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.wire import Channel
from relay.adapters.authority import keys
from tests.relay.identities import SCRYPT_N
from tests.system.attempts import ATTEMPTS, Attempt, connects_often, shows
from tests.system.forgeries import make_forgeries
from tests.system.fortress import BELL, FOREIGN, HERE, THERE, TOPICS, Fortress
from tests.system.link_probe import probing

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("fortress")]


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
