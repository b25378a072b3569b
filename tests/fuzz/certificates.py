"""Certificates and requests: what a stranger brings to be signed, and what a device reads of anybody's."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from device.doctor.x509 import read_pem
from doorbell.certificates import read_identity_number, read_validities
from relay.adapters.authority import keys
from relay.adapters.authority import x509 as ours
from relay.issued import Issued, Purpose
from tests.fuzz.mutate import mutate_der
from tests.fuzz.subject import Subject, holds, scratch

_NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----\n(.+?)-----END [A-Z0-9 ]+-----\n", re.DOTALL)
_WORDS = (
    bytes.fromhex("0603550403"),
    bytes.fromhex("0603550405"),
    bytes.fromhex("0603551d11"),
    b"\x30\x80",
    b"\x30\x82\xff\xff",
    b"\x30\x84\xff\xff\xff\xff",
    b"\xa0\x03\x02\x01\x02",
    b"\x17\x0d",
    b"\x18\x0f",
    b"991231235959Z",
    b"20500101000000Z",
    bytes.fromhex("06082a8648ce3d030107"),
    bytes.fromhex("06052b81040022"),
    bytes.fromhex("06092a864886f70d01010b"),
    bytes.fromhex("06032b6570"),
    bytes.fromhex("06082a8648ce3d040302"),
    b"\x1e\x03",
    b"\x0c",
    b"\x13",
    b"\x02\x01",
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"\n",
)


def _authority() -> tuple[ours.Signer, ours.Signer]:
    root_key, key = keys.new_key(), keys.new_key()
    root = ours.Signer(ours.make_root("西湖山社区", "0a", root_key, _NOW), root_key)
    return root, ours.Signer(ours.make_issuing(root, 1, key, _NOW), key)


def _issued(name: str, purpose: Purpose) -> Issued:
    until = _NOW + timedelta(days=365)
    hosts = ("192.168.1.10", "doorbell.local") if purpose is Purpose.BROKER else ()
    return Issued(
        at=_NOW,
        name=name,
        number="0a1b",
        serial="1f2e",
        purpose=purpose,
        since=_NOW,
        until=until,
        issuer=1,
        hosts=hosts,
    )


def _certificates() -> list[bytes]:
    root, issuing = _authority()
    named = ((Purpose.DEVICE, "bell-peng"), (Purpose.RELAY, "relay-main"), (Purpose.BROKER, "broker.first"))
    made = [ours.make_certificate(issuing, _issued(name, purpose), issuing.key.public_key()) for purpose, name in named]
    return [ours.pem_of(one) for one in (root.certificate, issuing.certificate, *made)]


def _der_of(pem: bytes) -> bytes:
    found = _PEM.search(pem)
    return base64.b64decode(found[1]) if found else b""


def _as_pem(kind: bytes, data: bytes) -> bytes:
    """First byte odd: the rest is DER and is wrapped up; even: it is the file."""
    if not data or not data[0] & 1:
        return data[1:]
    body = base64.encodebytes(data[1:])
    return b"-----BEGIN " + kind + b"-----\n" + body + b"-----END " + kind + b"-----\n"


def _both(pems: list[bytes]) -> list[bytes]:
    return [b"\x00" + pem for pem in pems] + [b"\x01" + _der_of(pem) for pem in pems]


def _in_der(random: Random, data: bytes) -> bytes:
    """A change of the DER, also of what is in a PEM file (which becomes DER)."""
    if data[:1] and not data[0] & 1:
        try:
            data = b"\x01" + _der_of(data[1:])
        except ValueError:
            return data
    return mutate_der(random, data, 1)


def device_readers() -> Subject:
    """The three readers of a device that has no library for it: of a stranger's certificate, and of its own files."""
    file = scratch() / "certificate.pem"

    def run(data: bytes) -> str:
        pem = _as_pem(b"CERTIFICATE", data)
        file.write_bytes(pem)
        validities, number = read_validities(file), read_identity_number(file)
        holds("times with a zone", all(one.not_before.tzinfo is not None for one in validities))
        holds("a number that can stand in a client id", number is None or number.isalnum())
        try:
            read = read_pem(pem)
        except ValueError:
            return f"refused, {min(len(validities), 2)} validities, {'a' if number else 'no'} number"
        (read.subject + read.issuer + "".join(read.names)).encode("utf-8", "surrogatepass")
        read.days_left(_NOW)
        return f"read, {min(len(validities), 2)} validities, {'a' if number else 'no'} number"

    return Subject(run, lambda: _both(_certificates()), _WORDS, _in_der)


def requests() -> Subject:
    """PKCS #10: what somebody asks the authority to sign. Refused by ``ValueError``, or a name and a P-256 key."""

    def run(data: bytes) -> str:
        try:
            name, key = ours.read_request(_as_pem(b"CERTIFICATE REQUEST", data))
        except ValueError:
            return "refused"
        holds("a P-256 key", isinstance(key.curve, ec.SECP256R1))
        name.encode("utf-8", "surrogatepass")
        return "a request"

    def seeds() -> list[bytes]:
        made = []
        for name, key, digest in (
            ("bell-peng", keys.new_key(), hashes.SHA256()),
            ("bell-peng", ec.generate_private_key(ec.SECP384R1()), hashes.SHA512()),
        ):
            asking = x509.CertificateSigningRequestBuilder(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            made.append(asking.sign(key, digest).public_bytes(serialization.Encoding.PEM))
        return _both(made)

    return Subject(run, seeds, _WORDS, _in_der, max_len=2_048)


def authority_files() -> Subject:
    """First byte: certificate, list of revoked ones or key; the second: PEM or DER. All refuse by ``ValueError``."""
    kinds = (b"CERTIFICATE", b"X509 CRL", b"PRIVATE KEY")

    def run(data: bytes) -> str:
        kind = data[0] % 3 if data else 0
        pem = _as_pem(kinds[kind], data[1:])
        try:
            if kind == 0:
                one = ours.load_certificate(pem)
                ours.name_of(one), ours.community_of(one), ours.fingerprint(one), ours.serial_of(pem)
            elif kind == 1:
                ours.read_revocation_lists(pem)
            else:
                keys.unpack_key(pem, None)
        except ValueError:
            return f"{kinds[kind].decode()} refused"
        return kinds[kind].decode()

    def seeds() -> list[bytes]:
        _root, issuing = _authority()
        private = [keys.pack_key(keys.new_key(), None)]
        lists = [ours.make_revocation_list(issuing, (), _NOW)]
        groups = (_certificates(), lists, private)
        return [bytes([kind]) + one for kind, group in enumerate(groups) for one in _both(group)]

    def change(random: Random, data: bytes) -> bytes:
        return data[:1] + _in_der(random, data[1:])

    words = (*_WORDS, b"-----BEGIN ENCRYPTED PRIVATE " + b"KEY-----\n", b"Proc-Type: 4,ENCRYPTED\n")
    return Subject(run, seeds, words, change)
