"""What people bring to the office: links, tables of devices to be made, requests of devices, back-ups."""

from __future__ import annotations

import io
import json
import secrets
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from doorbell.errors import SetupError
from doorbell.wire import certificate_mark
from relay.adapters.store import SqlStore
from relay.adapters.store_copies import back_up, restore
from relay.core.renewal import Renewal, RenewalRow, hear_renewal
from relay.links import Signer, make_link, read_link
from relay.people import LinkPurpose
from relay.ports import StoreError
from relay.provisioning import fulfil
from relay.provisioning_settings import Hardware
from relay.provisioning_table import read_wishes
from relay.register_file import parse_register, write_register
from relay.texts import Language
from relay.verdict import Verdict
from tests.fuzz.mutate import mutate_json
from tests.fuzz.subject import Subject, holds, same, scratch
from tests.relay.care import fill
from tests.relay.rows import a_register

_NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


def links() -> Subject:
    """A token from a link: read for what it was made, or not at all, whatever was done to it."""
    signer = Signer(secrets.token_bytes(32))  # its own in each process: they share inputs
    made = {purpose: make_link(signer, "liu", purpose, datetime.now(UTC)) for purpose in LinkPurpose}
    foreign = Signer(b"t" * 32).sign("link/sign_in", "nonce")

    def run(data: bytes) -> str:
        token = data.decode("utf-8", "replace")
        found = "refused"
        for purpose, (link, genuine) in made.items():
            read = read_link(signer, purpose, token)
            holds("a link that nobody made", read in (None, link.id))
            if read is not None:
                holds("signed text that was changed", token.split(".")[0] == genuine.split(".")[0])
                found = purpose.value
        return found

    def seeds() -> list[bytes]:
        return [token.encode() for _link, token in made.values()] + [foreign.encode(), b"a.b.c"]

    return Subject(run, seeds, (b".", b"..", b"=", b"-", b"_", b"eyJ", b"\xff", b"A" * 60), max_len=500)


def tables() -> Subject:
    """A table of wishes, as a spreadsheet writes it: a register and cards, or mistakes with their lines."""
    register = a_register()

    def run(data: bytes) -> str:
        wishes, mistakes = read_wishes(data)
        if not mistakes:
            outcome = fulfil(register, wishes, hardware=Hardware.PI_ZERO_2_W)
            mistakes = [*outcome.mistakes]
            holds("cards or mistakes", bool(outcome.wanted) != bool(mistakes))
            if not mistakes:
                out = io.StringIO()
                write_register(outcome.register, out)
                again, problems = parse_register(out.getvalue().encode())
                same(f"a register that can be read {problems[:1]}", again, outcome.register)
                return f"{min(len(wishes), 3)} cards"
        lines = data.count(b"\n") + data.count(b"\r") + 2
        for mistake in mistakes:
            holds(f"line {mistake.line}", 1 <= mistake.line <= lines)
            for language in Language:
                mistake.text.say(language, **mistake.fields)
        return f"{min(len(wishes), 3)} wishes, {min(len(mistakes), 3)} mistakes"

    def seeds() -> list[bytes]:
        english = (
            "role,community,household,label,place,person,name,phone,device,hardware,wifi,wifi_password\n"
            "panel,xihu,home-9,柳奶奶,3栋502,,,,,,home,12345678\n"
            "bell,xihu,home-9,,,zhang,彭小平,138,,,home,12345678\n"
        )
        chinese = (
            "用途,小区,住户,称呼,地址,志愿者,姓名,无线网络,无线密码\n"
            "面板,xihu,home-8,王爷爷,1栋,,,家,87654321\n"
            "门铃,xihu,,,,zhang,张三,家,87654321\n"
        )
        return [
            english.encode(),
            chinese.encode(),
            chinese.encode("gb18030"),
            b'role\n"panel"\n',
            b"\xef\xbb\xbfrole,x\n",
        ]

    words = (b",", b'"', b'""', b"\r\n", b"\n", b"panel", b"bell", "门铃".encode(), b"\x00", b"{}", b"{0}", b"x" * 80)
    return Subject(run, seeds, words, max_len=2_000)


