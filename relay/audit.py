"""The audit log: who looked at whom, and who changed what. Each line carries the hash of the one before. Pure.

A line's hash covers everything in it and the hash of its predecessor, so that whoever changes, removes, inserts or
moves a line breaks the chain at that place. Two things a chain alone cannot show, and how they show all the same:

- *Lines missing at its end.* The newest line's number and hash, the **head**, are also noted outside of the database:
  in a file, in the process's log, on paper. A chain without a noted head has been cut off or written anew.
- *Lines missing at its beginning* are what retention leaves. Each cut is itself a line, which names the number and the
  hash of the last line that went; without it the beginning is missing.

No line ever holds a name, an address or anything else that a person wrote: ids only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from doorbell.ids import SLUG_PATTERN

GENESIS = "0" * 64
"""What stands for the hash of the line before the first."""
MAX_WHO = 80
MAX_DETAIL = 16_384
"""Characters of a line's detail: the largest is an import that touched every kind of thing, with some ids of each."""
SHOWN_IDS = 8
"""Ids of many that a line names; the rest are in its count and its digest."""
_FORMAT = "doorbell-audit-1"
_HEAD = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


class AuditWord(StrEnum):
    """What can be in the log. A word that is written once is never given another meaning."""

    # Looks
    HOUSEHOLD_SEEN = "household_seen"
    HOUSEHOLDS_LISTED = "households_listed"
    REGISTER_EXPORTED = "register_exported"
    ALARMS_LISTED = "alarms_listed"
    ALARM_SEEN = "alarm_seen"
    ALARMS_WATCHED = "alarms_watched"
    JOURNAL_READ = "journal_read"
    REJECTED_READ = "rejected_read"
    AUDIT_READ = "audit_read"
    AUDIT_EXPORTED = "audit_exported"
    PERSON_EXPORTED = "person_exported"
    # Changes
    REGISTER_IMPORTED = "register_imported"
    ALARM_CLOSE_ASKED = "alarm_close_asked"
    PERSON_ERASED = "person_erased"
    KEY_ROTATED = "key_rotated"
    STORE_BACKED_UP = "store_backed_up"
    STORE_RESTORED = "store_restored"
    STORE_RETAINED = "store_retained"
    AUDIT_CUT = "audit_cut"
    AUTHORITY_CREATED = "authority_created"
    ISSUING_RENEWED = "issuing_renewed"
    IDENTITY_ISSUED = "identity_issued"
    IDENTITY_SIGNED = "identity_signed"
    IDENTITY_REVOKED = "identity_revoked"
    # Accounts
    ACCOUNT_ADDED = "account_added"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_LOCKED = "account_locked"
    ACCOUNT_UNLOCKED = "account_unlocked"
    ACCOUNT_ERASED = "account_erased"
    ROLE_GIVEN = "role_given"
    ROLE_TAKEN = "role_taken"
    PASSWORD_SET = "password_set"  # noqa: S105 - a word
    LINK_MADE = "link_made"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SESSIONS_ENDED = "sessions_ended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is to be written. ``who``: ``os:ACCOUNT`` at a command line, ``account:ID`` on a page.

    Raises ``ValueError`` for what would not fit.
    """

    who: str
    what: AuditWord
    community: str | None = None
    """None: it concerns all of them."""
    household: str | None = None
    person: str | None = None
    device: str | None = None
    account: str | None = None
    """The account that it was done to, or tried with."""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.who) <= MAX_WHO or not self.who.isprintable():
            raise ValueError(f"who: 1 to {MAX_WHO} printable characters")
        if len(self.detail_text()) > MAX_DETAIL:
            raise ValueError(f"the detail of an audit line has more than {MAX_DETAIL} characters: name fewer ids")

    def detail_text(self) -> str:
        """The detail as it is stored and hashed: JSON in ASCII, keys in order."""
        return json.dumps(dict(self.detail), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest line of a chain."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


EMPTY = AuditHead(0, GENESIS)


def parse_head(text: str) -> AuditHead | None:
    """``NUMBER:HASH``, as ``audit verify`` prints it; None for anything else."""
    found = _HEAD.fullmatch(text.strip())
    return AuditHead(int(found[1]), found[2]) if found else None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line as it is stored. ``detail`` is its text, as it was hashed."""

    seq: int
    at_ms: int
    """Milliseconds since 1970, UTC, by the clock of whoever wrote it. The order is that of ``seq``."""
    who: str
    what: str
    community: str | None
    household: str | None
    person: str | None
    device: str | None
    account: str | None
    detail: str
    hash: str

    @property
    def head(self) -> AuditHead:
        """This line as the head of the chain that ends with it."""
        return AuditHead(self.seq, self.hash)

    def facts(self) -> dict[str, Any]:
        """The detail; empty for one that cannot be read."""
        try:
            found = json.loads(self.detail)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """Which lines; what is None does not matter. ``since`` is included; ``until``, ``before_seq`` and ``after_seq``
    are not."""

    household: str | None = None
    """Also lines that name it among several."""
    person: str | None = None
    device: str | None = None
    account: str | None = None
    """Done to it, or done by it."""
    who: str | None = None
    what: str | None = None
    communities: tuple[str, ...] | None = None
    """Lines that concern one of these alone."""
    since: datetime | None = None
    until: datetime | None = None
    before_seq: int | None = None
    after_seq: int | None = None


EVERYTHING = AuditSearch()


