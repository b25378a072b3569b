"""What every page has: the store, who looks, in which language, and how it is drawn."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from relay.audit import AuditEntry, AuditWord
from relay.core.register import Register
from relay.figures import CertificateEnds
from relay.links import Signer
from relay.passwords import Passwords
from relay.people import Account, Reach, Right, Role, Session, SessionTimes, Viewer, helped_households
from relay.people_store import PagesStore, Told
from relay.texts import Language, Text, parse_language
from relay.texts import people as people_texts
from relay.texts import web as say
from relay.texts.audit import audit_word
from relay.web.board import Board
from relay.web.throttle import SignInThrottle

TOUCH = timedelta(seconds=60)
"""A page that is looked at once a second must not write to the database once a second."""
KNOWN_LASTS = timedelta(days=180)
OPEN_ALARMS = 10_000
TOKEN_BYTES = 32
_LOCAL = re.compile(r"/[A-Za-z0-9._~/-]*")
_TEMPLATES = Path(__file__).parent / "templates"


class NotSignedInError(Exception):
    """The page is for somebody who has signed in."""


class NotFoundError(Exception):
    """There is no such page for this account: whether there is one for another is not told."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in."""

    viewer: Viewer
    session: Session
    language: Language

    @property
    def account(self) -> Account:
        """Who it is."""
        return self.viewer.account

    @property
    def who(self) -> str:
        """As the audit log has it."""
        return f"account:{self.account.id}"


@dataclass
class Pages:
    """All that the pages share; one for the process."""

    store: PagesStore
    passwords: Passwords
    signer: Signer
    base_url: str
    times: SessionTimes
    throttle: SignInThrottle = field(default_factory=SignInThrottle)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    provider: str | None = None
    """What the button of the OpenID provider says."""
    certificates: Callable[[], CertificateEnds] = CertificateEnds
    """How long the certificates of relay and broker last still."""

    def __post_init__(self) -> None:
        self.safe = self.base_url.startswith("https://")
        # ``__Host-`` binds a cookie to this host, this path and TLS; browsers take it only with TLS.
        self._prefix = "__Host-" if self.safe else ""
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self.board = Board(self.store)
        self._register: tuple[int, Register] | None = None
        self._lock = threading.Lock()

    # -----------------------------------------------------------------------------------------------------------------
    # Who looks

    def visit(self, request: Request) -> Visit:
        """Who asks for this page. Raises ``NotSignedInError``."""
        token = self.cookie(request, "session")
        found = self.store.people.session(session_id(token)) if token else None
        if found is None:
            raise NotSignedInError
        session, account = found
        now = self.now()
        if account.locked or not self.times.live(session, now):
            raise NotSignedInError
        if now - session.seen_at >= TOUCH:
            self.store.people.touch(session.id, now)
        return Visit(Viewer(account, self._helping(account)), session, Language(account.language))

    def _helping(self, account: Account) -> frozenset[str]:
        if not any(Viewer(account).communities(right, Reach.HELPING) for right in Right):
            return frozenset()
        return helped_households(account.person, self.store.alarms(open_only=True, limit=OPEN_ALARMS))

    def language(self, request: Request) -> Language:
        """For somebody who is not signed in: what they chose, what the browser asks for, Chinese."""
        chosen = parse_language(self.cookie(request, "language") or "")
        return chosen or parse_language(request.headers.get("accept-language", "")) or Language.ZH

    def register(self) -> Register:
        """The register as it is now; read again only when it has changed."""
        version, _ = self.store.poll()
        with self._lock:
            if self._register is None or self._register[0] != version:
                self._register = self.store.load_register()
            return self._register[1]

    # -----------------------------------------------------------------------------------------------------------------
    # Signing in and out

    def sign_in(self, account: Account, request: Request, how: str, to: str = "/") -> Response:
        """Open a session, with a new cookie whatever the browser had; goes on to ``to``."""
        now, token = self.now(), secrets.token_urlsafe(TOKEN_BYTES)
        session = Session(session_id(token), account.id, now, now, address_of(request))
        entry = AuditEntry(f"account:{account.id}", AuditWord.SIGNED_IN, account=account.id, detail={"by": how})
        self._end_former(request)
        self.store.people.open_session(session, (entry, now))
        answer = redirect(to)
        self.set_cookie(answer, "session", token, round(self.times.absolute_s))
        known = self.signer.sign("known", [account.id, secrets.token_urlsafe(9)])
        self.set_cookie(answer, "known", known, round(KNOWN_LASTS.total_seconds()))
        return answer

    def _end_former(self, request: Request) -> None:
        token = self.cookie(request, "session")
        found = self.store.people.session(session_id(token)) if token else None
        if found is not None:
            session, account = found
            told = self.told(f"account:{account.id}", AuditWord.SIGNED_OUT, account=account.id)
            self.store.people.end_sessions(account.id, told, only=session.id)

    def known_browser(self, request: Request, account: Account | None) -> str | None:
        """What names this browser, if it has signed in to this account before."""
        value = self.signer.read("known", self.cookie(request, "known") or "", KNOWN_LASTS)
        if account is None or not isinstance(value, list) or len(value) != 2 or value[0] != account.id:
            return None
        return str(value[1])

    def told(self, who: str, what: AuditWord, **about: Any) -> Told:
        """An audit line about a change."""
        return AuditEntry(who, what, **about), self.now()

    def look(self, visit: Visit, what: AuditWord, **about: Any) -> None:
        """Write down a look, before anything is shown."""
        self.store.audit.append(*self.told(visit.who, what, **about))

    def refuse(self, visit: Visit, **about: Any) -> NotFoundError:
        """Somebody who is signed in has asked for what is not theirs; a bounded number of lines tells so."""
        before = self.throttle.may_write()
        if before is not None:
            detail = {"unwritten": before} if before else {}
            self.store.audit.append(*self.told(visit.who, AuditWord.REFUSED, detail=detail, **about))
        return NotFoundError()

    # -----------------------------------------------------------------------------------------------------------------
    # Drawing

    def cookie(self, request: Request, name: str) -> str | None:
        """A cookie of ours."""
        return request.cookies.get(f"{self._prefix}doorbell-{name}")

    def set_cookie(self, answer: Response, name: str, value: str, lasts_s: int) -> None:
        """For this host alone, unseen by scripts, not sent along from other sites' forms."""
        answer.set_cookie(
            f"{self._prefix}doorbell-{name}",
            value,
            max_age=lasts_s,
            path="/",
            secure=self.safe,
            httponly=True,
            samesite="lax",
        )

    def draw(
        self,
        template: str,
        request: Request,
        visit: Visit | None = None,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        **facts: Any,
    ) -> HTMLResponse:
        """A page."""
        language = visit.language if visit is not None else self.language(request)

        def tell(text: Text | str, **fields: Any) -> str:
            found = getattr(say, text) if isinstance(text, str) else text
            return str(found.say(language, **fields))

        page = self._environment.get_template(f"{template}.html").render(
            say=tell,
            language=language.value,
            other=(Language.EN if language is Language.ZH else Language.ZH).value,
            here=request.url.path,
            visit=visit,
            viewer=visit.viewer if visit is not None else None,
            menu=_menu(visit) if visit is not None else (),
            people=people_texts,
            local=local,
            when=lambda ms: datetime.fromtimestamp(ms / 1000, UTC),
            word=lambda name: audit_word(name, language),
            provider=self.provider,
            **facts,
        )
        return HTMLResponse(page, status_code=status)


