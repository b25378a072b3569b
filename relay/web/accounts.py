"""Accounts, for the office: add, give roles, lock, make a link, sign out."""

from __future__ import annotations

import secrets
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from relay.audit import AuditWord
from relay.links import make_link
from relay.people import (
    EVERYWHERE,
    NEEDS_PERSON,
    Account,
    Grant,
    LinkPurpose,
    Right,
    Role,
    RoleChange,
    change_roles,
    name_is_usable,
    tidy_login,
)
from relay.texts import people as say_people
from relay.texts.refusal import RefusalError
from relay.web.pages import GIVEABLE, Pages, Visit, manages, redirect

ID_BYTES = 8

Field = Annotated[str, Form(max_length=200)]


class AccountDesk:
    """What somebody who manages accounts may do with which of them, and how that looks."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def visit(self, request: Request) -> Visit:
        """Somebody who may manage accounts. Raises ``NotFoundError`` for others."""
        visit = self.pages.visit(request)
        if not visit.viewer.may(Right.ACCOUNTS):
            raise self.pages.refuse(visit)
        return visit

    def chosen(self, visit: Visit, account: str) -> Account:
        """An account that is theirs to manage. Raises ``NotFoundError`` for others."""
        found = self.pages.store.people.account(account)
        if found is None or not manages(visit.viewer, found):
            raise self.pages.refuse(visit, account=found.id if found is not None else None)
        return found

    def communities(self, visit: Visit) -> list[str]:
        """In which they may give roles."""
        mine = visit.viewer.communities(Right.ACCOUNTS)
        return [EVERYWHERE, *self.pages.register().communities] if EVERYWHERE in mine else sorted(mine)

    def grant(self, visit: Visit, role: str, community: str) -> Grant:
        """A role that is theirs to give. Raises ``NotFoundError`` for others: no form of ours offers them."""
        if role not in set(GIVEABLE) or community not in self.communities(visit):
            raise self.pages.refuse(visit)
        return Grant(Role(role), community)

    def new_account(self, visit: Visit, login: str, name: str, person: str, grant: Grant) -> Account:
        """An account as it was typed. Raises ``RefusalError``."""
        tidied = tidy_login(login)
        if tidied is None:
            raise RefusalError(say_people.BAD_LOGIN, login=repr(login[:40]))
        if not name_is_usable(name):
            raise RefusalError(say_people.BAD_NAME)
        known = self.pages.register().people.get(person)
        mine = visit.viewer.communities(Right.ACCOUNTS)
        if person and (known is None or not mine & {known.community, EVERYWHERE}):
            raise RefusalError(say_people.NO_PERSON, person=repr(person[:63]))
        if grant.role in NEEDS_PERSON and not person:
            raise RefusalError(say_people.NEEDS_PERSON)
        return Account(
            id=secrets.token_hex(ID_BYTES),
            login=tidied,
            name=name.strip(),
            created_at=self.pages.now(),
            person=person or None,
            language=visit.language.value,
            grants=(grant,),
        )

    def change(self, visit: Visit, account: Account, change: RoleChange) -> None:
        """Give and take roles, if anything changes."""
        if change.given or change.taken:
            detail = {"given": [str(one) for one in change.given], "taken": [str(one) for one in change.taken]}
            word = AuditWord.ROLE_GIVEN if change.given else AuditWord.ROLE_TAKEN
            told = self.pages.told(visit.who, word, account=account.id, detail=detail)
            self.pages.store.people.set_grants(account.id, change.grants, told)

    def show(self, request: Request, visit: Visit, error: RefusalError | None = None) -> Response:
        """The list, and a form for another one."""
        accounts = [one for one in self.pages.store.people.accounts() if manages(visit.viewer, one)]
        return self._draw("accounts", request, visit, error, accounts=accounts)

    def show_one(
        self,
        request: Request,
        visit: Visit,
        account: Account,
        link: str | None = None,
        error: RefusalError | None = None,
    ) -> Response:
        """One account; ``link``: one that was just made, and is shown this once."""
        sessions = self.pages.store.people.sessions(account.id)
        return self._draw("account", request, visit, error, account=account, sessions=sessions, link=link)

    def _draw(
        self, template: str, request: Request, visit: Visit, error: RefusalError | None, **facts: object
    ) -> Response:
        return self.pages.draw(
            template,
            request,
            visit,
            status=HTTPStatus.OK if error is None else HTTPStatus.BAD_REQUEST,
            roles=GIVEABLE,
            communities=self.communities(visit),
            error=error.text.say(visit.language, **error.fields) if error is not None else None,
            **facts,
        )


def account_routes(pages: Pages) -> APIRouter:
    """``/accounts``, and one with its roles."""
    router, desk = APIRouter(), AccountDesk(pages)

    @router.get("/accounts")
    def accounts(request: Request) -> Response:
        return desk.show(request, desk.visit(request))

    @router.post("/accounts")
    def add(
        request: Request,
        login: Field = "",
        name: Field = "",
        person: Field = "",
        role: Field = "",
        community: Field = "",
    ) -> Response:
        visit = desk.visit(request)
        try:
            made = desk.new_account(visit, login, name, person, desk.grant(visit, role, community))
            detail = {"roles": [str(one) for one in made.grants]}
            told = pages.told(visit.who, AuditWord.ACCOUNT_ADDED, account=made.id, person=made.person, detail=detail)
            if not pages.store.people.add(made, None, told):
                raise RefusalError(say_people.LOGIN_TAKEN, login=made.login)
        except RefusalError as error:
            return desk.show(request, visit, error)
        return redirect(f"/accounts/{made.id}")

    @router.get("/accounts/{account}")
    def one(request: Request, account: str) -> Response:
        visit = desk.visit(request)
        return desk.show_one(request, visit, desk.chosen(visit, account))

    @router.post("/accounts/{account}/role")
    def role(request: Request, account: str, role: Field = "", community: Field = "", take: Field = "") -> Response:
        visit = desk.visit(request)
        found, asked = desk.chosen(visit, account), [desk.grant(visit, role, community)]
        if not take and asked[0].role in NEEDS_PERSON and found.person is None:
            return desk.show_one(request, visit, found, error=RefusalError(say_people.NEEDS_PERSON))
        change = change_roles(found.grants, [] if take else asked, asked if take else [])
        desk.change(visit, found, change)
        return redirect(
            f"/accounts/{found.id}" if manages(visit.viewer, replace(found, grants=change.grants)) else "/accounts"
        )

    return router


def account_care_routes(pages: Pages) -> APIRouter:
    """Lock, sign out, make a link."""
    router, desk = APIRouter(), AccountDesk(pages)

    @router.post("/accounts/{account}/lock")
    def lock(request: Request, account: str, undo: Field = "") -> Response:
        visit = desk.visit(request)
        found = desk.chosen(visit, account)
        word = AuditWord.ACCOUNT_UNLOCKED if undo else AuditWord.ACCOUNT_LOCKED
        pages.store.people.set_locked(found.id, not undo, pages.told(visit.who, word, account=found.id))
        return redirect(f"/accounts/{found.id}")

    @router.post("/accounts/{account}/end")
    def end(request: Request, account: str) -> Response:
        visit = desk.visit(request)
        found = desk.chosen(visit, account)
        told = pages.told(visit.who, AuditWord.SESSIONS_ENDED, account=found.id)
        pages.store.people.end_sessions(found.id, told)
        return redirect(f"/accounts/{found.id}")

    @router.post("/accounts/{account}/link")
    def link(request: Request, account: str, purpose: Field = "") -> Response:
        visit = desk.visit(request)
        found = desk.chosen(visit, account)
        if purpose not in set(LinkPurpose):
            raise pages.refuse(visit, account=found.id)
        made, token = make_link(pages.signer, found.id, LinkPurpose(purpose), pages.now())
        told = pages.told(visit.who, AuditWord.LINK_MADE, account=found.id, detail={"for": purpose})
        pages.store.people.add_link(made, told)
        return desk.show_one(request, visit, found, link=f"{pages.base_url}/link/{purpose}/{token}")

    return router