def link_line(before: AuditHead, entry: AuditEntry, at_ms: int) -> AuditLine:
    """The line that comes after ``before``."""
    fields = (entry.who, entry.what.value, entry.community, entry.household, entry.person, entry.device, entry.account)
    bare = AuditLine(before.seq + 1, at_ms, *fields, entry.detail_text(), "")
    return AuditLine(before.seq + 1, at_ms, *fields, entry.detail_text(), line_hash(before.hash, bare))


def line_hash(before: str, line: AuditLine) -> str:
    """SHA-256 over the hash of the line before and everything in this one: one JSON list, in ASCII."""
    what = [_FORMAT, before, line.seq, line.at_ms, line.who, line.what, line.community, line.household, line.person]
    what += [line.device, line.account, line.detail]
    return sha256(json.dumps(what, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def some_ids(ids: Sequence[str]) -> dict[str, Any]:
    """Ids, however many: the first of them, their number, and a digest that tells whether a list is this one."""
    told: dict[str, Any] = {"count": len(ids), "ids": list(ids[:SHOWN_IDS])}
    if len(ids) > SHOWN_IDS:
        told["sha256"] = sha256("\n".join(ids).encode()).hexdigest()
    return told


# ---------------------------------------------------------------------------------------------------------------------
# Is it whole?


class AuditFault(StrEnum):
    """What can be wrong with the log."""

    ALTERED = "altered"
    """This line does not follow from the one before: one of them was changed, put in or moved."""
    MISSING = "missing"
    """Lines are missing before this one."""
    BEHEADED = "beheaded"
    """The log begins with this line, and no cut tells why."""
    REVIVED = "revived"
    """A cut tells that everything up to here was removed, and it is there."""
    TRUNCATED = "truncated"
    """The head that was noted is not there: lines are missing at the end."""
    REWRITTEN = "rewritten"
    """The line of the noted head has another hash: everything up to there was written anew."""
    UNPROTECTED = "unprotected"
    """The database would let lines be changed: a trigger is gone."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One fault, at a line's number (0: none); ``detail`` for a technician."""

    fault: AuditFault
    seq: int
    detail: str = ""


@dataclass(slots=True)
class AuditVerdict:
    """What a look through the log has found."""

    lines: int = 0
    first: int = 0
    head: AuditHead = EMPTY
    findings: list[AuditFinding] = field(default_factory=list)


MAX_FINDINGS = 100


def check_chain(lines: Iterable[AuditLine], noted: Sequence[AuditHead] = ()) -> AuditVerdict:
    """Look through all lines, in the order of their numbers; ``noted``: heads that were written down elsewhere."""
    verdict = AuditVerdict()
    wanted = {head.seq: head.hash for head in noted if head.seq > 0}
    before: AuditLine | None = None
    first: AuditLine | None = None
    cut: AuditLine | None = None
    for line in lines:
        verdict.lines += 1
        if first is None:
            first = line
            verdict.first = line.seq
        _extend(verdict, _follow(before, line))
        if line.what == AuditWord.AUDIT_CUT:
            cut = line
        if wanted.get(line.seq, line.hash) != line.hash:
            _extend(verdict, [AuditFinding(AuditFault.REWRITTEN, line.seq)])
        before = line
    verdict.head = before.head if before is not None else EMPTY
    if first is not None:
        _extend(verdict, _beginning(first, cut))
    missing = [seq for seq in wanted if seq > verdict.head.seq]
    _extend(verdict, (AuditFinding(AuditFault.TRUNCATED, seq) for seq in missing[:1]))
    return verdict


def _extend(verdict: AuditVerdict, findings: Iterable[AuditFinding]) -> None:
    for finding in findings:
        if len(verdict.findings) < MAX_FINDINGS:
            verdict.findings.append(finding)


def _follow(before: AuditLine | None, line: AuditLine) -> Iterator[AuditFinding]:
    if before is None:
        if line.seq == 1 and line_hash(GENESIS, line) != line.hash:
            yield AuditFinding(AuditFault.ALTERED, line.seq)
        return
    if line.seq != before.seq + 1:
        yield AuditFinding(AuditFault.MISSING, line.seq, f"{before.seq + 1}-{line.seq - 1}")
    elif line_hash(before.hash, line) != line.hash:
        yield AuditFinding(AuditFault.ALTERED, line.seq)


def _beginning(first: AuditLine, cut: AuditLine | None) -> Iterator[AuditFinding]:
    through = read_cut(cut) if cut is not None else None
    if through is not None and through.seq >= first.seq:
        yield AuditFinding(AuditFault.REVIVED, first.seq, str(through.seq))
    elif first.seq > 1 and (through is None or through.seq != first.seq - 1):
        yield AuditFinding(AuditFault.BEHEADED, first.seq)
    elif first.seq > 1 and through is not None and line_hash(through.hash, first) != first.hash:
        yield AuditFinding(AuditFault.ALTERED, first.seq)


def cut_entry(who: str, last: AuditHead, before: datetime) -> AuditEntry:
    """The line that tells of a cut: everything up to ``last`` is older than ``before`` and goes."""
    return AuditEntry(
        who,
        AuditWord.AUDIT_CUT,
        detail={"through": last.seq, "hash": last.hash, "before": before.isoformat(timespec="seconds")},
    )


def read_cut(line: AuditLine) -> AuditHead | None:
    """The last line that a cut has removed."""
    facts = line.facts()
    return parse_head(f"{facts.get('through')}:{facts.get('hash')}")


def is_slug(text: str) -> bool:
    """Whether this can be an id of the register."""
    return re.fullmatch(SLUG_PATTERN, text) is not None
