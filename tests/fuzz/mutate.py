"""Changes of bytes, and of JSON, TOML and DER by their grammars. Everything comes out of a seeded random."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

_BYTES = (
    0,
    1,
    0x0A,
    0x0D,
    0x20,
    0x22,
    0x27,
    0x30,
    0x5B,
    0x5C,
    0x7B,
    0x7F,
    0x80,
    0x81,
    0x82,
    0x84,
    0xA0,
    0xC0,
    0xED,
    0xFF,
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**53 - 1,
    2**53,
    2**63,
    2**64,
    10**30,
    -(2**63),
    0.5,
    -0.0,
    1e308,
    5e-324,
    "",
    "0",
    "null",
    "online",
    "é",
    "彭小平",
    "\u0000",
    "\u202e",
    "\ufeff",
    "𝛀",
    "a" * 300,
    [],
    {},
    [[]],
    [None],
    {"": None},
)
_CHARACTERS = (
    "\0",
    "\n",
    "\x1b",
    "\x7f",
    "\u200f",
    "\u2028",
    "\ufffe",
    "é",
    "𝛀",
    " ",
    "/",
    "+",
    "{}",
    "%s",
    "'",
    "<b>",
    "0",
    "-",
)
_NUMBERS = (b"0", b"-1", b"1e999", b"1e-999", b"9" * 20, b"1" * 400, b"0.1", b"-0", b"NaN", b"Infinity", b"4294967296")
GROWTH = 64
"""Bytes that one change may add."""


def mutate_bytes(random: Random, data: bytes, words: Sequence[bytes], pool: Sequence[bytes]) -> bytes:
    """One to eight changes, rather few."""
    out = bytearray(data)
    while True:
        _change(random, out, words, pool)
        if random.random() < 0.4:
            return bytes(out)


def _change(random: Random, out: bytearray, words: Sequence[bytes], pool: Sequence[bytes]) -> None:
    at, kind = random.randint(0, len(out)), random.randrange(10)
    until = min(len(out), at + _length(random))
    match kind:
        case 0 if at < len(out):
            out[at] ^= 1 << random.randrange(8)
        case 1 if at < len(out):
            out[at] = random.choice(_BYTES)
        case 2:
            out[at:at] = bytes(random.randrange(256) for _ in range(random.randint(1, 4)))
        case 3:
            del out[at:until]
        case 4:
            out[at:at] = out[at:until] * random.choice((1, 1, 2, 8))
        case 5 if words:
            out[at:at] = random.choice(words)
        case 6 if words:
            out[at:until] = random.choice(words)
        case 7:
            other = random.choice(pool)
            begin = random.randint(0, len(other))
            out[at : random.choice((at, until))] = other[begin : begin + _length(random) * 4]
        case 8:
            _number(random, out, at)
        case _:
            _lines(random, out)


def _length(random: Random) -> int:
    return min(int(random.expovariate(1 / 8)) + 1, GROWTH)


def _number(random: Random, out: bytearray, at: int) -> None:
    """Another number in the place of the next one."""
    begin = next((place for place in range(at, len(out)) if 0x30 <= out[place] <= 0x39), None)
    if begin is not None:
        end = begin
        while end < len(out) and 0x30 <= out[end] <= 0x39:
            end += 1
        out[begin:end] = random.choice(_NUMBERS)


def _lines(random: Random, out: bytearray) -> None:
    """Take a line away, repeat one, or change two of them."""
    lines = bytes(out).splitlines(keepends=True)
    if len(lines) > 1:
        one, other = random.randrange(len(lines)), random.randrange(len(lines))
        match random.randrange(3):
            case 0:
                del lines[one]
            case 1:
                lines.insert(other, lines[one])
            case _:
                lines[one], lines[other] = lines[other], lines[one]
        out[:] = b"".join(lines)


def mutate_json(random: Random, data: bytes, head: int = 0) -> bytes:
    """The same JSON with one node changed; the first ``head`` bytes stay. What is no JSON stays as it is."""
    try:
        tree = json.loads(data[head:])
    except (ValueError, RecursionError):
        return data
    holders = [holder for holder in _holders(tree) if holder]
    if not holders:
        return data[:head] + _dump(random.choice(_VALUES))
    holder = random.choice(holders)
    key = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match random.randrange(7):
        case 0 | 1 | 2 if isinstance(holder[key], str) and random.random() < 0.6:
            at = random.randint(0, len(holder[key]))
            holder[key] = holder[key][:at] + random.choice(_CHARACTERS) + holder[key][at + random.randrange(2) :]
        case 0 | 1 | 2:
            holder[key] = random.choice(_VALUES)
        case 3:
            other = random.choice(holders)
            holder[key] = json.loads(json.dumps(other))
        case 4:
            del holder[key]
        case _ if isinstance(holder, dict):
            holder[str(random.choice(_VALUES))] = holder[key]
        case _:
            holder.extend(holder[:40])
    try:
        return data[:head] + _dump(tree)
    except (ValueError, RecursionError):
        return data


def _holders(tree: Any) -> list[Any]:
    found, waiting = list[Any](), [tree]
    while waiting:
        match waiting.pop():
            case dict() as holder:
                found.append(holder)
                waiting += holder.values()
            case list() as holder:
                found.append(holder)
                waiting += holder
            case _:
                pass
    return found


def _dump(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


_TOML_VALUE = re.compile(rb'"[^"\n]*"|\[[^\[\]\n]*\]|\{[^{}\n]*\}|\b\d+\b|true|false')
_TOML_VALUES = (
    b'""',
    b'"x"',
    b"0",
    b"-1",
    b"1.5",
    b"1e400",
    b"true",
    b"[]",
    b'["a"]',
    b"{}",
    b"{a = 1}",
    b"1979-05-27",
    b"'''y'''",
    b'"\\u0000"',
    b'"\xe2\x80\xae"',
    b'"' + b"z" * 300 + b'"',
    b"9" * 30,
    b"[[1]]",
    b'["a", 1]',
    b"nan",
    b'"a\\nb"',
    b'"..."',
)


def mutate_toml(random: Random, data: bytes, head: int = 0) -> bytes:
    """The same TOML with one value changed or taken from elsewhere in it, or a table repeated or left out."""
    text = data[head:]
    values = list(_TOML_VALUE.finditer(text))
    tables = re.split(rb"(?m)^(?=\[)", text)
    if values and random.random() < 0.8:
        one, other = random.choice(values), random.choice(values)
        new = random.choice((random.choice(_TOML_VALUES), other[0]))
        return data[:head] + text[: one.start()] + new + text[one.end() :]
    place = random.randrange(len(tables))
    if random.random() < 0.5:
        tables.insert(random.randrange(len(tables)), tables[place])
    else:
        del tables[place]
    return data[:head] + b"".join(tables)


_CONSTRUCTED = 0x20
_TAGS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31, 0x82, 0x87, 0xA0, 0xA3)


def mutate_der(random: Random, data: bytes, head: int = 0) -> bytes:
    """The same DER with one element changed, repeated or left out, and every length around it right again."""
    elements = _elements(data[head:], random)
    return data if elements is None else data[:head] + elements


def _elements(der: bytes, random: Random) -> bytes | None:
    """All elements of this content with one change in them or below; None if it is no DER."""
    found, at = list[tuple[int, bytes]](), 0
    while at < len(der):
        if at + 2 > len(der):
            return None
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count], "big"), at + count
        if at + length > len(der):
            return None
        found.append((tag, der[at : at + length]))
        at += length
    if not found:
        return None
    place = random.randrange(len(found))
    tag, content = found[place]
    deeper = _elements(content, random) if tag & _CONSTRUCTED and random.random() < 0.85 else None
    if deeper is not None:
        found[place] = (tag, deeper)
    else:
        _change_element(random, found, place)
    return b"".join(bytes([tag]) + _der_length(len(content)) + content for tag, content in found)


def _change_element(random: Random, found: list[tuple[int, bytes]], place: int) -> None:
    tag, content = found[place]
    match random.randrange(6):
        case 0:
            found[place] = (random.choice(_TAGS), content)
        case 1:
            del found[place]
        case 2:
            found.insert(place, found[random.randrange(len(found))])
        case 3:
            found[place] = (tag, b"")
        case 4:
            found[place] = (tag, content * random.choice((2, 40)))
        case _:
            changed = bytearray(content)
            _change(random, changed, (), (content,))
            found[place] = (tag, bytes(changed))


def _der_length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    body = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(body)]) + body
