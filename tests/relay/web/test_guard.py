"""What every request must be like, and what every answer carries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.web.guard import MAX_BODY, Guard, Message, Receive, Scope, Send
from tests.relay.people import GOOD, OFFICE
from tests.relay.web.site import URL, Site


@pytest.mark.parametrize("path", ["/", "/sign-in", "/style.css", "/nothing", "/households", "/link/sign_in/x", "/me"])
def test_every_answer_carries_the_same_refusals(site: Site, path: str) -> None:
    answer = site.browser().get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy, "no script from anywhere"
    for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert ("no-store" in answer.headers["cache-control"]) is (path != "/style.css")
    assert "server" not in answer.headers


def test_no_page_has_anything_from_elsewhere_nor_a_script(site: Site) -> None:
    browser = site.signed_in(1, OFFICE)
    for path in ("/", "/me", "/households", "/households/liu", "/devices", "/accounts", "/sign-in"):
        told = browser.get(path).text
        assert "<script" not in told
        assert "style=" not in told
        assert "http://" not in told.replace(URL, "")
        assert "https://" not in told.replace(URL, "")


HOSTS: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"host": "BELL.example.org"}, 200),
    ({"host": "evil.example"}, 421),
    ({"host": "bell.example.org:444"}, 421),
    ({"host": ""}, 421),
]


@pytest.mark.parametrize(("headers", "status"), HOSTS)
def test_a_page_is_asked_by_its_own_name(site: Site, headers: dict[str, str], status: int) -> None:
    assert site.browser().get("/sign-in", **headers).status_code == status


ORIGINS: list[tuple[dict[str, str], int]] = [
    ({"origin": URL}, 303),
    ({"sec-fetch-site": "same-origin"}, 303),
    ({}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "http://bell.example.org"}, 403),
    ({"origin": f"{URL}:8443"}, 403),
    ({"origin": f"{URL}.evil.example"}, 403),
    ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "none"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ORIGINS)
def test_no_form_of_another_site_is_taken(site: Site, headers: dict[str, str], status: int) -> None:
    site.account(1)
    answer = site.browser().post_from(headers, "/sign-in", login="user1", password=GOOD)
    assert answer.status_code == status
    assert (len(site.store.people.sessions(f"{1:016x}")) == 1) is (status == 303)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_nothing_but_looking_and_posting(site: Site, method: str) -> None:
    assert site.browser().request(method, "/sign-in").status_code == 405


def test_get_never_changes_anything(site: Site) -> None:
    browser = site.signed_in(1, OFFICE)
    other = site.account(2, OFFICE)
    before = (site.store.people.accounts(), site.store.people.sessions(other.id))
    for path in (
        "/sign-out", "/language", "/me/end", "/me/password", f"/accounts/{other.id}/lock", f"/accounts/{other.id}/role",
        f"/accounts/{other.id}/link", f"/accounts/{other.id}/end",
    ):  # fmt: skip
        assert browser.get(path).status_code == 405
    assert browser.get("/me").status_code == 200
    assert (site.store.people.accounts(), site.store.people.sessions(other.id)) == before


@pytest.mark.parametrize("body", [b"x" * (MAX_BODY + 1), b"login=" + b"x" * 500, b"\xff\xfe=\x00", b"login"])
def test_a_form_that_is_too_large_or_none_is_refused(site: Site, body: bytes) -> None:
    headers = {"origin": URL, "content-type": "application/x-www-form-urlencoded"}
    answer = site.browser().request("POST", "/sign-in", content=body, headers=headers)
    assert answer.status_code in (400, 401, 413)
    assert site.browser().request("POST", "/sign-in", content=body, headers={"origin": URL}).status_code in (
        400,
        401,
        413,
    )


async def run(guard: Guard, parts: list[Message], **scope: Any) -> list[Message]:
    """One request by hand."""
    sent: list[Message] = []
    waiting = list(parts)

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"bell.example.org"), (b"origin", URL.encode())]
    await guard({"type": "http", "method": "POST", "headers": headers, **scope}, receive, send)
    return sent


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def test_a_form_in_pieces_arrives_whole_and_one_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(echo, URL)
    pieces: list[Message] = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
    ]
    assert asyncio.run(run(guard, pieces))[1]["body"] == b"ab"
    assert asyncio.run(run(guard, [{"type": "http.disconnect"}]))[0]["status"] == 413
    monkeypatch.setattr("relay.web.guard.BODY_S", 0.01)
    assert asyncio.run(run(guard, pieces[:1]))[0]["status"] == 413


def test_websockets_are_not_answered() -> None:
    assert asyncio.run(run(Guard(echo, URL), [], type="websocket")) == []


def test_two_hosts_or_two_origins_are_no_host_and_no_origin() -> None:
    twice = [(b"host", b"bell.example.org"), (b"host", b"bell.example.org")]
    assert asyncio.run(run(Guard(echo, URL), [], headers=twice))[0]["status"] == 421
    origins = [(b"host", b"bell.example.org"), (b"origin", URL.encode()), (b"origin", b"https://evil.example")]
    assert asyncio.run(run(Guard(echo, URL), [], headers=origins))[0]["status"] == 403
