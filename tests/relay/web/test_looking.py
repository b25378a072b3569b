"""Households, devices, the audit log: each role sees what it may, and each look is a line."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import relay.web
from relay.audit import AuditEntry, AuditWord
from relay.core.alarm import Accepted
from relay.core.life import advance_alarm
from relay.core.steps import Surroundings
from relay.people import EVERYWHERE, Grant, Role
from relay.ports import Batch, JournalRow, StoreError
from relay.texts import Text
from relay.texts import web as say
from tests.relay.office import ALARM, AT, commit, raised
from tests.relay.web.site import NOW, Browser, Site, text_of

XIHU = "xihushan"
LABEL, PLACE, HELPER, PHONE, DEVICE = "柳奶奶", "3栋502", "彭小平", "138 0000 0001", "button-liu"


def somebody(site: Site, role: Role, person: str | None = None) -> Browser:
    return site.signed_in(1, Grant(role, XIHU), person=person)


# Of liu's household, with whom peng is paired: what each role reads, as (role, person, what is on the page).
SEEN = [
    (Role.OFFICE, None, {LABEL, PLACE, HELPER, PHONE, DEVICE}),
    (Role.COORDINATOR, None, {LABEL, PLACE, HELPER, PHONE}),
    (Role.TECHNICIAN, None, {LABEL, PLACE, DEVICE}),
    (Role.VOLUNTEER, "peng", {LABEL, PLACE, HELPER}),
    (Role.VOLUNTEER, "wu", None),
    (Role.ALLIANCE, "peng", None),
    (Role.AUDITOR, None, None),
]


@pytest.mark.parametrize(("role", "person", "wanted"), SEEN)
def test_each_role_reads_of_a_household_what_it_may(
    site: Site, role: Role, person: str | None, wanted: set[str] | None
) -> None:
    browser = somebody(site, role, person)
    answer = browser.get("/households/liu")
    line = site.last()
    if wanted is None:
        assert answer.status_code == 404
        assert not any(word in answer.text for word in (LABEL, PLACE, HELPER, PHONE))
        assert (line.what, line.household) == (AuditWord.REFUSED, "liu")
        assert browser.get("/households/nobody").text == answer.text.replace("/households/liu", "/households/nobody")
        return
    assert answer.status_code == 200
    assert {word for word in (LABEL, PLACE, HELPER, PHONE, DEVICE) if word in answer.text} == wanted
    assert (line.what, line.household, line.community, line.who) == (
        AuditWord.HOUSEHOLD_SEEN, "liu", XIHU, f"account:{1:016x}",
    )  # fmt: skip
    assert "place" in line.facts()["fields"]
    assert LABEL not in line.detail


LISTED = [
    (Role.OFFICE, None, 4),
    (Role.COORDINATOR, None, 4),
    (Role.TECHNICIAN, None, 4),
    (Role.VOLUNTEER, "peng", 1),
    (Role.ALLIANCE, "peng", 0),
    (Role.AUDITOR, None, 0),
]


@pytest.mark.parametrize(("role", "person", "count"), LISTED)
def test_each_role_is_listed_the_households_it_may_see(site: Site, role: Role, person: str | None, count: int) -> None:
    register = site.pages.register()
    if role is Role.VOLUNTEER:
        count = len(register.households_of_volunteer["peng"])
    answer = somebody(site, role, person).get("/households")
    found = re.findall(r'href="/households/([a-z0-9-]+)"', answer.text)
    assert (answer.status_code, len(found)) == (200, count)
    line = site.last()
    assert (line.what, line.facts()["households"]["count"]) == (AuditWord.HOUSEHOLDS_LISTED, count)


def test_who_has_no_role_or_is_of_another_community_sees_nothing(site: Site) -> None:
    nobody = site.signed_in(1)
    other = site.signed_in(2, Grant(Role.OFFICE, "another"))
    for browser in (nobody, other):
        for path in ("/households/liu", "/d/bell-peng", "/d/none", "/audit"):
            assert browser.get(path).status_code == 404
    assert nobody.get("/households").status_code == 404
    assert "没有您能看的住户" in other.get("/households").text
    assert LABEL not in other.get("/devices").text


def test_whoever_is_on_the_way_sees_the_household_until_it_is_over(site: Site) -> None:
    """A doctor of the alliance who has accepted: label and place, as long as the alarm is open."""
    browser = somebody(site, Role.ALLIANCE, "peng")
    register = site.pages.register()
    around = Surroundings(register, frozenset(register.devices))
    opened = raised(register, ALARM, "liu", AT)
    commit(site.store, opened, AT)
    assert browser.get("/households/liu").status_code == 404, "called is not yet on the way"
    taken = advance_alarm(opened.alarm, Accepted("peng", "bell-peng", AT), around, AT)
    commit(site.store, taken, AT)
    answer = browser.get("/households/liu")
    assert (answer.status_code, LABEL in answer.text, PHONE in answer.text) == (200, True, False)
    assert browser.get("/households/chen").status_code == 404


DEVICES = [
    (Role.OFFICE, 200), (Role.TECHNICIAN, 200), (Role.COORDINATOR, 404), (Role.VOLUNTEER, 404), (Role.ALLIANCE, 404),
    (Role.AUDITOR, 404),
]  # fmt: skip


@pytest.mark.parametrize(("role", "status"), DEVICES)
def test_devices_are_for_the_office_and_technicians(site: Site, role: Role, status: int) -> None:
    row = JournalRow(NOW, XIHU, "device_online", device="bell-peng")
    site.store.commit(Batch(journal=[row]))
    browser = somebody(site, role, "peng")
    listed, one = browser.get("/devices"), browser.get("/d/button-liu")
    assert (listed.status_code, one.status_code) == (status, status)
    assert ("bell-peng" in listed.text) is (status == 200)
    if status == 200:
        assert "在线，自" in listed.text
        assert (LABEL in one.text, PLACE in one.text) == (True, True)
        line = site.last()
        assert (line.what, line.device, line.household) == (AuditWord.HOUSEHOLD_SEEN, "button-liu", "liu")


def test_a_labels_address_asks_to_sign_in_and_leads_back(site: Site) -> None:
    site.account(1, Grant(Role.TECHNICIAN, XIHU))
    browser = site.browser()
    to = browser.get("/d/bell-peng").headers["location"]
    assert to == "/sign-in?to=%2Fd%2Fbell-peng"
    assert 'name="to" value="/d/bell-peng"' in browser.get(to).text
    assert browser.sign_in("user1", to="/d/bell-peng").headers["location"] == "/d/bell-peng"


def test_a_long_list_is_paged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.web.looking.AT_ONCE", 3)
    browser = somebody(site, Role.OFFICE)
    pages = [browser.get(f"/households?page={n}").text for n in (1, 2, 3)]
    assert [text.count('href="/households/') for text in pages] == [3, 1, 0]
    assert ["page=2" in text for text in pages] == [True, False, False]
    assert "page=1" in pages[1]
    assert browser.get("/households?page=0").status_code == 400
    assert browser.get("/households?page=x").status_code == 400
    assert browser.get("/devices?page=2").status_code == 200


def test_an_import_is_seen_at_once(site: Site) -> None:
    browser = somebody(site, Role.OFFICE)
    assert LABEL in browser.get("/households").text
    register = site.pages.register()
    households = {key: home for key, home in register.households.items() if key != "liu"}
    devices = {key: one for key, one in register.devices.items() if one.household != "liu"}
    site.store.replace_register(type(register)(**{**vars(register), "households": households, "devices": devices}))
    assert LABEL not in browser.get("/households").text
    assert browser.get("/households/liu").status_code == 404


def test_what_cannot_be_recorded_is_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("disk full", retryable=True)

    browser = somebody(site, Role.OFFICE)
    monkeypatch.setattr("relay.adapters.store_audit.SqlAudit.append", full)
    for path in ("/households", "/households/liu", "/devices", "/d/button-liu"):
        answer = browser.get(path)
        assert (answer.status_code, LABEL in answer.text) == (503, False)


def test_the_audit_log_is_searched_paged_and_names_who_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.web.looking.AT_ONCE", 5)
    office = site.signed_in(2, Grant(Role.OFFICE, XIHU))
    for _ in range(6):
        office.get("/households/liu")
    site.store.audit.append(AuditEntry("os:root", AuditWord.HOUSEHOLD_SEEN, community="another"), NOW)
    auditor = somebody(site, Role.AUDITOR)
    text = auditor.get("/audit").text
    assert (text.count("查看住户</td>"), "用户2" in text, "os:root" in text) == (5, True, False), "of the own community"
    before = re.findall(r"before=(\d+)", text)
    assert text_of(auditor.get(f"/audit?before={before[0]}")).count("查看住户") >= 1
    assert "没有这样的记录" in auditor.get("/audit?household=chen").text
    assert auditor.get("/audit?what=nonsense&before=x&account=%27").status_code == 200
    assert site.last().what == AuditWord.AUDIT_READ
    everywhere = site.signed_in(3, Grant(Role.AUDITOR, EVERYWHERE))
    assert "os:root" in everywhere.get("/audit?what=household_seen").text
    assert office.get("/audit").status_code == 404


def test_what_somebody_has_written_is_never_taken_for_markup(site: Site) -> None:
    account = site.account(1, Grant(Role.AUDITOR, EVERYWHERE))
    attack = "<script>alert(1)</script>"
    detail = {"x": attack}
    site.store.audit.append(AuditEntry("os:root", AuditWord.STORE_BACKED_UP, detail=detail), NOW)
    browser = site.browser()
    browser.sign_in(account.login)
    for path in (
        "/audit",
        f"/audit?household={attack}",
        f"/audit?account=%22%3E{attack}",
        f"/{attack}",
        f"/sign-in?to={attack}",
    ):
        assert "<script" not in browser.get(path).text


def test_every_page_speaks_both_languages(site: Site) -> None:
    """And every text that a page names is there."""
    templates = Path(relay.web.__file__).parent / "templates"
    named = {
        name
        for page in templates.glob("*.html")
        for call in re.findall(r"say\(([^)]*)", page.read_text("utf-8"))
        for name in re.findall(r"'([A-Z_]+)'", call)
    }
    texts = {name: text for name, text in vars(say).items() if isinstance(text, Text)}
    assert named <= set(texts)
    assert len(named) > 60
    source = "".join(path.read_text("utf-8") for path in Path(relay.web.__file__).parent.rglob("*.py"))
    unused = {name for name in texts if name not in named and f"say.{name}" not in source and f'"{name}"' not in source}
    assert unused == set()
    browser = somebody(site, Role.OFFICE)
    browser.post("/language", language="en")
    letters = set(string.printable)
    for path in ("/", "/me", "/devices", "/accounts", "/nothing"):
        told = text_of(browser.get(path)).replace("中文", "").replace("用户1", "")
        for name in site.pages.register().households.values():
            told = told.replace(name.label, "").replace(name.place, "")
        assert {letter for letter in told if letter not in letters} <= set("·«»’"), path
