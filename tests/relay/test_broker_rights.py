"""Who may say and hear what: exactly the wire contract's table, for who has an identity and is registered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from doorbell.wire import Topics
from relay.broker_rights import Access, Rights, access_of
from relay.core.register import Community, Device, DeviceRole, Register
from relay.issued import Issued, IssuedRegister, Purpose, Revoked, Why, common_name
from tests.relay.identities import BEGAN, DAY

REGISTER = Register(
    communities={one: Community(one, one) for one in ("west", "east")},
    devices={
        "bell-peng": Device("bell-peng", "west", DeviceRole.BELL, person="peng"),
        "button-he": Device("button-he", "east", DeviceRole.PANEL, household="he"),
    },
)


def issued_to(*names: tuple[Purpose, str]) -> IssuedRegister:
    register = IssuedRegister()
    for number, (purpose, name) in enumerate(names, 1):
        register.add(
            Issued(
                at=BEGAN,
                name=common_name(purpose, name) or "",
                number=f"{number}",
                serial=f"{number}",
                purpose=purpose,
                since=BEGAN,
                until=BEGAN + 365 * DAY,
                issuer=1,
            )
        )
    return register


def access(issued: IssuedRegister, prefix: str = "doorbell/v1", days: float = 0) -> Access:
    return access_of(REGISTER, issued, Topics(prefix), BEGAN + timedelta(days=days))


def rights_of(name: str, told: Access) -> Rights:
    (found,) = [one for one in told.rights if one.identity.name == name]
    return found


def test_a_device_may_do_what_the_contracts_table_says_in_its_own_community() -> None:
    rights = rights_of("bell-peng", access(issued_to((Purpose.DEVICE, "bell-peng"))))
    assert rights.says == (
        "doorbell/v1/west/bell-peng/event",
        "doorbell/v1/west/bell-peng/reported",
        "doorbell/v1/west/bell-peng/online",
        "doorbell/v1/west/bell-peng/peer/+",
    )
    assert rights.hears == ("doorbell/v1/west/bell-peng/desired", "doorbell/v1/west/+/peer/bell-peng")


def test_a_relay_hears_devices_and_tells_them_their_state_and_has_a_word_with_itself() -> None:
    rights = rights_of("relay-main", access(issued_to((Purpose.RELAY, "main")), "city/x"))
    assert rights.says == ("city/x/+/+/desired", "city/x/relay-main")
    assert rights.hears == (
        *(f"city/x/+/+/{channel}" for channel in ("event", "reported", "online", "desired")),
        "city/x/relay-main",
    )


def test_who_is_not_registered_or_has_no_identity_is_named_and_may_do_nothing() -> None:
    told = access(issued_to((Purpose.DEVICE, "bell-peng"), (Purpose.DEVICE, "bell-nobody"), (Purpose.BROKER, "first")))
    assert (rights_of("bell-nobody", told).says, rights_of("bell-nobody", told).hears) == ((), ())
    assert (told.unregistered, told.without_identity) == (("bell-nobody",), ("button-he",))
    assert {one.identity.name for one in told.rights} == {"bell-peng", "bell-nobody"}


@pytest.mark.parametrize("days", [366, 0])
def test_who_has_ended_or_was_taken_back_has_no_rights(days: int) -> None:
    issued = issued_to((Purpose.DEVICE, "bell-peng"), (Purpose.RELAY, "main"))
    if days == 0:
        for number, name in (("1", "bell-peng"), ("2", "relay-main")):
            issued.add(Revoked(at=BEGAN, name=name, number=number, why=Why.LOST))
    told = access(issued, days=days)
    assert (told.rights, told.without_identity) == ((), ("bell-peng", "button-he"))


def test_the_new_one_under_an_old_name_is_the_one_that_may() -> None:
    issued = issued_to((Purpose.DEVICE, "bell-peng"))
    issued.add(Revoked(at=BEGAN, name="bell-peng", number="1", why=Why.BROKEN))
    issued.add(next(iter(issued_to((Purpose.DEVICE, "bell-peng")))).newest.model_copy(update={"number": "9"}))
    assert rights_of("bell-peng", access(issued)).identity.number == "9"
