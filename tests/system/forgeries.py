"""Certificates in the names of others, by whoever can make certificates: foreign authorities, devices, nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relay.adapters.authority import create_authority
from relay.issued import Purpose
from tests.relay.identities import PASSPHRASE
from tests.system.fortress import BAD, BELL, Fortress


def make_forgeries(fortress: Fortress) -> None:
    """Identities in the names of others, by whoever can make certificates."""
    other = create_authority(fortress.folder / "other", "西湖山社区", PASSPHRASE)
    for purpose, name, folder in ((Purpose.DEVICE, BELL, "foreign-bell"), (Purpose.RELAY, "main", "foreign-relay")):
        keep(fortress, folder, other.issue(purpose, name).files())
    own_key = serialization.load_pem_private_key((fortress.papers(BAD).key or Path()).read_bytes(), None)
    assert isinstance(own_key, ec.EllipticCurvePrivateKey)
    chain = (fortress.papers(BAD).certificate or Path()).read_bytes()
    forge(fortress, "own-signature", BELL, None, b"")
    forge(fortress, "signed-by-a-device", BELL, own_key, chain)
    wu = x509.load_pem_x509_certificate(chain).subject
    forge(fortress, "signed-by-nobody", BELL, ec.generate_private_key(ec.SECP256R1()), chain, issuer=wu)


def keep(fortress: Fortress, folder: str, files: dict[str, bytes]) -> None:
    (fortress.folder / folder).mkdir()
    for name, content in files.items():
        (fortress.folder / folder / name).write_bytes(content)


def forge(
    fortress: Fortress,
    folder: str,
    name: str,
    signing: ec.EllipticCurvePrivateKey | None,
    chain: bytes,
    issuer: x509.Name | None = None,
) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    if issuer is None:
        issuer = x509.load_pem_x509_certificate(chain).subject if chain else subject
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), 4711, now - timedelta(days=1), now + timedelta(9))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(signing or key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    files = {
        "certificate.pem": made.public_bytes(serialization.Encoding.PEM) + chain,
        "key.pem": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        "ca.pem": (fortress.folder / BAD / "ca.pem").read_bytes(),
    }
    keep(fortress, folder, files)
