"""Private keys: EC P-256, as PKCS #8 in PEM, encrypted by a passphrase where there is one.

OpenSSL stretches a passphrase by 2,048 rounds of PBKDF2 only, which a graphics card does a million times a second. So
the passphrase that the PKCS #8 is encrypted with is itself stretched before, by scrypt (RFC 7914); with what, is in a
line before the PEM. To open such a key without this program:

    openssl kdf -keylen 32 -kdfopt pass:PASSPHRASE -kdfopt hexsalt:SALT -kdfopt n:N -kdfopt r:8 -kdfopt p:1 \
      -kdfopt maxmem_bytes:300000000 SCRYPT

prints it in hexadecimal; in lower case and without its colons that is the passphrase of ``openssl pkey``.
"""

from __future__ import annotations

import re
import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey
MIN_PASSPHRASE = 12
"""Characters. Four words by dice are more."""
SCRYPT_N = 2**17
"""128 MiB and half a second for each guess (OWASP's first choice)."""
_MAX_N = 2**20
_HEAD = re.compile(rb"^Stretched by scrypt: n=(\d{1,7}) r=8 p=1 salt=([0-9a-f]{32})$", re.MULTILINE)


class WrongPassphraseError(ValueError):
    """The key is encrypted, and not by this passphrase."""


def new_key() -> PrivateKey:
    """A key that nobody has had before."""
    return ec.generate_private_key(ec.SECP256R1())


def pack_key(key: PrivateKey, passphrase: str | None) -> bytes:
    """The key for a file; without a passphrase as it is."""
    if passphrase is None:
        return _pem(key, serialization.NoEncryption())
    n, salt = SCRYPT_N, secrets.token_bytes(16)
    head = f"Stretched by scrypt: n={n} r=8 p=1 salt={salt.hex()}\n".encode()
    return head + _pem(key, serialization.BestAvailableEncryption(_stretched(passphrase, n, salt)))


def unpack_key(packed: bytes, passphrase: str | None) -> PrivateKey:
    """The key from a file. ``WrongPassphraseError``, or ``ValueError`` for what is no such key."""
    stretched = None
    if head := _HEAD.search(packed):
        n, salt = int(head[1]), bytes.fromhex(head[2].decode())
        if passphrase is None or n > _MAX_N or n & (n - 1) or n < 2:
            raise WrongPassphraseError("it is encrypted, and there is no passphrase")
        stretched = _stretched(passphrase, n, salt)
    try:
        key = serialization.load_pem_private_key(packed, stretched)
    except (ValueError, TypeError) as error:
        if stretched is not None or isinstance(error, TypeError):
            raise WrongPassphraseError("the passphrase is wrong") from None
        raise
    except UnsupportedAlgorithm as error:  # which is no ValueError
        raise ValueError(f"a key of a kind that nobody here knows: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("no EC P-256 key")  # noqa: TRY004 - the file is wrong, not a type of ours
    return key


def is_encrypted(packed: bytes) -> bool:
    """Whether a passphrase is needed."""
    return _HEAD.search(packed) is not None


def _stretched(passphrase: str, n: int, salt: bytes) -> bytes:
    return Scrypt(salt, 32, n, 8, 1).derive(passphrase.encode()).hex().encode()


def _pem(key: PrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
