"""Signing in by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636).

An account signs in so if its ``subject`` is the issuer and the subject that the provider tells; nobody becomes an
account by what they call themselves there. The only import of authlib and joserfc.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import structlog
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from fastapi import APIRouter, Request
from fastapi.responses import Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from doorbell.errors import DoorbellError
from doorbell.settings import read_password_file
from relay.database import is_here
from relay.texts import web as say
from relay.web.pages import Pages, address_of, local_path, redirect
from relay.web.sign_in import tell_failure
from relay.web_settings import OidcSettings

FLOW_LASTS = timedelta(minutes=10)
"""For somebody to find their password at the provider."""
ANSWER_S = 10.0
LEEWAY_S = 60
"""How far the provider's clock may be off."""
ALGORITHMS = ("ES256", "RS256", "PS256")
"""Signatures with the provider's published keys; never one by the client's secret, and never none."""
MAX_ANSWER = 64 * 1024

_log = structlog.get_logger("relay.web")


class ProviderError(DoorbellError):
    """The provider said no, said nothing, or said what cannot be true."""


class Provider:
    """An OpenID provider. What it publishes is asked for when the first person comes by it."""

    def __init__(self, settings: OidcSettings, base_url: str) -> None:
        self._settings = settings
        self._back = f"{base_url}/oidc/callback"
        self._lock = threading.Lock()
        self._known: dict[str, Any] | None = None
        self._keys: KeySet | None = None

    def address(self, state: str, nonce: str, verifier: str) -> str:
        """Where the person is sent to."""
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._back,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def subject(self, code: str, nonce: str, verifier: str, now_s: int) -> str:
        """Who has signed in there: the issuer, a blank, the subject. Raises ``ProviderError``."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": verifier,
        }
        secret = read_password_file(self._settings.client_secret_file)
        told = self._ask("POST", self._endpoint("token_endpoint"), data=form, auth=(self._settings.client_id, secret))
        claims = self._read(str(told.get("id_token", "")), nonce, now_s)
        return f"{claims['iss']} {claims['sub']}"

    def _read(self, token: str, nonce: str, now_s: int) -> Mapping[str, Any]:
        try:
            try:
                found = jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)
            except (JoseError, ValueError):  # its keys may have changed
                found = jwt.decode(token, self._key_set(anew=True), algorithms=ALGORITHMS)
            wanted = {
                "iss": {"essential": True, "value": self._settings.issuer},
                "aud": {"essential": True, "value": self._settings.client_id},
                "nonce": {"essential": True, "value": nonce},
                "sub": {"essential": True},
            }
            asked = {"nonce": nonce, "client_id": self._settings.client_id}
            CodeIDToken(found.claims, found.header, wanted, asked).validate(now=now_s, leeway=LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"the id token cannot be used: {type(error).__name__}") from None
        return found.claims

    def _endpoint(self, name: str) -> str:
        with self._lock:
            if self._known is None:
                issuer = self._settings.issuer
                known = self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if known.get("issuer") != issuer:
                    raise ProviderError("the provider calls itself otherwise than [web.oidc] issuer")
                self._known = known
            url = str(self._known.get(name, ""))
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here(parts.hostname or "")):
            raise ProviderError(f"the provider's {name} is not https")
        return url

    def _key_set(self, *, anew: bool = False) -> KeySet:
        if self._keys is None or anew:
            self._keys = KeySet.import_key_set(self._ask("GET", self._endpoint("jwks_uri")))  # type: ignore[arg-type]
        return self._keys

    def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        verify: Any = True if self._settings.ca is None else str(self._settings.ca)
        try:
            with httpx2.Client(timeout=ANSWER_S, verify=verify, follow_redirects=False, trust_env=False) as client:
                answer = client.request(method, url, headers={"accept": "application/json"}, **more)
            told = answer.json() if answer.status_code == HTTPStatus.OK and len(answer.content) <= MAX_ANSWER else None
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise ProviderError(f"the provider cannot be asked: {type(error).__name__}") from None
        if not isinstance(told, dict):
            raise ProviderError(f"the provider answered {answer.status_code}")
        return told


def oidc_routes(pages: Pages, provider: Provider) -> APIRouter:
    """``/oidc/start`` and ``/oidc/callback``."""
    router = APIRouter()

    def refused(request: Request, reason: str) -> Response:
        _log.warning("web.provider_refused", reason=reason)
        text = say.PROVIDER_REFUSED.say(pages.language(request))
        return pages.draw("sign_in", request, status=HTTPStatus.UNAUTHORIZED, to="/", error=text)

    @router.get("/oidc/start")
    def start(request: Request, to: str = "/") -> Response:
        state, nonce, verifier = (secrets.token_urlsafe(size) for size in (16, 16, 36))
        try:
            answer = redirect(provider.address(state, nonce, verifier))
        except ProviderError as error:
            return refused(request, str(error))
        there = local_path(to)
        flow = pages.signer.sign("oidc", [state, nonce, verifier, there if len(there) <= 80 else "/"])
        pages.set_cookie(answer, "oidc", flow, round(FLOW_LASTS.total_seconds()))
        return answer

    @router.get("/oidc/callback")
    def callback(request: Request, state: str = "", code: str = "") -> Response:
        """The state ties the answer to the browser that asked: nobody is signed in to somebody else's account."""
        flow = pages.signer.read("oidc", pages.cookie(request, "oidc") or "", FLOW_LASTS)
        if not isinstance(flow, list) or len(flow) != 4 or not secrets.compare_digest(str(flow[0]), state) or not code:
            return refused(request, "an answer that was not asked for")
        try:
            subject = provider.subject(code, str(flow[1]), str(flow[2]), round(pages.now().timestamp()))
        except ProviderError as error:
            return refused(request, str(error))
        account = pages.store.people.by_subject(subject)
        if account is None or account.locked:
            tell_failure(pages, account, address_of(request))
            return refused(request, "no account of ours, or a locked one")
        answer = pages.sign_in(account, request, "openid", local_path(str(flow[3])))
        pages.set_cookie(answer, "oidc", "", 0)
        return answer

    return router
