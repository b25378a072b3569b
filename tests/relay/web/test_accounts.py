"""Accounts on a page: what the office may do, and what it may not."""

from __future__ import annotations

import re

import pytest

from relay.audit import AuditWord
from relay.people import EVERYWHERE, Grant, LinkPurpose, Role
from relay.web.pages import GIVEABLE
from tests.relay.people import GOOD
from tests.relay.web.site import Browser, Site

XIHU = "xihushan"
OFFICE = Grant(Role.OFFICE, XIHU)


@pytest.fixture
def office(site: Site) -> Browser:
    return site.signed_in(1, OFFICE)


def grants(site: Site, number: int) -> tuple[Grant, ...]:
    found = site.store.people.account(f"{number:016x}")
    assert found is not None
    return found.grants


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OFFICE])
def test_accounts_are_for_the_office(site: Site, role: Role) -> None:
    browser = site.signed_in(1, Grant(role, XIHU), person="peng")
    target = site.account(2, OFFICE)
    assert browser.get("/accounts").status_code == 404
    assert browser.get(f"/accounts/{target.id}").status_code == 404
    for path in ("", f"/{target.id}/role", f"/{target.id}/lock", f"/{target.id}/end", f"/{target.id}/link"):
        assert browser.post(f"/accounts{path}", role="office", community=XIHU, purpose="sign_in").status_code == 404
    assert grants(site, 2) == (OFFICE,)
    assert site.last().what == AuditWord.REFUSED


def test_an_account_is_added_and_gets_a_link_that_works(site: Site, office: Browser) -> None:
    answer = office.post("/accounts", login="Li.Na", name="李娜", role="coordinator", community=XIHU)
    path = answer.headers["location"]
    found = site.store.people.by_login("li.na")
    assert found is not None
    account = found[0]
    assert (answer.status_code, path, account.name) == (303, f"/accounts/{account.id}", "李娜")
    assert account.grants == (Grant(Role.COORDINATOR, XIHU),)
    line = site.last()
    assert (line.what, line.who, line.account) == (AuditWord.ACCOUNT_ADDED, f"account:{1:016x}", account.id)
    assert "李娜" in office.get("/accounts").text
    told = office.post(f"{path}/link", purpose=LinkPurpose.SET_PASSWORD.value).text
    link = re.findall(r"https://bell\.example\.org(/link/set_password/[^<\s]+)", told)
    assert "link/set_password" not in office.get(path).text, "shown once"
    assert site.browser().post(link[0], password=GOOD, again=GOOD).status_code == 303
    assert site.browser().sign_in("li.na").status_code == 303


WRONG = [
    {"login": "user1"},
    {"login": "-"},
    {"name": ""},
    {"name": "a\x1bb"},
    {"person": "nobody"},
    {"role": "volunteer"},
    {"role": "auditor"},
    {"role": "king"},
    {"community": "another"},
    {"community": EVERYWHERE},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_theirs_to_add_is_refused(site: Site, office: Browser, wrong: dict[str, str]) -> None:
    form = {"login": "li", "name": "李", "role": "coordinator", "community": XIHU, **wrong}
    assert office.post("/accounts", **form).status_code in (400, 404)
    assert len(site.store.people.accounts()) == 1


def test_roles_are_given_and_taken_but_not_that_of_the_auditor(site: Site, office: Browser) -> None:
    account = site.account(2, Grant(Role.COORDINATOR, XIHU))
    path = f"/accounts/{account.id}"
    assert office.post(f"{path}/role", role="technician", community=XIHU).status_code == 303
    assert grants(site, 2) == (Grant(Role.COORDINATOR, XIHU), Grant(Role.TECHNICIAN, XIHU))
    assert office.post(f"{path}/role", role="coordinator", community=XIHU, take="yes").status_code == 303
    assert grants(site, 2) == (Grant(Role.TECHNICIAN, XIHU),)
    assert site.last().what == AuditWord.ROLE_TAKEN
    assert office.post(f"{path}/role", role="volunteer", community=XIHU).status_code == 400, "without a person"
    for role, community in (("auditor", XIHU), ("office", EVERYWHERE), ("office", "another"), ("king", XIHU)):
        assert office.post(f"{path}/role", role=role, community=community).status_code == 404
    assert grants(site, 2) == (Grant(Role.TECHNICIAN, XIHU),)
    assert Role.AUDITOR not in GIVEABLE


# Somebody whom an office of one community may not touch, and why.
BEYOND = [
    (Grant(Role.AUDITOR, XIHU),),
    (OFFICE, Grant(Role.AUDITOR, XIHU)),
    (Grant(Role.OFFICE, EVERYWHERE),),
    (OFFICE, Grant(Role.TECHNICIAN, "another")),
    (Grant(Role.COORDINATOR, "another"),),
    (),
]


@pytest.mark.parametrize("of", BEYOND)
def test_nobody_becomes_who_reaches_further_than_they_do(site: Site, office: Browser, of: tuple[Grant, ...]) -> None:
    """A link to somebody's account, or their password, is their account."""
    target = site.account(2, *of)
    path = f"/accounts/{target.id}"
    assert target.name not in office.get("/accounts").text
    assert office.get(path).status_code == 404
    for action in ("role", "lock", "end", "link"):
        form = {"role": "coordinator", "community": XIHU, "purpose": "set_password"}
        assert office.post(f"{path}/{action}", **form).status_code == 404
    assert site.store.people.account(target.id) == target


def test_nobody_changes_their_own_account_there(site: Site, office: Browser) -> None:
    for action in ("role", "lock", "end", "link"):
        form = {"role": "technician", "community": XIHU, "purpose": "sign_in"}
        assert office.post(f"/accounts/{1:016x}/{action}", **form).status_code == 404
    assert grants(site, 1) == (OFFICE,)


def test_an_office_of_all_communities_manages_all_but_auditors(site: Site) -> None:
    browser = site.signed_in(1, Grant(Role.OFFICE, EVERYWHERE))
    bare, auditor = site.account(2), site.account(3, Grant(Role.AUDITOR, XIHU))
    assert browser.get(f"/accounts/{bare.id}").status_code == 200
    assert browser.post(f"/accounts/{bare.id}/role", role="office", community=EVERYWHERE).status_code == 303
    assert browser.get(f"/accounts/{auditor.id}").status_code == 404


def test_locking_is_undone_and_ends_what_there_was(site: Site, office: Browser) -> None:
    target = site.signed_in(2, Grant(Role.COORDINATOR, XIHU))
    path = f"/accounts/{2:016x}"
    assert office.post(f"{path}/lock").status_code == 303
    assert target.get("/me").status_code == 303
    assert target.sign_in("user2").status_code == 401
    assert office.post(f"{path}/lock", undo="yes").status_code == 303
    assert target.sign_in("user2").status_code == 303
    assert office.post(f"{path}/end").status_code == 303
    assert target.get("/me").status_code == 303
    assert [line.what for line in site.lines()][-4:] == [
        "account_locked", "account_unlocked", "signed_in", "sessions_ended",
    ] or site.last().what == "sessions_ended"  # fmt: skip
