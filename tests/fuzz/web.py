"""The pages, as a program that is no browser asks for them: any method, path, header, cookie and form."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from functools import cache
from random import Random
from typing import Any
from urllib.parse import unquote, urlencode

from relay.adapters.store import SqlStore
from relay.people import Grant, LinkPurpose, Role
from relay.register_file import load_register_file
from tests.fuzz.subject import Subject, holds, scratch
from tests.relay.office import EXAMPLE
from tests.relay.people import GOOD
from tests.relay.web.site import URL, Site

ANEW = 300
"""Inputs after which the database is as it was."""
_HEADERS = (b"content-security-policy", b"x-content-type-options", b"cache-control", b"referrer-policy")
_SECRETS = ("彭小平", "柳奶奶", "3栋502", "138 0000 0001")
"""What only somebody who has signed in may read."""
_COOKIE = b"__Host-doorbell-session="


_CARE = {
    "role": {"role": "coordinator", "community": "xihushan", "take": ""},
    "lock": {"undo": ""},
    "end": {},
    "link": {"purpose": "sign_in"},
}


class _World:
    """The pages with an account of the office, a technician and an auditor, and their sessions."""

    def __init__(self) -> None:
        folder = scratch()
        self._kept, self._path = folder / "kept.sqlite3", folder / "relay.sqlite3"
        register, _ = load_register_file(EXAMPLE)
        assert register is not None
        with closing(SqlStore.open(self._path)) as store:
            store.replace_register(register)
            site = Site(store)
            roles = (Role.OFFICE, Role.TECHNICIAN, Role.AUDITOR)
            browsers = [site.signed_in(number, Grant(role, "xihushan")) for number, role in enumerate(roles, 1)]
            self.cookies = [None, *(browser.session() for browser in browsers)]
            account = site.account(9, Grant(Role.VOLUNTEER, "xihushan"))
            self.login, self.account = account.login, account.id
            self.links = [site.link(account, purpose) for purpose in LinkPurpose]
        shutil.copyfile(self._path, self._kept)
        self._store: SqlStore | None = None
        self._site: Site | None = None
        self._left = 0

    def site(self) -> Site:
        if self._site is None or self._left == 0:
            if self._store is not None:
                self._store.close()
            for end in ("-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            shutil.copyfile(self._kept, self._path)
            self._store, self._left = SqlStore.open(self._path), ANEW
            self._site = Site(self._store)
        self._left -= 1
        return self._site


@cache
def _world() -> _World:
    """Made once, and open to the end of the process."""
    return _World()


def pages() -> Subject:
    """First byte: who has signed in, if anybody; then a request as on the wire, its head and its body."""
    world = _world()

    def run(data: bytes) -> str:
        who = data[0] % len(world.cookies) if data else 0
        scope, body = _request(data[1:], world.cookies[who])
        if scope is None:
            return "no request"
        status, headers, text = asyncio.run(_ask(world.site().app, scope, body))
        holds(f"a page, not {status}", 200 <= status < 500)
        missing = [name for name in _HEADERS if name not in headers]
        holds(f"{missing} with every answer", not missing)
        if who == 0 and not (scope["path"].startswith("/link/") or scope["path"] == "/sign-in"):
            told = [secret for secret in _SECRETS if secret in text]
            holds(f"{told} for nobody", not told)
        if who == 0 and scope["method"] in ("GET", "HEAD"):
            holds(
                "no session by looking",
                b"doorbell-session=" not in headers.get(b"set-cookie", b"").replace(b'=""', b""),
            )
        return f"{('nobody', 'office', 'technician', 'auditor')[who]} {status}"

    def seeds() -> list[bytes]:
        looks = [
            "/",
            "/sign-in?to=/me",
            "/households",
            "/households/liu",
            "/devices",
            "/d/bell-peng",
            "/accounts",
            "/audit",
        ]
        looks += ["/me", "/style.css", "/healthz", "/households?page=2", "/audit?household=liu&page=1", *world.links]
        looks += [f"/accounts/{world.account}"]
        host = f"host: {URL.removeprefix('https://')}"
        made = [f"GET {path} HTTP/1.1\r\n{host}\r\naccept-language: zh-CN\r\n\r\n".encode() for path in looks]
        forms: list[tuple[str, dict[str, str]]] = [
            ("/sign-in", {"login": world.login, "password": GOOD, "to": "/households"}),
            ("/sign-out", {}),
            ("/me/end", {"session": "0" * 64}),
            (world.links[0], {"password": GOOD, "again": GOOD}),
            *((f"/accounts/{world.account}/{what}", form) for what, form in _CARE.items()),
            ("/language", {"language": "en", "to": "/me"}),
            ("/accounts", {"login": "wang", "name": "王芳", "role": "volunteer", "community": "xihushan"}),
            ("/me/password", {"old": GOOD, "password": GOOD[::-1], "again": GOOD[::-1]}),
        ]
        kind = "content-type: application/x-www-form-urlencoded"
        for path, form in forms:
            head = f"POST {path} HTTP/1.1\r\n{host}\r\norigin: {URL}\r\n{kind}\r\n\r\n"
            made.append(head.encode() + urlencode(form).encode())
        return [bytes([who]) + one for one in made for who in range(4)]

    words = (
        b"%00",
        b"%ff",
        b"%2e%2e/",
        b"..",
        b"//",
        b"?",
        b"&",
        b"=",
        b"\r\n",
        b"cookie: ",
        b"origin: null\r\n",
        b"x-forwarded-for: ",
        b"multipart/form-data; boundary=x",
        b"--x\r\n",
        b"transfer-encoding: chunked\r\n",
        b"POST ",
        b"HEAD ",
        b"/accounts/1/role",
        b"<script>",
        b"{{7*7}}",
        b"%F0%9F%94%94",
        b"%ED%A0%80",
        b"page=-1",
        b"page=99999999999999999999",
        b"__Host-doorbell-session=",
        b"before=1",
        b"household=",
        b"to=//evil.example",
        b"to=https%3A%2F%2Fevil.example",
    )
    return Subject(run, seeds, words, _mutate, max_len=3_000)


def _mutate(random: Random, data: bytes) -> bytes:
    """Another value in the place of one of the form or the query; or a header taken away or repeated."""
    head, end, body = data.partition(b"\r\n\r\n")
    if body and random.random() < 0.6:
        pairs = body.split(b"&")
        place = random.randrange(len(pairs))
        name, _, value = pairs[place].partition(b"=")
        odd = (
            b"",
            b"%00",
            b"%E5%BD%AD",
            b"a" * 300,
            b"*",
            b"-1",
            b"../x",
            b"%3Cb%3E",
            b"%ED%A0%80",
            b"%0d%0ax: y",
            value + value,
        )
        pairs[place : place + random.randrange(2)] = [name + b"=" + random.choice(odd)]
        return head + end + b"&".join(pairs)
    lines = head.split(b"\r\n")
    place = random.randrange(len(lines))
    match random.randrange(3):
        case 0 if place:
            del lines[place]
        case 1 if place:
            lines.insert(place, lines[place])
        case _:
            words = lines[0].split(b" ")
            path = words[min(1, len(words) - 1)].split(b"/")
            path[random.randrange(len(path))] = random.choice(
                (b"", b"..", b"%2F", b"liu", b"1", b"x" * 200, b"%00", b"account")
            )
            lines[0] = b" ".join((words[0], b"/".join(path), b"HTTP/1.1"))
    return b"\r\n".join(lines) + end + body


def _request(data: bytes, cookie: str | None) -> tuple[dict[str, Any] | None, bytes]:
    """As uvicorn makes one of what h11 or httptools let through."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or not words[0].isalpha() or not words[1].startswith(b"/") or not words[1].isascii():
        return None, b""
    headers = [
        (name.strip().lower(), value.strip()) for name, sep, value in (one.partition(b":") for one in lines) if sep
    ]
    if any(not name or b"\0" in value or b"\n" in value for name, value in headers):
        return None, b""
    if cookie is not None:
        headers.append((b"cookie", _COOKIE + cookie.encode()))
    raw, _, query = words[1].partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "https",
        "root_path": "",
        "method": words[0].decode("latin-1").upper(),
        "path": unquote(raw.decode("ascii")),
        "raw_path": raw,
        "query_string": query,
        "headers": headers,
        "client": ("192.0.2.1", 40000),
        "server": ("127.0.0.1", 8080),
    }
    return scope, body


async def _ask(app: Any, scope: dict[str, Any], body: bytes) -> tuple[int, dict[bytes, bytes], str]:
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app(scope, receive, send)
    holds("one beginning", [one["type"] for one in said].count("http.response.start") == 1)
    text = b"".join(one.get("body", b"") for one in said).decode("utf-8", "replace")
    return said[0]["status"], dict(said[0]["headers"]), text
