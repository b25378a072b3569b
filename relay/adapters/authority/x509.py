"""Certificates and lists of revoked ones, as bytes: EC P-256, SHA-256, RFC 5280. No files, no clock.

With ``keys``, the only place that knows ``cryptography``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from relay.adapters.authority.keys import PrivateKey, PublicKey
from relay.issued import BROKER_ALIAS, Issued, Purpose, Revoked, Why

Certificate = x509.Certificate

BACKDATED = timedelta(days=30)
"""A certificate begins so long before it was made: a broker on a machine without a clock battery, which has been off
for less than that, lets a device in that was made meanwhile. It gives away nothing: there is no such key before."""
ROOT_LASTS = timedelta(days=10 * 365)
"""Not longer, because a device without a clock trusts to its end (docs/adr/0008)."""
ISSUING_LASTS = timedelta(days=2 * 365)
LASTS = timedelta(days=365)
"""A device, a relay, a broker. Five such lives are the root's half: nobody's card is forgotten for that long."""

_REASONS = {
    Why.LOST: x509.ReasonFlags.key_compromise,
    Why.STOLEN: x509.ReasonFlags.key_compromise,
    Why.BROKEN: x509.ReasonFlags.cessation_of_operation,
    Why.REPLACED: x509.ReasonFlags.superseded,
}
_USES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority that can sign now: its certificate and its private key."""

    certificate: Certificate
    key: PrivateKey


def make_root(name: str, number: str, key: PrivateKey, now: datetime) -> Certificate:
    """The certificate that everybody trusts; it signs issuing authorities only."""
    subject = _authority_name(name, f"Love Doorbell root {number}")
    return _authority(subject, subject, key, key, now, now + ROOT_LASTS, path_length=1)


def make_issuing(root: Signer, number: int, key: PrivateKey, now: datetime) -> Certificate:
    """An issuing authority, which signs everybody else; it ends with the root at the latest."""
    community = text_of(root.certificate.subject, NameOID.ORGANIZATION_NAME)
    root_number = text_of(root.certificate.subject, NameOID.COMMON_NAME).rpartition(" ")[2]
    subject = _authority_name(community, f"Love Doorbell issuing {root_number}-{number}")
    until = min(now + ISSUING_LASTS, root.certificate.not_valid_after_utc)
    return _authority(
        subject, root.certificate.subject, key, root.key, now, until, path_length=0, root=root.certificate
    )


