"""What a stranger brings to be signed, and files of kinds that the library does not know: refused, never a crash.

All of these were found by `make fuzz`. For most of them the library raises no ``ValueError``, so the commands ended
with a trace.
"""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from relay.adapters.authority import Authority, keys
from relay.adapters.authority.x509 import load_certificate
from relay.issued import Purpose
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from tests.relay.identities import CERTIFICATE_END, authority, calendar, cheap, refused, request_of

__all__ = ["authority", "calendar", "cheap"]


def altered_request(before: bytes, after: bytes) -> bytes:
    """A request with other bytes in it, as many, that is signed by its own key nevertheless."""
    assert len(before) == len(after)
    key = ec.generate_private_key(ec.SECP256R1())
    whole = x509.load_pem_x509_csr(request_of("bell-peng", key))
    altered = whole.tbs_certrequest_bytes.replace(before, after)
    signature = key.sign(altered, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
    body = altered + algorithm + b"\x03" + bytes([len(signature) + 1, 0]) + signature
    length = b"\x81" + bytes([len(body)]) if len(body) < 256 else b"\x82" + len(body).to_bytes(2, "big")
    der = b"\x30" + length + body
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE REQUEST-----\n"


P256 = bytes.fromhex("06082a8648ce3d030107")


def test_a_request_made_by_hand_is_signed(authority: Authority) -> None:
    """What the next test alters: otherwise it would prove nothing."""
    assert authority.sign(altered_request(b"bell-peng", b"bell-pang"), Purpose.DEVICE).line.name == "bell-pang"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\x02\x01\x00", b"\x02\x01\x20"),
        (P256, P256[:-1] + b"\x63"),
        (bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0263")),
        (b"\x0c\x09bell-peng", b"\x03\x09\x00ell-peng"),
        (b"\x0c\x09bell-peng", b"\x1e\x09bell-peng"),
        (b"\x0c\x09bell-peng", b"\x0c\x09\xffell-peng"),
    ],
    ids=["version", "curve", "kind of key", "name of bits", "half a character", "no UTF-8"],
)
def test_a_request_that_the_library_does_not_know_is_refused(authority: Authority, before: bytes, after: bytes) -> None:
    with pytest.raises(RefusalError) as refusal:
        authority.sign(altered_request(before, after), Purpose.DEVICE)
    assert refused(refusal, say.BAD_REQUEST)
    assert list(authority.register()) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(P256, P256[:-1] + b"\x63"), (bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0263"))],
)
def test_a_key_of_an_unknown_kind_is_no_key(before: bytes, after: bytes) -> None:
    packed = keys.pack_key(keys.new_key(), None)
    der = base64.b64decode(b"".join(packed.splitlines()[1:-1])).replace(before, after)
    head, tail = packed.splitlines()[0], packed.splitlines()[-1]
    with pytest.raises(ValueError, match="kind"):
        keys.unpack_key(b"\n".join((head, base64.b64encode(der), tail, b"")), None)


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06"), (b"\x0c\x09bell-peng", b"\x03\x09\x00ell-peng")],
    ids=["version", "name of bits"],
)
def test_a_certificate_that_the_library_does_not_know_is_none(
    authority: Authority, before: bytes, after: bytes
) -> None:
    made = load_certificate(authority.issue(Purpose.DEVICE, "bell-peng").chain)
    der = made.public_bytes(serialization.Encoding.DER)
    assert before in der
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der.replace(before, after)) + CERTIFICATE_END
    with pytest.raises(ValueError, match=r"version|BitString"):
        load_certificate(pem)
