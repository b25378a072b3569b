"""What a technician must know of a certificate, read from its DER form: whose, by whom, from when to when. Pure.

RFC 5280 section 4.1, and no more of it than these fields. The standard library decodes only a certificate that it has
verified, and the ones that matter here are those that it refuses; ``cryptography`` is too large for a device.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_SEQUENCE, _SET, _OID, _UTC_TIME, _TIME = 0x30, 0x31, 0x06, 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_COMMON_NAME, _ORGANISATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
_ALT_NAME = bytes.fromhex("551d11")
_DNS, _IP = 0x82, 0x87
_UTF16 = 0x1E
"""BMPString; every other string type of a name reads as UTF-8 or Latin-1."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
MAX_NAMES = 8


@dataclass(frozen=True, slots=True)
class Certificate:
    """``subject`` and ``issuer``: the common name, or the organisation where there is none. ``names``: what hosts it
    is for. Times are aware UTC."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative when it has."""
        return (self.not_after - now).days


def read_pem(pem: bytes) -> Certificate:
    """The first certificate of a PEM file. Raises ``ValueError`` if there is none."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("no certificate in PEM form")
    try:
        return read_der(base64.b64decode(found.group(1), validate=False))
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def read_der(der: bytes) -> Certificate:
    """A certificate. Raises ``ValueError`` if the bytes are none."""
    try:
        (outer,) = _items(der)
        body = next(_items(outer[1]))
        fields = [*_items(body[1])]
        if fields[0][0] == _VERSION:
            fields = fields[1:]
        _serial, _algorithm, issuer, validity, subject, *rest = fields
        starts, ends = (_time(tag, value) for tag, value in _items(validity[1]))
        names = next((_alt_names(value) for tag, value in rest if tag == _EXTENSIONS), ())
        return Certificate(_name(subject[1]), _name(issuer[1]), starts, ends, names)
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError(f"not a certificate: {error}") from None


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element of a constructed one (X.690: definite lengths)."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + length > len(data):
            raise ValueError("not a certificate: cut short")
        yield tag, data[at : at + length]
        at += length


def _name(rdns: bytes) -> str:
    found: dict[bytes, str] = {}
    for _tag, rdn in _items(rdns):
        for _tag, pair in _items(rdn):
            (_, oid), (kind, value) = _items(pair)
            found[oid] = value.decode("utf-16-be") if kind == _UTF16 else value.decode("utf-8", "replace")
    return found.get(_COMMON_NAME) or found.get(_ORGANISATION) or "?"


def _time(tag: int, value: bytes) -> datetime:
    """UTCTime with its two-digit year (50 and above is 19..), or GeneralizedTime; both end with Z."""
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text >= "5" else "20") + text
    elif tag != _TIME:
        raise ValueError("not a certificate: no time where one should be")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _alt_names(extensions: bytes) -> tuple[str, ...]:
    ((_, inner),) = _items(extensions)
    for _tag, extension in _items(inner):
        oid, *rest = [*_items(extension)]
        if oid[1] != _ALT_NAME:
            continue
        ((_, general),) = _items(rest[-1][1])
        names = (_alt_name(tag, value) for tag, value in _items(general))
        return tuple(name for name in names if name is not None)[:MAX_NAMES]
    return ()


def _alt_name(tag: int, value: bytes) -> str | None:
    if tag == _DNS:
        return value.decode("ascii", "replace")
    if tag == _IP and len(value) in (4, 16):
        return str(ipaddress.ip_address(value))
    return None
