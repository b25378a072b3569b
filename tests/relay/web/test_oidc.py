"""Signing in by an OpenID provider: a small one of the test's own, on 127.0.0.1."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from relay.web.app import make_app
from relay.web.oidc import Provider, oidc_routes
from relay.web_settings import OidcSettings
from tests.relay.people import OFFICE, an_account, told
from tests.relay.web.site import URL, Browser, Site

CLIENT, SECRET, SUBJECT = "love-doorbell", "the client's secret", "24400320"


class TinyProvider:
    """Signs in whoever comes. What it does wrong, a test tells it."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})]
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self._sign
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                self._answer(provider.published(self.path))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                provider.asked.append(self.path)
                self._answer(provider.token(form, self.headers.get("authorization", "")))

            def _answer(self, told: dict[str, Any] | None) -> None:
                body = json.dumps(told).encode()
                self.send_response(200 if told is not None else 400)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def published(self, path: str) -> dict[str, Any] | None:
        if path == "/keys":
            return {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path != "/.well-known/openid-configuration":
            return None
        told = {name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
        return {"issuer": self.issuer, **told, "jwks_uri": f"{self.issuer}/keys", **self.metadata}

    def visit(self, address: str) -> str:
        """What a browser is sent back to, after somebody has signed in there."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert (asked["client_id"], asked["response_type"], asked["scope"]) == (CLIENT, "code", "openid")
        assert (asked["redirect_uri"], asked["code_challenge_method"]) == (f"{URL}/oidc/callback", "S256")
        code = f"code{len(self.codes)}"
        self.codes[code] = asked
        return f"/oidc/callback?state={asked['state']}&code={code}"

    def token(self, form: dict[str, list[str]], authorization: str) -> dict[str, Any] | None:
        asked = self.codes.pop(form["code"][0], None)
        verifier = form["code_verifier"][0]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        client = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if asked is None or challenge != asked["code_challenge"] or client != f"{CLIENT}:{SECRET}":
            return None
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": SUBJECT, "nonce": asked["nonce"]}
        return {"id_token": self.sign({**claims, **self.claims}), "access_token": "x", "token_type": "Bearer"}

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "ES256", "kid": self.keys[0].kid}, claims, self.keys[0])


@pytest.fixture
def tiny() -> Iterator[TinyProvider]:
    provider = TinyProvider()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()


@pytest.fixture
def browser(site: Site, tiny: TinyProvider, tmp_path: Path) -> Browser:
    """Of a site that knows the provider, with an account that is known there."""
    secret = tmp_path / "oidc.secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    settings = OidcSettings(issuer=tiny.issuer, client_id=CLIENT, client_secret_file=secret)
    site.pages.provider = "社区"
    site.app = make_app(site.pages, oidc_routes(site.pages, Provider(settings, URL)))
    now = round(site.now.timestamp())
    tiny.claims.update(iat=now, exp=now + 300)
    account = replace(an_account(1, OFFICE), subject=f"{tiny.issuer} {SUBJECT}")
    assert site.store.people.add(account, None, told())
    return site.browser()


def come_by(browser: Browser, tiny: TinyProvider, to: str = "/") -> Response:
    start = browser.get(f"/oidc/start?to={to}")
    assert start.status_code == 303
    return browser.get(tiny.visit(start.headers["location"]))


def test_whoever_is_known_there_is_signed_in_here(site: Site, browser: Browser, tiny: TinyProvider) -> None:
    assert "用 社区 登录" in browser.get("/sign-in").text
    answer = come_by(browser, tiny, "/households")
    assert (answer.status_code, answer.headers["location"]) == (303, "/households")
    assert browser.get("/households").status_code == 200
    line = site.last()
    assert (line.what, site.lines()[-2].facts()) == ("households_listed", {"by": "openid"})


def test_an_answer_is_good_for_the_browser_that_asked_and_once(
    browser: Browser, site: Site, tiny: TinyProvider
) -> None:
    """Nobody is signed in to somebody else's account by a link to a finished sign-in."""
    back = tiny.visit(browser.get("/oidc/start").headers["location"])
    victim = site.browser()
    assert victim.get(back).status_code == 401
    victim.get("/oidc/start")
    assert victim.get(back).status_code == 401
    assert victim.session() is None
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 401, "used"
    for path in ("/oidc/callback", "/oidc/callback?state=&code=", "/oidc/callback?state=x&code=y&error=denied"):
        assert site.browser().get(path).status_code == 401


def test_an_answer_that_comes_too_late_is_none(
    browser: Browser, tiny: TinyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = tiny.visit(browser.get("/oidc/start").headers["location"])
    monkeypatch.setattr("relay.web.oidc.FLOW_LASTS", timedelta(seconds=-1))
    assert browser.get(back).status_code == 401


@pytest.mark.parametrize("state", ["stranger", "locked", "erased"])
def test_who_has_no_account_here_is_not_let_in(site: Site, browser: Browser, tiny: TinyProvider, state: str) -> None:
    if state == "stranger":
        tiny.claims["sub"] = "somebody-else"
    elif state == "locked":
        site.store.people.set_locked(f"{1:016x}", True, told())
    else:
        site.store.people.erase(f"{1:016x}", told())
    answer = come_by(browser, tiny)
    assert (answer.status_code, "没有登录成功" in answer.text) == (401, True)
    assert browser.session() is None
    assert site.last().what == "sign_in_failed"


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "for another client": {"aud": "another"},
    "of another sign-in": {"nonce": "another"},
    "ended": {"exp": 1},
    "without an end": {"exp": None},
    "without a subject": {"sub": None},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_a_token_that_says_something_else_is_refused(
    site: Site, browser: Browser, tiny: TinyProvider, wrong: dict[str, Any]
) -> None:
    claims = {**tiny.claims, **wrong}
    tiny.claims.clear()
    tiny.claims.update(claims)
    tiny.sign = lambda told_: tiny._sign({name: value for name, value in told_.items() if value is not None})
    assert come_by(browser, tiny).status_code == 401
    assert browser.session() is None


def test_a_token_that_the_provider_has_not_signed_is_refused(browser: Browser, tiny: TinyProvider) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "one"})
    part = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for sign in (
        lambda claims: jwt.encode({"alg": "ES256", "kid": "one"}, claims, stranger),
        lambda claims: jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET * 2)),
        lambda claims: f"{part}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.",
        lambda _: "rubbish",
        lambda _: "",
    ):
        tiny.sign = sign
        assert come_by(browser, tiny).status_code == 401
        assert browser.session() is None


def test_new_keys_of_the_provider_are_fetched(browser: Browser, tiny: TinyProvider) -> None:
    assert come_by(browser, tiny).status_code == 303
    tiny.keys = [ECKey.generate_key("P-256", {"kid": "two", "use": "sig", "alg": "ES256"})]
    assert come_by(browser, tiny).status_code == 303
    assert tiny.asked.count("/keys") == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://evil.example/x"},
        {"authorization_endpoint": "javascript:x"},
        {"authorization_endpoint": None},
    ],
)
def test_a_provider_that_tells_nonsense_is_not_followed(
    browser: Browser, tiny: TinyProvider, metadata: dict[str, Any]
) -> None:
    tiny.metadata = metadata
    assert browser.get("/oidc/start").status_code == 401


def test_a_provider_that_is_away_costs_a_page(browser: Browser, tiny: TinyProvider) -> None:
    tiny.server.shutdown()
    tiny.server.server_close()
    assert browser.get("/oidc/start").status_code == 401
    assert browser.get("/sign-in").status_code == 200