def make_certificate(issuing: Signer, line: Issued, key: PublicKey) -> Certificate:
    """The certificate of a device, a relay or a broker, as its line in the register says."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, line.name), x509.NameAttribute(NameOID.SERIAL_NUMBER, line.number)]
    )
    issuer = issuing.certificate
    uses = {
        Purpose.DEVICE: [ExtendedKeyUsageOID.CLIENT_AUTH],
        Purpose.RELAY: [ExtendedKeyUsageOID.CLIENT_AUTH],
        # The brokers of a cluster, or of a bridged pair, are one another's clients.
        Purpose.BROKER: [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    }
    made = (
        x509.CertificateBuilder(issuer.subject, subject, key, int(line.serial, 16), line.since, line.until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses[line.purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_key_identifier(issuer), critical=False)
    )
    if line.purpose is Purpose.BROKER:
        names = x509.SubjectAlternativeName([_general_name(host) for host in (*line.hosts, BROKER_ALIAS)])
        made = made.add_extension(names, critical=False)
    return made.sign(issuing.key, hashes.SHA256())


def make_revocation_list(issuing: Signer, revoked: Iterable[tuple[Issued, Revoked]], now: datetime) -> bytes:
    """The list of one issuing authority, PEM.

    It is good until that authority ends. A broker refuses *everybody* when its list is out of date, and the list goes
    to the broker as a file: a date could only turn a forgotten renewal into a community that hears nothing.
    """
    issuer = issuing.certificate
    until = issuer.not_valid_after_utc
    made = (
        x509.CertificateRevocationListBuilder(issuer.subject, min(now - BACKDATED, until - timedelta(days=1)), until)
        .add_extension(_key_identifier(issuer), critical=False)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    )
    for one, taken in revoked:
        made = made.add_revoked_certificate(
            x509.RevokedCertificateBuilder(int(one.serial, 16), taken.at)
            .add_extension(x509.CRLReason(_REASONS[taken.why]), critical=False)
            .build()
        )
    return made.sign(issuing.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_revocation_lists(pem: bytes) -> dict[str, frozenset[str]]:
    """The serial numbers in each list of a file, by the name of who made it. ``ValueError`` if it is none."""
    end = b"-----END X509 CRL-----\n"
    with _refusing():
        lists = [x509.load_pem_x509_crl(part + end) for part in pem.split(end)[:-1]]
        return {_told(one.issuer): frozenset(f"{taken.serial_number:x}" for taken in one) for one in lists}


def read_request(pem: bytes) -> tuple[str, PublicKey]:
    """The name that a request (PKCS #10, PEM) asks for, and its key. Whatever else it asks for is not heard.

    ``ValueError`` for what is no request, is not signed by its own key, or has a key that is not EC P-256.
    """
    with _refusing():
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("its key is not EC P-256")  # noqa: TRY004 - the file is wrong, not a type of ours
        if not request.is_signature_valid:
            raise ValueError("it is not signed by its own key")
        return text_of(request.subject, NameOID.COMMON_NAME), key


def load_certificate(pem: bytes) -> Certificate:
    """The first certificate of a file. ``ValueError`` if it has none."""
    with _refusing():
        loaded = x509.load_pem_x509_certificate(pem)
        loaded.subject, loaded.issuer  # noqa: B018 - read only when they are asked for, and only then refused
        return loaded


def serial_of(pem: bytes) -> str:
    """The serial number of the first certificate of a file, as it is in the register. ``ValueError`` if it has none."""
    return f"{load_certificate(pem).serial_number:x}"


def der_of(pem: bytes) -> bytes:
    """The first certificate of a file as TLS shows it. ``ValueError`` if it has none."""
    return load_certificate(pem).public_bytes(serialization.Encoding.DER)


def pem_of(certificate: Certificate) -> bytes:
    """The certificate, PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: Certificate) -> str:
    """SHA-256, in pairs, as a person compares it with another screen or a sheet of paper."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def text_of(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """One attribute of a name; empty without it."""
    return next((str(one.value) for one in name.get_attributes_for_oid(oid)), "")


def community_of(certificate: Certificate) -> str:
    """Whose authority it is."""
    return text_of(certificate.subject, NameOID.ORGANIZATION_NAME)


def name_of(certificate: Certificate) -> str:
    """The subject, as text."""
    return _told(certificate.subject)


def usable_host(host: str) -> bool:
    """Whether a broker's certificate can be for it."""
    try:
        _general_name(host)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def _refusing() -> Iterator[None]:
    """``ValueError`` also for what the library tells otherwise: a version, a curve, a signature, a name that it does
    not know."""
    try:
        yield
    except (UnsupportedAlgorithm, x509.InvalidVersion, TypeError) as error:
        raise ValueError(str(error)) from None


def _authority_name(community: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, community),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    signing: PrivateKey,
    now: datetime,
    until: datetime,
    *,
    path_length: int,
    root: Certificate | None = None,
) -> Certificate:
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - BACKDATED, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if root is not None:
        made = made.add_extension(_key_identifier(root), critical=False)
    return made.sign(signing, hashes.SHA256())


def _told(name: x509.Name) -> str:
    return name.rfc4514_string()


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        **dict.fromkeys(_USES, False),
    )


def _key_identifier(issuer: Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    if len(host) > 253 or not all(_is_label(label) for label in labels) or labels[-1].isdigit():
        raise ValueError(f"{host}: neither a host name nor an address")
    return x509.DNSName(host)


def _is_label(label: str) -> bool:
    plain = label.replace("-", "a")
    return 1 <= len(label) <= 63 and plain.isascii() and plain.isalnum() and label[0] != "-" != label[-1]