def renewals() -> Subject:
    """First byte: how far the last request has come; the rest is the detail of a ``renew`` event."""
    chain = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    request = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
    states = [None, *Renewal]

    def run(data: bytes) -> str:
        try:
            detail: Any = json.loads(data[1:])
        except (ValueError, RecursionError):
            return "no JSON"
        if not isinstance(detail, dict):
            return "no detail"
        state = states[data[0] % len(states)]
        last = None if state is None else RenewalRow("bell-peng", "c", request, _NOW - timedelta(days=2), state, chain)
        verdict, row = hear_renewal(last, "bell-peng", "c", detail, _NOW)
        certificate_mark(str(detail.get("request")))
        if row is not None:
            holds("only letters that any database takes", row.request.isascii() and "\0" not in row.request)
        return verdict

    def seeds() -> list[bytes]:
        said = [json.dumps({"request": request}), json.dumps({"taken": certificate_mark(chain)}), "{}", '{"taken": 7}']
        said += [json.dumps({"request": request.replace("MIIB", "MIIC")})]
        return [bytes([state]) + text.encode() for state in range(len(states)) for text in said]

    def change(random: Random, data: bytes) -> bytes:
        return mutate_json(random, data, 1)

    return Subject(run, seeds, (b"\\u0000", b"\\n", b"-----", b'"taken"', b'"request"', b"="), change)


def backups() -> Subject:
    """A file that somebody says is a back-up: restored whole, or refused before anything is replaced."""
    folder = scratch()
    place, backup, kept = folder / "relay.sqlite3", folder / "backup.sqlite3", folder / "kept.sqlite3"
    with closing(SqlStore.open(folder / "source.sqlite3")) as store:
        fill(store)
        back_up(store, backup)
    with suppress(FileNotFoundError):  # the key is elsewhere, where the environment names it
        (folder / "source.sqlite3.key").rename(folder / "relay.sqlite3.key")
    whole = backup.read_bytes()
    at = [page for page in range(0, len(whole), 512) if any(whole[page : page + 512])]

    class UnsoundError(Exception):
        """What the command does with a verdict."""

    def refuse(verdict: Verdict) -> None:
        if verdict.findings:
            raise UnsoundError

    def run(data: bytes) -> str:
        """Six bytes a change: two for a place that is not empty, one for how, three for what."""
        spoilt = bytearray(whole)
        for change in (data[n : n + 6] for n in range(0, len(data) - 5, 6)):
            place_at = at[int.from_bytes(change[:2], "big") % len(at)] + change[2] * 2
            match change[3] % 4:
                case 0:
                    spoilt[place_at : place_at + 2] = change[4:]
                case 1:
                    del spoilt[place_at:]
                case 2:
                    spoilt[place_at : place_at + change[4]] = b"\0" * change[4]
                case _:
                    other = at[change[4] * 256 + change[5] & 0xFFFF :][:1] or at[:1]
                    spoilt[place_at : place_at + 512] = whole[other[0] : other[0] + 512]
        backup.write_bytes(spoilt)
        place.unlink(missing_ok=True)
        kept.unlink(missing_ok=True)
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("CREATE TABLE before (x)")
            connection.commit()
        before = place.read_bytes()
        try:
            done = restore(place, backup, kept, refuse)
        except (SetupError, StoreError, UnsoundError) as error:
            holds("nothing is replaced by what is refused", place.read_bytes() == before)
            return type(error).__name__
        holds("what was there is kept", done.kept == kept and kept.read_bytes() == before)
        return "restored"

    def seeds() -> list[bytes]:
        return [b"", b"\0" * 6, b"\0\1\0\1\0\0", b"\0\2\7\2\x40\0", b"\0\5\1\3\0\7", bytes(range(60))]

    return Subject(run, seeds, (), max_len=36)