def _menu(visit: Visit) -> list[tuple[str, Text]]:
    viewer = visit.viewer
    entries = [
        (bool(viewer.communities(Right.LABEL) or viewer.communities(Right.LABEL, Reach.PAIRED) or viewer.helping),
         "/households", say.HOUSEHOLDS),
        (viewer.may(Right.DEVICES), "/devices", say.DEVICES),
        (viewer.may(Right.ACCOUNTS), "/accounts", say.ACCOUNTS),
        (viewer.may(Right.AUDIT), "/audit", say.AUDIT),
        (True, "/me", say.MY_ACCOUNT),
    ]  # fmt: skip
    return [(path, text) for shown, path, text in entries if shown]


def session_id(token: str) -> str:
    """What the database has of a session: nobody who reads it can make the cookie of it."""
    return sha256(token.encode()).hexdigest()


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return (request.client.host if request.client is not None else "?")[:45]


def redirect(to: str) -> RedirectResponse:
    """On to another page of ours, by GET."""
    return RedirectResponse(to, status_code=HTTPStatus.SEE_OTHER)


def local_path(text: str) -> str:
    """Where to go on after signing in: a page of ours, or the first one."""
    return text if _LOCAL.fullmatch(text) and not text.startswith("//") else "/"


def sign_in_path(to: str) -> str:
    """The page to sign in at, which leads back."""
    return "/sign-in" if to == "/" else f"/sign-in?to={quote(local_path(to), safe='')}"


def local(at: datetime) -> str:
    """A time on this machine's clocks."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def manages(viewer: Viewer, account: Account) -> bool:
    """Whether somebody may change an account: one that reaches no further than they do.

    Never their own, and never one that reads the audit log: who manages accounts must not become who is told on. Those
    are for the command line.
    """
    if account.erased or account.id == viewer.account.id or any(one.role is Role.AUDITOR for one in account.grants):
        return False
    mine = viewer.communities(Right.ACCOUNTS)
    return "*" in mine or (bool(account.grants) and {one.community for one in account.grants} <= mine)


GIVEABLE = tuple(role for role in Role if role is not Role.AUDITOR)
"""Roles that are given on a page."""
