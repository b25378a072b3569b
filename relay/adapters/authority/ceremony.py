"""What is done with the root's key, once and then every two years: everything else does without it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from relay.adapters.authority import x509
from relay.adapters.authority.authority import (
    REVOKED,
    ROOT,
    ROOT_KEY,
    Authority,
    issuing_file,
    issuing_key_file,
)
from relay.adapters.authority.credential import Issuing
from relay.adapters.authority.keys import MIN_PASSPHRASE, WrongPassphraseError, new_key, pack_key, unpack_key
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from relay.whole_files import READABLE, make_folder_whole, write_whole

MAX_COMMUNITY = 64
"""Of an organization's name in a certificate (RFC 5280, appendix A.1)."""


def create_authority(
    folder: Path,
    community: str,
    root_passphrase: str,
    issuing_passphrase: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Authority:
    """A new authority in a folder that is not there yet. ``community``: a name for people, 1 to 64 characters.

    ``root_passphrase``: at least 12 characters. ``issuing_passphrase``: None leaves the issuing key to the file's mode.
    """
    if not 1 <= len(community) <= MAX_COMMUNITY or not community.isprintable():
        raise RefusalError(say.BAD_COMMUNITY, limit=MAX_COMMUNITY)
    for passphrase in (root_passphrase, issuing_passphrase):
        check_passphrase(passphrase)
    at = now().astimezone(UTC).replace(microsecond=0)
    root_key, issuing_key = new_key(), new_key()
    root = x509.Signer(x509.make_root(community, secrets.token_hex(4), root_key, at), root_key)
    issuing = x509.Signer(x509.make_issuing(root, 1, issuing_key, at), issuing_key)
    files = {
        ROOT: x509.pem_of(root.certificate),
        ROOT_KEY: pack_key(root_key, root_passphrase),
        issuing_file(1): x509.pem_of(issuing.certificate),
        issuing_key_file(1): pack_key(issuing_key, issuing_passphrase),
        REVOKED: x509.make_revocation_list(issuing, (), at),
    }
    try:
        make_folder_whole(folder, files)
    except FileExistsError:
        raise RefusalError(say.AUTHORITY_EXISTS, folder=folder) from None
    except OSError as error:
        raise RefusalError(say.CANNOT_WRITE, path=folder, reason=error.strerror) from None
    return Authority(folder, lambda: issuing_passphrase, now)


def renew_issuing(authority: Authority, root_passphrase: str, root_key: Path | None = None) -> Issuing:
    """A new issuing authority, which signs from now on; what the former ones have signed stands until its end.

    ``root_key``: where the root's key is, if it is not in the authority's folder. The new key is encrypted as the
    authority's other one, by its ``passphrase``.
    """
    path = root_key or authority.folder / ROOT_KEY
    if not path.is_file():
        raise RefusalError(say.NO_ROOT_KEY, path=path)
    try:
        key = unpack_key(path.read_bytes(), root_passphrase)
    except WrongPassphraseError:
        raise RefusalError(say.ROOT_PASSPHRASE, path=path) from None
    except (ValueError, OSError) as error:
        raise RefusalError(say.BAD_FILE, path=path, reason=error) from None
    if key.public_key() != authority.root.public_key():
        raise RefusalError(say.OTHER_KEY, path=path)
    at = authority.now().astimezone(UTC).replace(microsecond=0)
    if at >= authority.root.not_valid_after_utc:
        raise RefusalError(say.ROOT_ENDED, until=f"{authority.root.not_valid_after_utc.astimezone():%Y-%m-%d}")
    passphrase = authority.passphrase() if authority.issuing_key_is_encrypted else None
    number, issuing_key = authority.issuing[-1].number + 1, new_key()
    made = x509.make_issuing(x509.Signer(authority.root, key), number, issuing_key, at)
    # The certificate comes last: with it the new one is there.
    write_whole(authority.folder / issuing_key_file(number), pack_key(issuing_key, passphrase))
    write_whole(authority.folder / issuing_file(number), x509.pem_of(made), READABLE)
    again = Authority(authority.folder, authority.passphrase, authority.now)
    again.revocation_list()
    return again.issuing[-1]


def check_passphrase(passphrase: str | None) -> None:
    """``RefusalError`` for one that is too short to be guessed slowly."""
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE:
        raise RefusalError(say.SHORT_PASSPHRASE, limit=MIN_PASSPHRASE)
