"""What a wish for a device makes of the register, and every mistake of a list at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.register import DeviceRole, Register
from relay.provisioning import Outcome, Wish, fulfil, wanted_again
from relay.provisioning_settings import Hardware
from relay.provisioning_table import COLUMNS, read_wishes
from relay.register_file import parse_register
from relay.texts import Language
from tests.relay.office import EXAMPLE

REGISTER = parse_register(EXAMPLE.read_bytes())[0] or Register()


def told(outcome: Outcome) -> list[tuple[int, str]]:
    """The lines and keys of the mistakes."""
    return [(one.line, one.key) for one in outcome.mistakes]


def test_a_pair_for_a_household_and_a_volunteer_that_are_new() -> None:
    """Three rows of one list, in any order: two bells, one of them of somebody who is known."""
    wishes = [
        Wish(2, role="bell", household="lin", person="deng", name="邓明"),
        Wish(3, role="门铃", household="lin", person="xu"),
        Wish(4, role="panel", household="lin", label="林奶奶", place="7栋301", hardware="pi-zero-2w", wifi="林家"),
    ]
    outcome = fulfil(REGISTER, wishes)
    assert outcome.mistakes == ()
    after = outcome.register
    assert (after.households["lin"].label, after.households["lin"].volunteers) == ("林奶奶", ("deng", "xu"))
    assert [one.device.id for one in outcome.wanted] == ["panel-lin", "bell-deng", "bell-xu-2"]
    assert after.volunteer_bells("lin") == ("bell-deng", *after.bells_of["xu"])
    assert outcome.wanted[0].hardware is Hardware.PI_ZERO_2_W
    assert {**after.households, "lin": None} == {**REGISTER.households, "lin": None}
    assert after.people["deng"].community == "xihushan"


def test_a_bell_for_the_one_volunteer_who_has_none() -> None:
    devices = {id_: one for id_, one in REGISTER.devices.items() if one.person != "peng"}
    register = replace(REGISTER, devices=devices)
    (wanted,) = fulfil(register, [Wish(role="bell", household="liu")]).wanted
    assert (wanted.device.id, wanted.device.person, wanted.device.role) == ("bell-peng", "peng", DeviceRole.BELL)
    assert told(fulfil(REGISTER, [Wish(role="bell", household="liu")])) == [(0, "person")]


def test_an_id_that_is_taken_is_numbered_and_one_that_was_asked_for_is_refused() -> None:
    (wanted,) = fulfil(REGISTER, [Wish(role="panel", household="liu")], taken={"panel-liu"}).wanted
    assert wanted.device.id == "panel-liu-2"
    for name in ("button-liu", "lost", "relay-main", "Panel", "a_b"):
        outcome = fulfil(REGISTER, [Wish(role="panel", household="liu", device=name)], taken={"lost"})
        assert (told(outcome), outcome.register, outcome.wanted) == ([(0, "device")], REGISTER, ()), name


def test_every_mistake_is_told_with_its_line_and_then_nothing_is_done() -> None:
    wishes = [
        Wish(2, role="button", household="liu"),
        Wish(3, role="panel"),
        Wish(4, role="panel", household="lu"),
        Wish(5, role="panel", household="liu", label="刘奶奶"),
        Wish(6, role="panel", household="new", label="名" * 41, place="址" * 61),
        Wish(7, role="bell", household="nowhere", person="peng"),
        Wish(8, role="bell", household="liu", person="nobody"),
        Wish(9, role="panel", household="liu", hardware="pi-2"),
        Wish(10, role="panel", household="liu", hardware="pi-zero-2w"),
        Wish(11, role="panel", household="liu", wifi="x", wifi_password="short"),
        Wish(12, role="panel", household="liu", wifi_password="long enough"),
        Wish(13, role="panel", household="liu", wifi="网" * 11),
        Wish(14, role="panel", household="y", label="a\u202eb", community="dongcun"),
        Wish(15, role="panel", household="chen"),
    ]
    outcome = fulfil(REGISTER, wishes)
    assert told(outcome) == [
        (2, "role"),
        (3, "household"),
        (4, "household"),
        (5, "label"),
        (6, "label"),
        (6, "place"),
        (7, "household"),
        (8, "person"),
        (9, "hardware"),
        (10, "wifi"),
        (11, "wifi_password"),
        (12, "wifi"),
        (13, "wifi"),
        (14, "community"),
        (14, "label"),
    ]
    assert (outcome.register, outcome.wanted) == (REGISTER, ())
    for one in outcome.mistakes:
        assert all(one.text.say(language, **one.fields) for language in Language)
    similar = outcome.mistakes[2]
    assert "liu" in similar.text.say(Language.EN, **similar.fields)


def test_a_new_card_leaves_the_register_as_it_is() -> None:
    outcome = wanted_again(REGISTER, Wish(device="bell-peng", wifi="彭家", wifi_password="12345678"), Hardware.PI_5)
    (wanted,) = outcome.wanted
    assert (wanted.device, wanted.wifi, outcome.register) == (REGISTER.devices["bell-peng"], "彭家", REGISTER)
    assert "12345678" not in repr(wanted)
    assert told(wanted_again(REGISTER, Wish(device="bell-pang"), Hardware.PI_5)) == [(0, "device")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_as_a_spreadsheet_saves_it(encoding: str) -> None:
    text = '用途,住户,称呼,地址,志愿者\r\n\r\n面板,lin,林奶奶,"7栋,301"\r\n门铃,lin,,,peng\r\n'
    wishes, mistakes = read_wishes(text.encode(encoding))
    assert mistakes == []
    assert wishes == [
        Wish(3, role="面板", household="lin", label="林奶奶", place="7栋,301"),
        Wish(4, role="门铃", household="lin", person="peng"),
    ]
    assert fulfil(REGISTER, wishes).mistakes == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [1]),
        ("role,household\n", [1]),
        ("role,haus,role\na,b,c\n", [1, 1, 1]),
        ("role,household\npanel,liu,x\npanel,chen\nbell,liu,1,2\n", [2, 4]),
        ('role,household\npanel,"li"u\n', [2]),
    ],
)
def test_what_is_wrong_with_a_table(text: str, lines: list[int]) -> None:
    _, mistakes = read_wishes(text.encode())
    assert [one.line for one in mistakes] == lines
    assert all(one.text.say(language, **one.fields) for one in mistakes for language in Language)


def test_every_column_has_a_name() -> None:
    assert set(COLUMNS) >= {"role", "household", "person", "device", "hardware", "wifi", "wifi_password"}
