"""Who may see and do what: every role and every right, in one table."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from relay.core.alarm import Helper, HelperState
from relay.core.register import Household, Register
from relay.people import (
    EVERYWHERE,
    FIELDS,
    PERMISSIONS,
    Grant,
    Reach,
    Right,
    Role,
    SessionTimes,
    Viewer,
    change_roles,
    helped_households,
    name_is_usable,
    tidy_login,
)
from relay.texts.people import REACH_WORDS, RIGHT_WORDS, ROLE_WORDS
from tests.relay.people import a_session, an_account
from tests.relay.rows import T0, after_s, an_alarm, closed

PAGE = Path(__file__).parents[2] / "docs" / "people.md"

PAIRED = Household("home-a", "xihu", "柳奶奶", "3栋502", volunteers=("me", "wu"))
HELPED = Household("home-b", "xihu", "陈爷爷", volunteers=("wu",))
OTHER = Household("home-c", "xihu", "王奶奶", volunteers=("wu",))
ELSEWHERE = Household("home-d", "aixi", "李爷爷", volunteers=("me",))
HOMES = Register(households={home.id: home for home in (PAIRED, HELPED, OTHER, ELSEWHERE)})

# Written down once more, by hand: what each role sees of a paired household, of one where the person is helping, and of
# any other, as letters of (Label, Place, Helpers, Phones, Notes, Entry, Devices); and what it may do.
SEES = {
    Role.OFFICE: ("LPHPhN-D", "LPHPhNED", "LPHPhN-D"),
    Role.COORDINATOR: ("LPHPhN--", "LPHPhNE-", "LPHPhN--"),
    Role.TECHNICIAN: ("LP----D", "LP----D", "LP----D"),
    Role.VOLUNTEER: ("LPHN", "E", ""),
    Role.ALLIANCE: ("", "LPHNE", ""),
    Role.AUDITOR: ("", "", ""),
}
LETTERS = {
    "L": Right.LABEL, "P": Right.PLACE, "H": Right.HELPERS, "Ph": Right.PHONES, "N": Right.NOTES, "E": Right.ENTRY,
    "D": Right.HOUSEHOLD_DEVICES,
}  # fmt: skip
DOES = {
    Role.OFFICE: {Right.DEVICES, Right.ACCOUNTS},
    Role.COORDINATOR: set(),
    Role.TECHNICIAN: {Right.DEVICES},
    Role.VOLUNTEER: set(),
    Role.ALLIANCE: set(),
    Role.AUDITOR: {Right.AUDIT},
}


def viewer(role: Role, community: str = "xihu") -> Viewer:
    return Viewer(an_account(1, Grant(role, community), person="me"), frozenset({"home-b"}))


def read(letters: str) -> set[Right]:
    return {LETTERS[letter] for letter in re.findall(r"Ph|[LPHNED]", letters)}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_sees_of_a_household_what_it_needs(role: Role) -> None:
    for home, letters in zip((PAIRED, HELPED, OTHER), SEES[role], strict=True):
        assert viewer(role).fields(home) == read(letters), home.id
    assert viewer(role).fields(ELSEWHERE) == set(), "of another community nothing"


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("right", sorted(set(Right) - set(FIELDS)))
def test_each_role_may_do_what_it_must(role: Role, right: Right) -> None:
    allowed = right in DOES[role]
    assert viewer(role).may(right, "xihu") is allowed
    assert viewer(role).may(right) is allowed
    assert not viewer(role).may(right, "aixi")
    assert viewer(role, EVERYWHERE).may(right, "aixi") is allowed


@pytest.mark.parametrize("right", list(Right))
def test_who_has_no_role_may_nothing(right: Right) -> None:
    nobody = Viewer(an_account(1, person="me"), frozenset({"home-b"}))
    assert not nobody.may(right)
    assert not any(nobody.sees(right, home) for home in HOMES.households.values())
    assert nobody.households(HOMES) == []


def test_nobody_sees_how_to_get_in_but_who_is_on_the_way() -> None:
    """Keys and how to get in: by no role for a whole community, nor for being paired."""
    assert {reaches.get(Right.ENTRY) for reaches in PERMISSIONS.values()} == {Reach.HELPING, None}


def test_who_reads_the_audit_log_sees_no_household_and_manages_nobody() -> None:
    assert set(PERMISSIONS[Role.AUDITOR]) == {Right.AUDIT}
    assert [role for role in Role if Right.AUDIT in PERMISSIONS[role]] == [Role.AUDITOR]


def test_the_list_has_the_households_of_which_something_can_be_seen() -> None:
    def listed(role: Role, community: str = "xihu") -> list[str]:
        return [home.id for home in viewer(role, community).households(HOMES)]

    assert listed(Role.OFFICE) == ["home-a", "home-b", "home-c"]
    assert listed(Role.OFFICE, EVERYWHERE) == list(HOMES.households)
    assert listed(Role.VOLUNTEER) == ["home-a"]
    assert listed(Role.VOLUNTEER, EVERYWHERE) == ["home-a", "home-d"]
    assert listed(Role.ALLIANCE) == ["home-b"]
    assert listed(Role.AUDITOR) == []


def test_two_roles_are_what_each_of_them_is() -> None:
    both = Viewer(an_account(1, Grant(Role.VOLUNTEER, "xihu"), Grant(Role.TECHNICIAN, "aixi"), person="me"))
    assert both.fields(PAIRED) == read("LPHN")
    assert both.fields(ELSEWHERE) == read("LPD")
    assert both.fields(OTHER) == set()


@pytest.mark.parametrize("state", list(HelperState))
def test_somebody_is_needed_where_they_are_coming_or_are(state: HelperState) -> None:
    helping = replace(an_alarm(1), helpers=(Helper("me", "bell", T0, state), Helper("wu", "bell", T0)))
    assert (helped_households("me", [helping]) == {"home-liu"}) is (state is not HelperState.HANDED_BACK)
    assert helped_households("other", [helping]) == frozenset()
    assert helped_households(None, [helping]) == frozenset()
    assert helped_households("me", [closed(helping)]) == frozenset(), "it is over"


@pytest.mark.parametrize(
    ("typed", "login"),
    [
        ("wang", "wang"), (" Wang.Li ", "wang.li"), ("ＷＡＮＧ", "wang"), ("王芳", "王芳"), ("a@b-c_d.e", "a@b-c_d.e"),
        ("13800000000", "13800000000"), ("w", None), ("", None), ("-wang", None), ("a b", None), ("a\nb", None),
        ("x" * 32, "x" * 32), ("x" * 33, None), ("a/b", None), ("a\u202eb", None),
    ],
)  # fmt: skip
def test_a_login_is_the_same_however_it_was_typed(typed: str, login: str | None) -> None:
    assert tidy_login(typed) == login


def test_a_name_can_be_shown() -> None:
    assert [name_is_usable(name) for name in ("王芳", "", "  ", "x" * 41, "a\x1b", "a\u202eb")] == [True] + [False] * 5


def test_a_session_ends_by_idleness_and_by_age() -> None:
    times, account = SessionTimes(idle_s=600, absolute_s=3600), an_account(1)
    session = a_session(1, account)
    assert times.live(session, after_s(599))
    assert not times.live(session, after_s(600))
    used = replace(session, seen_at=after_s(3500))
    assert times.live(used, after_s(3599))
    assert not times.live(used, after_s(3600))
    assert times.live(session, T0 - timedelta(seconds=59)), "a clock that was corrected signs nobody out"
    assert not times.live(session, T0 - timedelta(seconds=61))


def test_roles_are_given_and_taken() -> None:
    office, auditor = Grant(Role.OFFICE, "xihu"), Grant(Role.AUDITOR, "*")
    change = change_roles([office], [office, auditor], [Grant(Role.ALLIANCE, "xihu")])
    assert (change.grants, change.given, change.taken) == ((auditor, office), [auditor], [])
    change = change_roles([office], [], [office])
    assert (change.grants, change.given, change.taken) == ((), [], [office])


def test_there_are_words_for_all_of_it() -> None:
    assert (set(ROLE_WORDS), set(RIGHT_WORDS), set(REACH_WORDS)) == (set(Role), set(Right), set(Reach))


def test_the_page_has_the_same_table() -> None:
    told = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` [^|]*\|(.*)\|$", told, re.MULTILINE)
    assert [name for name, _ in rows] == list(Right)
    for name, cells in rows:
        words = [re.sub(r"[^a-z]", "", cell) for cell in cells.split("|")]
        wanted = [PERMISSIONS[role].get(Right(name)) for role in Role]
        assert words == [reach.value if reach is not None else "" for reach in wanted], name
