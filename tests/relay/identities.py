"""An authority for tests: by a clock of our own, and with passphrases that cost nothing to stretch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from relay.adapters.authority import Authority, Credential, create_authority, keys
from relay.adapters.authority.x509 import load_certificate
from relay.texts.refusal import RefusalError

BEGAN = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PASSPHRASE = "correct horse battery"
SCRYPT_N = 2


@dataclass
class Calendar:
    """A clock that stands."""

    at: datetime = BEGAN

    def now(self) -> datetime:
        return self.at

    def pass_by(self, days: float) -> None:
        self.at += days * DAY


@pytest.fixture
def calendar() -> Calendar:
    """The day on which the authority is made."""
    return Calendar()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is stretched in no time."""
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)


@pytest.fixture
def authority(cheap: None, calendar: Calendar, tmp_path: Path) -> Authority:
    """A fresh one."""
    return create_authority(tmp_path / "authority", "西湖山社区", PASSPHRASE, now=calendar.now)


CERTIFICATE_END = b"-----END CERTIFICATE-----\n"


def chain_of(made: Credential) -> list[x509.Certificate]:
    return [load_certificate(part + CERTIFICATE_END) for part in made.chain.split(CERTIFICATE_END)[:-1]]


def lets_in(made: Credential, at: datetime, ca: bytes | None = None) -> bool:
    """Whether a server that trusts the root lets this client in, by RFC 5280 and at that time."""
    leaf, *rest = chain_of(made)
    nameless = ExtensionPolicy.webpki_defaults_ee().may_be_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    )
    policy = PolicyBuilder().store(Store([load_certificate(ca or made.ca)])).time(at)
    verifier = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=nameless
    ).build_client_verifier()
    try:
        verifier.verify(leaf, rest)
    except VerificationError:
        return False
    return True


def revoked_in(raw: bytes) -> set[str]:
    """The serials in every list of a file, all of which must be there to be read by a broker."""
    end = b"-----END X509 CRL-----\n"
    return {f"{one.serial_number:x}" for part in raw.split(end)[:-1] for one in x509.load_pem_x509_crl(part + end)}


def request_of(name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    asking = x509.CertificateSigningRequestBuilder(subject).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    made = asking.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def refused(refusal: pytest.ExceptionInfo[RefusalError], text: object) -> bool:
    return refusal.value.text is text
