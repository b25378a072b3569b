"""The pages as one application: routes, what happens to errors, and the guard around all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from importlib.resources import files

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from relay.ports import StoreError
from relay.web.accounts import account_care_routes, account_routes
from relay.web.guard import App, Guard
from relay.web.looking import audit_routes, looking_routes
from relay.web.pages import NotFoundError, NotSignedInError, Pages, redirect, sign_in_path
from relay.web.sign_in import my_account_routes, sign_in_routes

_log = structlog.get_logger("relay.web")

Life = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing_beside(_app: FastAPI) -> AsyncIterator[None]:
    """Nothing that begins and ends with the application."""
    yield


def make_app(pages: Pages, *more: APIRouter, life: Life = nothing_beside) -> App:
    """The application. ``more``: further routes."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    parts = (sign_in_routes, my_account_routes, looking_routes, account_routes, account_care_routes)
    for router in (_first_routes(pages), *(part(pages) for part in parts), audit_routes(pages), *more):
        app.include_router(router)

    def not_found(request: Request, _error: Exception) -> Response:
        return pages.draw("message", request, status=HTTPStatus.NOT_FOUND, text="NOT_FOUND")

    def to_sign_in(request: Request, _error: Exception) -> Response:
        to = request.url.path if request.method == "GET" else "/"
        return redirect(sign_in_path(to))

    def bad_form(request: Request, _error: Exception) -> Response:
        return pages.draw("message", request, status=HTTPStatus.BAD_REQUEST, text="BAD_FORM")

    def no_store(request: Request, error: Exception) -> Response:
        _log.warning("web.store_failed", reason=str(error))
        return pages.draw("message", request, status=HTTPStatus.SERVICE_UNAVAILABLE, text="NO_STORE")

    def other(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
        text = "NOT_FOUND" if status == HTTPStatus.NOT_FOUND else "BAD_FORM"
        return pages.draw("message", request, status=HTTPStatus(status), text=text)

    app.add_exception_handler(NotFoundError, not_found)
    app.add_exception_handler(NotSignedInError, to_sign_in)
    app.add_exception_handler(RequestValidationError, bad_form)
    app.add_exception_handler(StoreError, no_store)
    app.add_exception_handler(HTTPException, other)
    return Guard(app, pages.base_url)


def _first_routes(pages: Pages) -> APIRouter:
    router = APIRouter()
    style = files("relay.web").joinpath("style.css").read_text(encoding="utf-8")

    @router.get("/")
    def first(request: Request) -> Response:
        visit = pages.visit(request)
        return pages.draw("first", request, visit)

    @router.get("/style.css")
    def css() -> Response:
        return PlainTextResponse(style, media_type="text/css", headers={"cache-control": "max-age=3600"})

    @router.get("/healthz")
    def healthz() -> Response:
        return PlainTextResponse("ok\n")

    return router
