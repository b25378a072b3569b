"""The pages on a real database, and browsers that look at them, without a network."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from relay.adapters.store import SqlStore
from relay.audit import AuditLine, AuditWord
from relay.links import Signer, make_link
from relay.people import Account, Grant, LinkPurpose, SessionTimes
from relay.web.app import make_app
from relay.web.pages import Pages
from tests.relay.people import CHEAP, GOOD, add, an_account

URL = "https://bell.example.org"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass
class Site:
    """The pages, at a time of its own."""

    store: SqlStore
    now: datetime = NOW
    url: str = URL
    pages: Pages = field(init=False)
    app: Any = field(init=False)

    def __post_init__(self) -> None:
        times = SessionTimes(idle_s=3600, absolute_s=12 * 3600)
        self.pages = Pages(self.store, CHEAP, Signer(b"x" * 64), self.url, times, now=lambda: self.now)
        self.app = make_app(self.pages)

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def account(self, number: int, *grants: Grant, person: str | None = None) -> Account:
        return add(self.store, an_account(number, *grants, person=person), GOOD)

    def link(self, account: Account, purpose: LinkPurpose) -> str:
        link, token = make_link(self.pages.signer, account.id, purpose, self.now)
        self.store.people.add_link(link, self.pages.told("os:root", AuditWord.LINK_MADE))
        return f"/link/{purpose.value}/{token}"

    def lines(self, *words: AuditWord) -> list[AuditLine]:
        return [line for line in self.store.audit.lines() if not words or line.what in words]

    def last(self) -> AuditLine:
        return self.store.audit.newest(limit=1)[0]

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self, address)

    def signed_in(self, number: int, *grants: Grant, person: str | None = None) -> Browser:
        browser = self.browser()
        account = self.account(number, *grants, person=person)
        assert browser.sign_in(account.login).status_code == 303
        return browser


class Browser:
    """One browser: keeps cookies, sends the headers that browsers send, follows nothing by itself."""

    def __init__(self, site: Site, address: str) -> None:
        self._client = TestClient(site.app, base_url=site.url, follow_redirects=False, client=(address, 40000))
        self.origin = site.url
        self.cookies = self._client.cookies

    def get(self, path: str, **headers: str) -> Response:
        return self._client.get(path, headers=headers)

    def post(self, path: str, **form: str) -> Response:
        return self._client.post(path, data=form, headers={"origin": self.origin})

    def post_from(self, headers: dict[str, str], path: str, **form: str) -> Response:
        """With other headers than a browser sends for a form of ours."""
        return self._client.post(path, data=form, headers=headers)

    def request(self, method: str, path: str, **more: Any) -> Response:
        return self._client.request(method, path, **more)

    def sign_in(self, login: str, password: str = GOOD, to: str = "/") -> Response:
        return self.post("/sign-in", login=login, password=password, to=to)

    def plant(self, token: str) -> None:
        """Give it a cookie as if the site had."""
        self.cookies.set("__Host-doorbell-session", token, domain="bell.example.org", path="/")

    def session(self) -> str | None:
        return self.cookies.get("__Host-doorbell-session")


def text_of(answer: Response) -> str:
    """What a person reads of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))
