"""Signing in and out, personal links, one's own account."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from relay.audit import AuditEntry, AuditWord
from relay.links import read_link
from relay.passwords import BusyError, check_password
from relay.people import Account, LinkPurpose, tidy_login
from relay.texts import Language, parse_language
from relay.texts import web as say
from relay.texts.refusal import RefusalError
from relay.web.pages import NotFoundError, NotSignedInError, Pages, Visit, address_of, local_path, redirect

_log = structlog.get_logger("relay.web")

Field = Annotated[str, Form(max_length=400)]
LANGUAGE_LASTS_S = 365 * 24 * 3600


def sign_in_routes(pages: Pages) -> APIRouter:
    """``/sign-in``, ``/sign-out``, ``/language``, ``/link/…``."""
    router = APIRouter()

    @router.get("/sign-in")
    def show_sign_in(request: Request, to: str = "/") -> Response:
        return pages.draw("sign_in", request, to=local_path(to), error=None)

    @router.post("/sign-in")
    def sign_in(request: Request, login: Field = "", password: Field = "", to: Field = "/") -> Response:
        return try_password(pages, request, login, password, local_path(to))

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        try:
            visit = pages.visit(request)
        except NotSignedInError:
            return redirect("/sign-in")
        told = pages.told(visit.who, AuditWord.SIGNED_OUT, account=visit.account.id)
        pages.store.people.end_sessions(visit.account.id, told, only=visit.session.id)
        answer = redirect("/sign-in")
        pages.set_cookie(answer, "session", "", 0)
        return answer

    @router.post("/language")
    def language(request: Request, language: Field = "", to: Field = "/") -> Response:
        chosen = parse_language(language) or Language.ZH
        answer = redirect(local_path(to))
        pages.set_cookie(answer, "language", chosen.value, LANGUAGE_LASTS_S)
        with suppress(NotSignedInError):
            pages.store.people.set_language(pages.visit(request).account.id, chosen.value)
        return answer

    @router.get("/link/{purpose}/{token}")
    def show_link(request: Request, purpose: LinkPurpose, token: str) -> Response:
        """Changes nothing: chats and mail programs open links before people do."""
        usable = find_link(pages, purpose, token) is not None
        status = HTTPStatus.OK if usable else HTTPStatus.NOT_FOUND
        return pages.draw("link", request, status=status, purpose=purpose.value, usable=usable, error=None)

    @router.post("/link/{purpose}/{token}")
    def use_link(
        request: Request, purpose: LinkPurpose, token: str, password: Field = "", again: Field = ""
    ) -> Response:
        found = find_link(pages, purpose, token)
        if found is None:
            return pages.draw(
                "link", request, status=HTTPStatus.NOT_FOUND, purpose=purpose.value, usable=False, error=None
            )
        link, account = found
        kept = None
        if purpose is LinkPurpose.SET_PASSWORD:
            try:
                kept = pages.passwords.hash(checked(password, again, account))
            except (RefusalError, BusyError) as error:
                why = explain(error, pages.language(request))
                return pages.draw(
                    "link", request, status=HTTPStatus.BAD_REQUEST, purpose=purpose.value, usable=True, error=why
                )
        if not pages.store.people.use_link(link, pages.now()):
            raise NotFoundError
        if kept is not None:
            told = pages.told(
                f"account:{account.id}", AuditWord.PASSWORD_SET, account=account.id, detail={"by": "link"}
            )
            pages.store.people.set_password(account.id, kept, told)
        return pages.sign_in(account, request, "link")

    return router


def my_account_routes(pages: Pages) -> APIRouter:
    """``/me``."""
    router = APIRouter()

    def show(request: Request, visit: Visit, error: str | None = None, done: bool = False) -> Response:
        sessions = pages.store.people.sessions(visit.account.id)
        status = HTTPStatus.OK if error is None else HTTPStatus.BAD_REQUEST
        return pages.draw("me", request, visit, status=status, sessions=sessions, error=error, done=done)

    @router.get("/me")
    def me(request: Request) -> Response:
        return show(request, pages.visit(request))

    @router.post("/me/password")
    def change_password(request: Request, old: Field = "", password: Field = "", again: Field = "") -> Response:
        visit = pages.visit(request)
        account = visit.account
        known = visit.session.id[:16]
        if pages.throttle.wait_s(account.login, address_of(request), known):
            return show(request, visit, say.TOO_OFTEN_SHORT.say(visit.language))
        found = pages.store.people.by_login(account.login)
        try:
            right, _ = pages.passwords.check(old, found[1] if found is not None else None)
            if not right:
                return show(request, visit, say.WRONG_OLD.say(visit.language))
            kept = pages.passwords.hash(checked(password, again, account))
        except (RefusalError, BusyError) as error:
            return show(request, visit, explain(error, visit.language))
        pages.throttle.forgive(account.login, address_of(request), known)
        told = pages.told(visit.who, AuditWord.PASSWORD_SET, account=account.id, detail={"by": "page"})
        pages.store.people.set_password(account.id, kept, told)
        return pages.sign_in(account, request, "new password", "/me")

    @router.post("/me/end")
    def end(request: Request, session: Field = "") -> Response:
        visit = pages.visit(request)
        told = pages.told(visit.who, AuditWord.SESSIONS_ENDED, account=visit.account.id)
        if session:
            pages.store.people.end_sessions(visit.account.id, told, only=session)
        else:
            pages.store.people.end_sessions(visit.account.id, told, keep=visit.session.id)
        return redirect("/me")

    return router


def try_password(pages: Pages, request: Request, login: str, password: str, to: str) -> Response:
    """Sign in by login and password. A wrong one, no account and a locked one look the same and take as long."""
    tidied = tidy_login(login) or ""
    address = address_of(request)
    found = pages.store.people.by_login(tidied)
    account, kept = found if found is not None else (None, None)
    known = pages.known_browser(request, account)
    wait_s = pages.throttle.wait_s(tidied, address, known)

    def again(text: str, status: HTTPStatus) -> Response:
        return pages.draw("sign_in", request, status=status, to=to, error=text)

    language = pages.language(request)
    if wait_s:
        answer = again(say.TOO_OFTEN.say(language, wait_s=wait_s), HTTPStatus.TOO_MANY_REQUESTS)
        answer.headers["retry-after"] = str(wait_s)
        return answer
    try:
        right, anew = pages.passwords.check(password, kept)
    except BusyError:
        return again(say.BUSY.say(language), HTTPStatus.SERVICE_UNAVAILABLE)
    if not right or account is None or account.locked:
        tell_failure(pages, account, address)
        return again(say.WRONG.say(language), HTTPStatus.UNAUTHORIZED)
    pages.throttle.forgive(tidied, address, known)
    if anew is not None:
        pages.store.people.set_password(account.id, anew, None)
    return pages.sign_in(account, request, "password", to)


def tell_failure(pages: Pages, account: Account | None, address: str) -> None:
    """Never what was typed: people type their password into the wrong field."""
    _log.info("web.sign_in_failed", account=account.id if account is not None else None)
    before = pages.throttle.may_write()
    if before is None:
        return
    detail = {"address": address, **({"unwritten": before} if before else {})}
    entry = AuditEntry(
        "nobody", AuditWord.SIGN_IN_FAILED, account=account.id if account is not None else None, detail=detail
    )
    pages.store.audit.append(entry, pages.now())


def find_link(pages: Pages, purpose: LinkPurpose, token: str) -> tuple[str, Account] | None:
    """The id of a link that can be used now, and whose it is."""
    link_id = read_link(pages.signer, purpose, token)
    link = pages.store.people.link(link_id) if link_id is not None else None
    if link is None or link.purpose is not purpose or link.used_at is not None or link.until <= pages.now():
        return None
    account = pages.store.people.account(link.account)
    return None if account is None or account.locked else (link.id, account)


def checked(password: str, again: str, account: Account) -> str:
    """A new password that was typed twice. Raises ``RefusalError``."""
    if password != again:
        raise RefusalError(say.NOT_THE_SAME)
    return check_password(password, account.login, account.name)


def explain(error: RefusalError | BusyError, language: Language) -> str:
    """What is wrong, for the person."""
    return error.text.say(language, **error.fields) if isinstance(error, RefusalError) else say.BUSY.say(language)
