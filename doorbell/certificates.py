"""When a certificate is valid and whose it is: all of X.509 that the daemon needs, which has no library for it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SERIAL_NUMBER = bytes.fromhex("0603550405")
"""The attribute ``serialNumber`` of a name (2.5.4.5), as it is encoded."""
_INTEGER, _SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x02, 0x30, 0x17, 0x18, 0xA0
_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when, both included; aware UTC."""

    not_before: datetime
    not_after: datetime


def read_validities(path: Path) -> tuple[Validity, ...]:
    """The validity of every certificate in a PEM file, in its order. What is no certificate is passed over: whether
    the file can be used is for OpenSSL to say. Raises ``OSError``."""
    found = []
    for pem in _PEM.findall(path.read_text("ascii", "replace")):
        try:
            found.append(validity_of(ssl.PEM_cert_to_DER_cert(pem)))
        except (ValueError, IndexError):  # cut short, or no base64 (binascii.Error is a ValueError)
            continue
    return tuple(found)


def read_first(path: Path) -> bytes | None:
    """The first certificate of a file, DER; None where there is none or it cannot be read."""
    try:
        found = _PEM.search(path.read_text("ascii", "replace"))
        return ssl.PEM_cert_to_DER_cert(found[0]) if found is not None else None
    except (OSError, ValueError):
        return None


def read_identity_number(path: Path) -> str | None:
    """The number of an identity, which our authority writes into the subject (docs/adr/0012); None without one, or
    where the file cannot be read: that is told where it is used."""
    try:
        subject = _subject(read_first(path) or b"")
        _, attribute, value = subject.partition(_SERIAL_NUMBER)
        number = _element(value)[1].decode("ascii") if attribute else ""
    except (ValueError, IndexError):
        return None
    return number if number.isalnum() else None


def validity_of(der: bytes) -> Validity:
    """The validity of one certificate, as TLS shows it. ``ValueError`` or ``IndexError`` for what is none."""
    _, times, _ = _element(_from_validity(der))
    first, begins, times = _element(times)
    last, ends, _ = _element(times)
    return Validity(_time(first, begins), _time(last, ends))


def _subject(der: bytes) -> bytes:
    _, _, rest = _element(_from_validity(der))
    return _element(rest)[1]


def _from_validity(der: bytes) -> bytes:
    """RFC 5280, 4.1: Certificate { TBSCertificate { [version], serial, algorithm, issuer, validity, subject ... } }."""
    _, certificate, _ = _element(der)
    _, fields, _ = _element(certificate)
    for wanted in (_VERSION, _INTEGER, _SEQUENCE, _SEQUENCE):
        tag, _, rest = _element(fields)
        if tag == wanted:
            fields = rest
        elif wanted != _VERSION:  # only the version may be left out
            raise ValueError("no certificate")
    return fields


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """The first element's tag and content, and what comes after it (DER: definite lengths only)."""
    tag, length, at = der[0], der[1], 2
    if length & _LONG_FORM:
        at += length & ~_LONG_FORM
        length = int.from_bytes(der[2:at], "big")
    if len(der) < at + length:
        raise ValueError("cut short")
    return tag, der[at : at + length], der[at + length :]


def _time(tag: int, content: bytes) -> datetime:
    """RFC 5280, 4.1.2.5: two digits of the year up to 2049, four from 2050; seconds and Z always."""
    text = content.decode("ascii")
    match tag:
        case t if t == _UTC_TIME:
            text = ("19" if text[0] >= "5" else "20") + text
        case t if t == _GENERALIZED_TIME:
            pass
        case _:
            raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
