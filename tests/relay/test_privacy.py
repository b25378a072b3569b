"""Who somebody is in the register, which words tell of them alone, and what the register is without them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.register import Household, Person
from relay.privacy import SubjectKind, concerns, find_subject, left_alone, register_without
from tests.relay.rows import a_register, accepted, an_alarm


def test_a_person_and_a_household_are_found_by_id() -> None:
    register = a_register()
    peng, home = find_subject(register, "peng"), find_subject(register, "home-liu")
    assert peng is not None
    assert (peng.kind, peng.words, peng.devices) == (
        SubjectKind.PERSON,
        ("彭小平", "+8613800000000"),
        ("bell-peng",),
    )
    assert home is not None
    assert (home.kind, home.words, home.devices) == (SubjectKind.HOUSEHOLD, ("柳奶奶", "3栋502"), ("panel-liu",))
    assert find_subject(register, "nobody") is None


@pytest.mark.parametrize(
    ("name", "phone", "telling"),
    [
        ("王", "", ()),
        ("王芳", "502", ("王芳",)),
        ("Wu", "13911112222", ("13911112222",)),
        ("Wu", "13800000000", ()),
        ("彭小平", "1", ()),
        ("小平", "+8613800000000", ()),
        ("柳奶奶", "", ()),
        ("欧阳娜娜", "+86139", ("欧阳娜娜", "+86139")),
    ],
)
def test_a_word_that_is_somebody_elses_too_or_in_every_number_tells_of_nobody(
    name: str, phone: str, telling: tuple[str, ...]
) -> None:
    register = a_register()
    register = replace(register, people={**register.people, "new": Person("new", "xihu", name, phone)})
    subject = find_subject(register, "new")
    assert subject is not None
    assert subject.telling == telling


def test_words_are_taken_out_of_a_text_the_longest_first() -> None:
    register = a_register()
    homes = {**register.households, "home-o": Household("home-o", "xihu", "欧阳", "欧阳大院9号")}
    subject = find_subject(replace(register, households=homes), "home-o")
    assert subject is not None
    assert subject.without("去欧阳大院9号看欧阳") == "去home-o看home-o"


def test_words_are_found_in_bytes_of_every_kind() -> None:
    subject = find_subject(a_register(), "peng")
    assert subject is not None
    told = ["彭小平".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")]
    for form in (*told, rb"\u5f6d\u5c0f\u5e73", rb"\u5F6D\u5C0F\u5E73"):
        assert subject.in_bytes(b"{" + form + b"}"), form
    assert not subject.in_bytes("彭大平".encode())


def test_the_register_without_a_person_has_no_place_for_them() -> None:
    register = a_register()
    peng = find_subject(register, "peng")
    assert peng is not None
    left = register_without(register, peng)
    assert (set(left.people), set(left.devices)) == ({"wu"}, {"panel-liu"})
    assert left.households["home-liu"].volunteers == ("wu",)
    assert left.groups["office"].members == ("wu",)
    assert left.policies == register.policies
    assert left_alone(register, peng) == ()
    wu = find_subject(left, "wu")
    assert wu is not None
    assert left_alone(left, wu) == ("home-liu",)


def test_the_register_without_a_household_has_no_place_for_it() -> None:
    register = a_register()
    home = find_subject(register, "home-liu")
    assert home is not None
    left = register_without(register, home)
    assert (set(left.households), set(left.devices), set(left.people)) == ({"home-chen"}, {"bell-peng"}, {"peng", "wu"})
    assert left_alone(register, home) == ()


def test_an_alarm_concerns_its_home_whom_it_calls_and_who_helps() -> None:
    register = a_register()
    alarm = an_alarm()
    asked = {id_: find_subject(register, id_) for id_ in ("home-liu", "home-chen", "peng", "wu")}
    assert {id_ for id_, subject in asked.items() if subject and concerns(alarm, subject)} == {"home-liu", "peng"}
    uncalled = replace(accepted(alarm), called=())
    assert {id_ for id_, subject in asked.items() if subject and concerns(uncalled, subject)} == {"home-liu", "peng"}
    assert not any(concerns(replace(alarm, called=(), household="x"), s) for s in asked.values() if s)
