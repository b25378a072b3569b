"""The chain of the audit log: whatever is done to it shows."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.audit import (
    EMPTY,
    GENESIS,
    MAX_DETAIL,
    SHOWN_IDS,
    AuditEntry,
    AuditFault,
    AuditHead,
    AuditLine,
    AuditWord,
    check_chain,
    cut_entry,
    line_hash,
    link_line,
    parse_head,
    some_ids,
)
from relay.audit_head import note_head, read_head
from tests.thorough import examples

AT = datetime(2026, 11, 30, tzinfo=UTC)
WHO = "os:root"

slugs = st.sampled_from(["liu", "chen", "home-2"])
entries = st.builds(
    AuditEntry,
    who=st.sampled_from(["os:root", "os:peng", "account:0123456789abcdef"]),
    what=st.sampled_from([word for word in AuditWord if word is not AuditWord.AUDIT_CUT]),
    community=st.none() | slugs,
    household=st.none() | slugs,
    person=st.none() | slugs,
    device=st.none() | slugs,
    account=st.none() | slugs,
    detail=st.dictionaries(slugs, st.text(max_size=4) | st.integers() | st.lists(slugs, max_size=2), max_size=2),
)
chains = st.lists(st.tuples(entries, st.integers(0, 2**41)), min_size=2, max_size=6)


def chain(told: Sequence[tuple[AuditEntry, int]], begin: AuditHead = EMPTY) -> list[AuditLine]:
    lines: list[AuditLine] = []
    for entry, at_ms in told:
        lines.append(link_line(lines[-1].head if lines else begin, entry, at_ms))
    return lines


def faults(lines: Sequence[AuditLine], *noted: AuditHead) -> list[AuditFault]:
    return [finding.fault for finding in check_chain(lines, noted).findings]


def plain(count: int) -> list[AuditLine]:
    return chain([(AuditEntry(WHO, AuditWord.HOUSEHOLD_SEEN, household=f"home-{n}"), n) for n in range(1, count + 1)])


@examples(few=30, many=2_000)
@given(chains)
def test_what_was_written_is_whole(told: list[tuple[AuditEntry, int]]) -> None:
    lines = chain(told)
    verdict = check_chain(lines, [line.head for line in lines])
    assert (verdict.findings, verdict.lines, verdict.first, verdict.head) == ([], len(told), 1, lines[-1].head)


@examples(few=30, many=2_000)
@given(chains, st.data())
def test_any_change_of_any_field_of_any_line_shows(told: list[tuple[AuditEntry, int]], data: st.DataObject) -> None:
    lines = chain(told)
    place = data.draw(st.integers(0, len(lines) - 1))
    name = data.draw(st.sampled_from(["at_ms", "who", "what", "household", "community", "account", "detail", "hash"]))
    old = getattr(lines[place], name)
    new = old + 1 if isinstance(old, int) else f"{old or ''}x" if name != "hash" else f"{int(old, 16) ^ 1:064x}"
    changed: dict[str, Any] = {name: new}
    altered = replace(lines[place], **changed)
    broken = [*lines[:place], altered, *lines[place + 1 :]]
    assert AuditFault.ALTERED in faults(broken)
    # Whoever also makes the hash right only moves the break to the next line; at the end a noted head tells.
    mended = replace(altered, hash=line_hash(lines[place - 1].hash if place else GENESIS, altered))
    assert faults([*lines[:place], mended, *lines[place + 1 :]], lines[-1].head) != [] or mended == lines[place]


@examples(few=30, many=2_000)
@given(chains, st.data())
def test_a_line_that_is_removed_put_in_or_moved_shows(told: list[tuple[AuditEntry, int]], data: st.DataObject) -> None:
    lines = chain(told)
    place = data.draw(st.integers(0, len(lines) - 1))
    removed = [*lines[:place], *lines[place + 1 :]]
    assert faults(removed, lines[-1].head) == [
        AuditFault.BEHEADED if place == 0 else AuditFault.TRUNCATED if place == len(lines) - 1 else AuditFault.MISSING
    ]
    renumbered = [replace(line, seq=number) for number, line in enumerate(removed, start=1)]
    assert faults(renumbered, lines[-1].head) != []
    put_in = [*lines[: place + 1], *(replace(line, seq=line.seq + 1) for line in lines[place:])]
    assert AuditFault.ALTERED in faults(put_in)
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda number: number != place))
    moved = list(lines)
    moved[place], moved[other] = (replace(lines[other], seq=place + 1), replace(lines[place], seq=other + 1))
    assert AuditFault.ALTERED in faults(moved)


def test_a_chain_that_was_cut_off_or_written_anew_shows_by_a_noted_head() -> None:
    lines = plain(5)
    assert faults(lines[:3]) == [], "the chain alone cannot tell"
    assert faults(lines[:3], lines[4].head) == [AuditFault.TRUNCATED]
    assert faults([], lines[4].head) == [AuditFault.TRUNCATED]
    anew = chain([(AuditEntry("os:peng", AuditWord.HOUSEHOLD_SEEN), n) for n in range(7)])
    assert faults(anew, lines[4].head) == [AuditFault.REWRITTEN]
    assert faults(lines, lines[2].head, lines[4].head, EMPTY) == []


def test_a_cut_leaves_a_chain_that_verifies_and_any_other_beginning_shows() -> None:
    lines = plain(6)
    cut = link_line(lines[-1].head, cut_entry(WHO, lines[2].head, AT), 9)
    assert faults([*lines[3:], cut], lines[0].head, lines[5].head) == []
    assert faults([*lines[4:], cut]) == [AuditFault.BEHEADED], "more went than the cut tells"
    assert faults([*lines[2:], cut]) == [AuditFault.REVIVED]
    assert faults([*lines, cut]) == [AuditFault.REVIVED]
    assert faults(lines[3:]) == [AuditFault.BEHEADED]
    assert faults([replace(lines[3], who="os:peng"), *lines[4:], cut])[0] is AuditFault.ALTERED
    false = link_line(lines[-1].head, cut_entry(WHO, AuditHead(3, "0" * 64), AT), 9)
    assert faults([*lines[3:], false]) == [AuditFault.ALTERED]
    # The next cut takes the line of the one before with it.
    again = link_line(cut.head, cut_entry(WHO, cut.head, AT), 10)
    assert faults([again]) == []
    nonsense = link_line(lines[-1].head, AuditEntry(WHO, AuditWord.AUDIT_CUT, detail={"through": "x"}), 9)
    assert faults([*lines[3:], nonsense]) == [AuditFault.BEHEADED]
    assert faults([*lines[3:], replace(cut, detail="[")])[-1] is AuditFault.BEHEADED


def test_a_ruined_log_is_told_in_a_bounded_list() -> None:
    verdict = check_chain([replace(line, who="x") for line in plain(300)])
    assert (len(verdict.findings), verdict.lines) == (100, 300)


def test_what_does_not_fit_is_refused() -> None:
    for bad in (
        {"who": ""},
        {"who": "x" * 81},
        {"who": "os:\n"},
        {"who": WHO, "detail": {"x": "y" * MAX_DETAIL}},
    ):
        with pytest.raises(ValueError, match=r"who|detail"):
            AuditEntry(what=AuditWord.SIGNED_IN, **bad)


def test_a_detail_is_stored_in_ascii_whatever_is_in_it() -> None:
    """Lone surrogates and NUL come from names of files, and no database takes them."""
    entry = AuditEntry(WHO, AuditWord.STORE_BACKED_UP, detail={"file": "备份\udcff\x00"})
    assert entry.detail_text().isascii()
    assert "\x00" not in entry.detail_text()
    assert link_line(EMPTY, entry, 0).facts() == {"file": "备份\udcff\x00"}


def test_many_ids_are_told_in_few() -> None:
    few, many = ["a", "b"], [f"home-{n}" for n in range(1_000_000)]
    assert some_ids(few) == {"count": 2, "ids": few}
    told = some_ids(many)
    assert (told["count"], told["ids"]) == (1_000_000, many[:SHOWN_IDS])
    assert told["sha256"] != some_ids(many[::-1])["sha256"]
    assert len(json.dumps(told)) < 300


def test_a_head_is_written_as_it_is_read() -> None:
    head = AuditHead(7, "ab" * 32)
    assert parse_head(f" {head}\n") == head
    for bad in ("", "7", "0:" + "ab" * 32, "7:" + "AB" * 32, "7:ab", "-1:" + "ab" * 32, f"{head}x"):
        assert parse_head(bad) is None


def test_the_noted_head_only_rises_but_after_a_restore(tmp_path: Path) -> None:
    path = tmp_path / "relay-audit-head"
    assert read_head(path) is None
    first, second = AuditHead(9, "ab" * 32), AuditHead(10, "cd" * 32)
    note_head(path, second)
    note_head(path, first)
    assert read_head(path) == second
    note_head(path, first, whatever_was=True)
    assert read_head(path) == first
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("spoil", [b"rubbish", b"\xff\xfe", b"9:"])
def test_a_spoilt_note_is_no_note(tmp_path: Path, spoil: bytes) -> None:
    path = tmp_path / "relay-audit-head"
    path.write_bytes(spoil)
    with pytest.raises(ValueError, match="not a head"):
        read_head(path)
    note_head(path, AuditHead(1, "ab" * 32))
    assert read_head(path) == AuditHead(1, "ab" * 32)


def test_nothing_is_noted_through_a_link(tmp_path: Path) -> None:
    """Run by root in a folder of another account: that account must not choose what is overwritten."""
    (tmp_path / "other").write_text("x")
    (tmp_path / "head").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        note_head(tmp_path / "head", AuditHead(1, "ab" * 32))
    assert (tmp_path / "other").read_text() == "x"
