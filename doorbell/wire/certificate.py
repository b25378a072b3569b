"""How a certificate is named in an event: by its SHA-256, which device and relay work out from the same text. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import sha256

_FIRST = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")


def certificate_mark(pem: str) -> str | None:
    """SHA-256 of the first certificate of a PEM text, 64 hex digits; None if there is none."""
    found = _FIRST.search(pem)
    try:
        return None if found is None else sha256(b64decode(found[1])).hexdigest()
    except ValueError:  # binascii.Error: cut short
        return None
