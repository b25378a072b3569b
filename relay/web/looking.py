"""Households, devices, and the audit log: what can be looked at. Each look is written down before it is shown."""

from __future__ import annotations

from math import floor
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from relay.audit import AuditSearch, AuditWord, some_ids
from relay.core.register import Device, Household, Register
from relay.figures import ENDS_SOON_DAYS, CertificateEnds
from relay.people import EVERYWHERE, Right, Viewer
from relay.texts import Text
from relay.texts import web as say
from relay.web.pages import NotFoundError, Pages

AT_ONCE = 100
"""Rows of a page."""
Asked = Annotated[str, Query(max_length=80)]
Page = Annotated[int, Query(ge=1, le=100_000)]


def looking_routes(pages: Pages) -> APIRouter:
    """``/households``, ``/devices``, ``/d/…``."""
    router = APIRouter()

    @router.get("/households")
    def households(request: Request, page: Page = 1) -> Response:
        visit = pages.visit(request)
        found = visit.viewer.households(pages.register())
        shown = found[(page - 1) * AT_ONCE : page * AT_ONCE]
        if not found and not visit.account.grants:
            raise NotFoundError
        detail = {"households": some_ids([home.id for home in shown])}
        pages.look(visit, AuditWord.HOUSEHOLDS_LISTED, community=_community(shown), detail=detail)
        rows = [(home, visit.viewer.fields(home)) for home in shown]
        return pages.draw("households", request, visit, rows=rows, page=page, more=len(found) > page * AT_ONCE)

    @router.get("/households/{household}")
    def one_household(request: Request, household: str) -> Response:
        visit, register = pages.visit(request), pages.register()
        home = register.households.get(household)
        fields = visit.viewer.fields(home) if home is not None else frozenset()
        if home is None or Right.LABEL not in fields:
            raise pages.refuse(visit, household=home.id if home is not None else None)
        detail = {"fields": sorted(fields)}
        pages.look(visit, AuditWord.HOUSEHOLD_SEEN, community=home.community, household=home.id, detail=detail)
        helpers = [register.people[one] for one in home.volunteers] if Right.HELPERS in fields else []
        of_home = [register.devices[one] for one in register.panels_of.get(home.id, ())]
        of_home += [register.devices[one] for one in register.volunteer_bells(home.id)]
        devices = of_home if Right.HOUSEHOLD_DEVICES in fields else []
        presence = pages.store.people.presence() if devices else {}
        return pages.draw(
            "household",
            request,
            visit,
            home=home,
            community=register.communities[home.community],
            fields={field.value for field in fields},
            helpers=helpers,
            devices=devices,
            presence=presence,
        )

    @router.get("/devices")
    def devices(request: Request, page: Page = 1) -> Response:
        visit, register = pages.visit(request), pages.register()
        if not visit.viewer.may(Right.DEVICES):
            raise pages.refuse(visit)
        found = [one for one in register.devices.values() if visit.viewer.may(Right.DEVICES, one.community)]
        shown = found[(page - 1) * AT_ONCE : page * AT_ONCE]
        rows = [(one, _home_of(register, visit.viewer, one)) for one in shown]
        seen = some_ids(sorted({home.id for _, home in rows if home is not None}))
        pages.look(visit, AuditWord.HOUSEHOLDS_LISTED, detail={"households": seen, "page": "devices"})
        return pages.draw(
            "devices",
            request,
            visit,
            rows=rows,
            presence=pages.store.people.presence(),
            progress=pages.board.of(register, shown),
            page=page,
            more=len(found) > page * AT_ONCE,
            ends=_ending(pages.certificates()),
        )

    @router.get("/d/{device}")
    def one_device(request: Request, device: str) -> Response:
        """Where a label's QR code leads."""
        visit, register = pages.visit(request), pages.register()
        found = register.devices.get(device)
        if found is None or not visit.viewer.may(Right.DEVICES, found.community):
            raise pages.refuse(visit, device=found.id if found is not None else None)
        home = _home_of(register, visit.viewer, found)
        about = {"community": found.community, "device": found.id, "household": home.id if home is not None else None}
        pages.look(visit, AuditWord.HOUSEHOLD_SEEN, **about)
        presence = pages.store.people.presence().get(found.id)
        return pages.draw(
            "device",
            request,
            visit,
            device=found,
            home=home,
            presence=presence,
            progress=pages.board.of(register, [found])[found.id],
            whose=_whose(register, found),
        )

    return router


def audit_routes(pages: Pages) -> APIRouter:
    """``/audit``."""
    router = APIRouter()

    @router.get("/audit")
    def audit(
        request: Request, household: Asked = "", account: Asked = "", what: Asked = "", before: Asked = ""
    ) -> Response:
        visit = pages.visit(request)
        mine = visit.viewer.communities(Right.AUDIT)
        if not mine:
            raise pages.refuse(visit)
        search = AuditSearch(
            household=household or None,
            account=account or None,
            what=what if what in set(AuditWord) else None,
            communities=None if EVERYWHERE in mine else tuple(sorted(mine)),
            before_seq=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        )
        lines = pages.store.audit.newest(search, AT_ONCE)
        pages.look(visit, AuditWord.AUDIT_READ, household=search.household)
        names = {one.id: one.name for one in pages.store.people.accounts()}
        return pages.draw(
            "audit",
            request,
            visit,
            lines=lines,
            names=names,
            words=list(AuditWord),
            asked={"household": household, "account": account, "what": what},
            more=len(lines) == AT_ONCE,
        )

    return router


def _ending(ends: CertificateEnds) -> list[tuple[Text, int]]:
    """Whose certificates end soon and in how many days, the first to end first."""
    soon = sorted((days, whose) for whose, days in ends.days.items() if days < ENDS_SOON_DAYS)
    return [(say.CERTIFICATES_OF[whose], floor(days)) for days, whose in soon]


def _community(homes: list[Household]) -> str | None:
    """The community of all of these; None if there are several."""
    found = {home.community for home in homes}
    return found.pop() if len(found) == 1 else None


def _home_of(register: Register, viewer: Viewer, device: Device) -> Household | None:
    """The household that a panel is in, if the viewer may see what it is called."""
    home = register.households.get(device.household or "")
    return home if home is not None and viewer.sees(Right.LABEL, home) else None


def _whose(register: Register, device: Device) -> str:
    """Whose bell it is, by name: technicians and the office look for a door."""
    person = register.people.get(device.person or "")
    return person.name if person is not None else ""
