"""Signing in: who gets in, for how long, and what a stranger can do about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from relay.audit import AuditWord
from relay.passwords import Passwords
from relay.people import Account, LinkPurpose
from relay.ports import StoreError
from relay.web.pages import local_path, session_id
from relay.web.throttle import SignInThrottle, network_of
from tests.relay.people import CHEAP, GOOD, OFFICE, add, an_account, told
from tests.relay.web.site import NOW, Site, text_of


def test_whoever_has_the_password_is_let_in_and_it_is_written_down(site: Site) -> None:
    account = site.account(1, OFFICE)
    browser = site.browser()
    answer = browser.get("/households")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?to=%2Fhouseholds")
    answer = browser.sign_in(" USER1 ", to="/households")
    assert (answer.status_code, answer.headers["location"]) == (303, "/households")
    line = site.last()
    assert (line.what, line.who, line.account, line.facts()) == (
        "signed_in", f"account:{account.id}", account.id, {"by": "password"},
    )  # fmt: skip
    assert browser.get("/households").status_code == 200


def test_the_cookie_is_for_this_host_unseen_by_scripts_and_not_in_the_database(site: Site) -> None:
    site.account(1)
    browser = site.browser()
    answer = browser.sign_in("user1")
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert cookie.startswith("__Host-doorbell-")
        for part in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
            assert part in cookie
        assert "Domain" not in cookie
    token = browser.session()
    assert token is not None
    (session,) = site.store.people.sessions(f"{1:016x}")
    assert session.id == session_id(token)
    assert token not in session.id
    stolen = site.browser()
    stolen.plant(session.id)
    assert stolen.get("/me").status_code == 303, "what is in the database is no cookie"


def test_in_clear_text_the_cookie_is_not_called_what_only_tls_may_set(tmp_path: object, site: Site) -> None:
    plain = Site(site.store, url="http://127.0.0.1:18843")
    plain.account(1)
    browser = plain.browser()
    cookies = browser.sign_in("user1").headers.get_list("set-cookie")
    assert all(cookie.startswith("doorbell-") and "Secure" not in cookie for cookie in cookies)
    assert "strict-transport-security" not in browser.get("/me").headers
    assert browser.get("/me").status_code == 200


def test_a_session_that_was_there_before_is_never_the_one_after(site: Site) -> None:
    """Session fixation: who plants a cookie before somebody signs in has nothing afterwards."""
    site.account(1)
    site.account(2)
    browser, attacker = site.browser(), site.browser()
    browser.plant("planted-by-somebody")
    browser.sign_in("user1")
    attacker.plant("planted-by-somebody")
    assert attacker.get("/me").status_code == 303
    first = browser.session()
    assert first is not None
    browser.sign_in("user2")
    assert browser.session() != first
    attacker.plant(first)
    assert attacker.get("/me").status_code == 303, "the session of before has ended"


REFUSED = [
    ("user1", "wrong password here"),
    ("user1", ""),
    ("user9", GOOD),
    ("", GOOD),
    ("user1\x00", GOOD),
    ("locked", GOOD),
    ("nopassword", GOOD),
    ("nopassword", ""),
]


@pytest.mark.parametrize(("login", "password"), REFUSED)
def test_all_who_are_refused_read_the_same(site: Site, login: str, password: str) -> None:
    site.account(1)
    locked = add(site.store, replace(an_account(2), login="locked"), GOOD)
    site.store.people.set_locked(locked.id, True, told())
    add(site.store, replace(an_account(3), login="nopassword"))
    browser = site.browser()
    answer = browser.sign_in(login, password)
    assert answer.status_code == 401
    assert "登录名或密码不对" in answer.text
    assert browser.session() is None
    line = site.last()
    assert (line.what, line.who) == ("sign_in_failed", "nobody")
    assert GOOD not in line.detail
    assert "user9" not in line.detail, "people type their password into the wrong field"


def test_a_hash_of_older_parameters_is_made_anew_at_the_next_sign_in(site: Site) -> None:
    account = an_account(1)
    older = Passwords(memory_kib=16, passes=1).hash(GOOD)
    assert site.store.people.add(account, older, told())
    assert site.browser().sign_in("user1").status_code == 303
    found = site.store.people.by_login("user1")
    assert found is not None
    assert found[1] != older
    assert CHEAP.check(GOOD, found[1]) == (True, None)


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "javascript:x", "", "/x?y=//z"]
)
def test_signing_in_leads_nowhere_else(site: Site, to: str) -> None:
    site.account(1)
    assert site.browser().sign_in("user1", to=to).headers["location"] == "/"
    assert local_path(to) == "/"
    assert site.browser().get(f"/sign-in?to={to!r}").status_code in (200, 400)


def test_a_session_ends_by_idleness_by_age_and_by_signing_out(site: Site) -> None:
    browser = site.signed_in(1)
    site.later(minutes=59)
    assert browser.get("/me").status_code == 200, "used, so it goes on"
    site.later(minutes=59)
    assert browser.get("/me").status_code == 200
    site.later(minutes=61)
    assert browser.get("/me").status_code == 303
    other = site.browser()
    other.sign_in("user1")
    for _ in range(12):
        site.later(minutes=59)
        other.get("/me")
    site.later(minutes=30)
    assert other.get("/me").status_code == 303, "twelve hours, however it was used"
    last = site.browser()
    last.sign_in("user1")
    token = last.session()
    assert token is not None
    assert last.post("/sign-out").headers["location"] == "/sign-in"
    assert site.last().what == "signed_out"
    last.plant(token)
    assert last.get("/me").status_code == 303
    assert last.post("/sign-out").status_code == 303


def test_a_page_a_second_is_no_write_a_second(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.signed_in(1)
    touched: list[str] = []
    monkeypatch.setattr("relay.adapters.store_people.SqlPeople.touch", lambda _, one, _at: touched.append(one))
    for _ in range(59):
        site.later(seconds=1)
        assert browser.get("/me").status_code == 200
    assert touched == []
    site.later(seconds=1)
    browser.get("/me")
    assert len(touched) == 1


def test_whoever_is_locked_is_out_at_once(site: Site) -> None:
    browser = site.signed_in(1, OFFICE)
    site.store.people.set_locked(f"{1:016x}", True, told())
    assert browser.get("/households").status_code == 303
    assert browser.sign_in("user1").status_code == 401


# ---------------------------------------------------------------------------------------------------------------------
# Too many tries


def test_a_stranger_is_slowed_down_and_the_owner_in_a_known_browser_is_not(site: Site) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        owner = site.signed_in(1)
        owner.post("/sign-out")
        stranger = site.browser("198.51.100.7")
        answers = [stranger.sign_in("user1", f"wrong password {n}").status_code for n in range(12)]
        assert answers == [401] * 11 + [429], "ten, and one slowly"
        answer = site.browser("203.0.113.9").sign_in("user1")
        assert answer.status_code == 429, "wherever they come from, and even with the right password"
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert "秒后再试" in answer.text
        assert owner.sign_in("user1").status_code == 303, "a stranger keeps nobody out of their own account"
        clock.shift(timedelta(seconds=31))
        assert stranger.sign_in("user1", "wrong").status_code == 401, "slow, never locked"
        assert stranger.sign_in("user1", "wrong").status_code == 429
        clock.shift(timedelta(seconds=31))
        assert site.browser("203.0.113.9").sign_in("user1").status_code == 303
        assert stranger.sign_in("user1", "wrong").status_code == 401, "whoever gets in clears the count of that login"


def test_a_stranger_who_tries_many_logins_is_slowed_down_at_their_address(site: Site) -> None:
    with time_machine.travel(NOW, tick=False):
        stranger = site.browser("198.51.100.7")
        answers = [stranger.sign_in(f"guess{n}", "wrong password").status_code for n in range(32)]
        assert answers == [401] * 31 + [429]
        site.account(1)
        assert site.browser("198.51.100.8").sign_in("user1").status_code == 303, "another address"


def test_a_known_browser_is_counted_too(site: Site) -> None:
    with time_machine.travel(NOW, tick=False):
        owner = site.signed_in(1)
        answers = [owner.sign_in("user1", "wrong").status_code for _ in range(12)]
        assert answers == [401] * 11 + [429]
        site.account(2)
        assert owner.sign_in("user2").status_code == 303, "known for one account, a stranger for another"


def test_whether_there_is_an_account_cannot_be_told_by_the_slowing(site: Site) -> None:
    site.account(1)
    with time_machine.travel(NOW, tick=False):
        for login in ("user1", "user9"):
            browser = site.browser(f"198.51.100.{login[-1]}")
            assert [browser.sign_in(login, "wrong").status_code for _ in range(12)] == [401] * 11 + [429]


def test_strangers_cannot_fill_the_audit_log(site: Site) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        for n in range(200):
            browser = site.browser(f"198.51.100.{n}")
            assert browser.sign_in(f"guess{n}", "wrong").status_code == 401
        assert len(site.lines(AuditWord.SIGN_IN_FAILED)) == 120
        clock.shift(timedelta(hours=1, seconds=1))
        site.browser().sign_in("guess", "wrong")
        assert site.last().facts()["unwritten"] == 80, "what was not written is counted"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("?", "not an address", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_time_alone_forgives() -> None:
    throttle = SignInThrottle()
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(11):
            assert throttle.wait_s("x", "192.0.2.1", None) == 0
        assert throttle.wait_s("x", "192.0.2.1", None) > 0
        clock.shift(timedelta(minutes=15, seconds=1))
        assert [throttle.wait_s("x", "192.0.2.1", None) for _ in range(10)] == [0] * 10


# ---------------------------------------------------------------------------------------------------------------------
# Personal links


def test_looking_at_a_link_does_nothing_and_using_it_works_once(site: Site) -> None:
    account = site.account(1, OFFICE)
    path = site.link(account, LinkPurpose.SIGN_IN)
    previewer, browser, thief = site.browser(), site.browser(), site.browser()
    for _ in range(3):
        answer = previewer.get(path)
        assert answer.status_code == 200
        assert account.name not in answer.text
    assert previewer.session() is None
    assert browser.post(path).status_code == 303
    assert browser.get("/households").status_code == 200
    assert site.lines(AuditWord.SIGNED_IN)[-1].facts() == {"by": "link"}
    assert thief.post(path).status_code == 404
    assert "已经用过" in thief.get(path).text
    assert thief.session() is None


def test_a_link_ends(site: Site) -> None:
    account = site.account(1)
    path = site.link(account, LinkPurpose.SIGN_IN)
    site.later(hours=24)
    assert site.browser().get(path).status_code == 404
    assert site.browser().post(path).status_code == 404


def test_a_link_is_bound_to_its_purpose_and_void_for_a_locked_account(site: Site) -> None:
    account = site.account(1)
    path = site.link(account, LinkPurpose.SIGN_IN)
    other = path.replace("sign_in", "set_password")
    assert (
        site.browser().post(other, password="another good password", again="another good password").status_code == 404
    )
    site.store.people.set_locked(account.id, True, told())
    site.store.people.set_locked(account.id, False, told())
    assert site.browser().post(path).status_code == 404, "locking voids it for good"
    path = site.link(account, LinkPurpose.SIGN_IN)
    site.store.people.set_locked(account.id, True, told())
    assert site.browser().post(path).status_code == 404


def test_a_password_is_set_by_a_link_that_a_mistake_does_not_use_up(site: Site) -> None:
    account = add(site.store, an_account(1))
    path = site.link(account, LinkPurpose.SET_PASSWORD)
    elsewhere = site.link(account, LinkPurpose.SIGN_IN)
    browser = site.browser()
    assert browser.post(path, password="short", again="short").status_code == 400
    assert "不一样" in browser.post(path, password=GOOD, again="another").text
    assert "密码至少 12" in browser.post(path, password="x", again="x").text
    assert browser.post(path, password=GOOD, again=GOOD).status_code == 303
    assert browser.get("/me").status_code == 200
    assert site.browser().sign_in("user1").status_code == 303
    assert browser.post(path, password=GOOD, again=GOOD).status_code == 404
    assert site.browser().post(elsewhere).status_code == 404, "a new password voids all links"
    assert [line.what for line in site.lines(AuditWord.PASSWORD_SET)] == ["password_set"]


@pytest.mark.parametrize("path", ["/link/sign_in/rubbish", "/link/other/rubbish", "/link/sign_in/" + "x" * 5000])
def test_rubbish_is_no_link(site: Site, path: str) -> None:
    assert site.browser().get(path).status_code in (400, 404)
    assert site.browser().post(path).status_code in (400, 404)


# ---------------------------------------------------------------------------------------------------------------------
# One's own account


def test_ones_own_password_is_changed_by_who_knows_it_and_all_others_are_signed_out(site: Site) -> None:
    browser = site.signed_in(1)
    other = site.browser()
    other.sign_in("user1")
    before = browser.session()
    new = "quite another set of words"
    assert "现在的密码不对" in browser.post("/me/password", old="wrong", password=new, again=new).text
    assert browser.post("/me/password", old=GOOD, password=new, again="other").status_code == 400
    assert browser.post("/me/password", old=GOOD, password="123456789012", again="123456789012").status_code == 400
    assert browser.post("/me/password", old=GOOD, password=new, again=new).headers["location"] == "/me"
    assert browser.session() != before
    assert browser.get("/me").status_code == 200
    assert other.get("/me").status_code == 303
    assert other.sign_in("user1").status_code == 401
    assert other.sign_in("user1", new).status_code == 303


def test_the_present_password_cannot_be_tried_without_end(site: Site) -> None:
    with time_machine.travel(NOW, tick=False):
        browser = site.signed_in(1)
        told_ = [browser.post("/me/password", old=f"wrong {n}", password=GOOD, again=GOOD).text for n in range(12)]
        assert ["现在的密码不对" in text for text in told_] == [True] * 11 + [False]


def test_ones_sessions_are_listed_and_ended_but_nobody_elses(site: Site) -> None:
    browser, second, third = site.signed_in(1), site.browser("192.0.2.77"), site.browser()
    second.sign_in("user1")
    third.sign_in("user1")
    stranger = site.signed_in(2)
    text = text_of(browser.get("/me"))
    assert (text.count("退出它"), "192.0.2.77" in text) == (2, True)
    (theirs,) = site.store.people.sessions(f"{2:016x}")
    browser.post("/me/end", session=theirs.id)
    assert stranger.get("/me").status_code == 200
    token = second.session()
    assert token is not None
    browser.post("/me/end", session=session_id(token))
    assert (second.get("/me").status_code, third.get("/me").status_code) == (303, 200)
    browser.post("/me/end")
    assert (browser.get("/me").status_code, third.get("/me").status_code) == (200, 303)


def test_the_language_is_chinese_unless_somebody_wants_another(site: Site) -> None:
    browser = site.browser()
    assert '<html lang="zh-CN">' in browser.get("/sign-in").text
    assert '<html lang="en">' in browser.get("/sign-in", **{"accept-language": "en-GB,en"}).text
    browser.post("/language", language="en", to="/sign-in")
    assert "Sign in" in browser.get("/sign-in").text
    account: Account = site.account(1)
    browser.sign_in("user1")
    assert '<html lang="zh-CN">' in browser.get("/me").text, "the account's own"
    assert browser.post("/language", language="en", to="/me").headers["location"] == "/me"
    assert '<html lang="en">' in browser.get("/me").text
    found = site.store.people.account(account.id)
    assert found is not None
    assert found.language == "en"
    assert browser.post("/language", language="xx", to="//evil.example").headers["location"] == "/"


def test_pages_tell_when_the_database_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreError("disk full", retryable=True)

    site.account(1)
    monkeypatch.setattr("relay.adapters.store_people.SqlPeople.open_session", away)
    answer = site.browser().sign_in("user1")
    assert (answer.status_code, "数据库暂时不能用" in answer.text, "disk full" in answer.text) == (503, True, False)
