"""The authority in its folder: who was given what, and who is not let in any more.

``root.pem``, the certificate that everybody trusts; ``root-key.pem``, which may be elsewhere; ``issuing-1.pem`` with
``issuing-1-key.pem``, and the next number after each renewal; ``issued.jsonl``, the register (``relay.issued``);
``revoked.pem``, the lists of what was taken back.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from relay.adapters.authority import x509
from relay.adapters.authority.credential import Credential, Issuing
from relay.adapters.authority.keys import PublicKey, WrongPassphraseError, is_encrypted, new_key, pack_key, unpack_key
from relay.issued import (
    Identity,
    Issued,
    IssuedRegister,
    Purpose,
    Revoked,
    Why,
    bare_name,
    common_name,
    format_line,
    parse_lines,
    purpose_of,
)
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from relay.whole_files import READABLE, append_whole, give_away, write_whole

NEVER = (say.BAD_REQUEST, say.OTHER_NAME, say.TOO_OFTEN, say.NOTHING_TO_RENEW)
"""Why a request is refused that would be refused again."""
ROOT, ROOT_KEY, REGISTER, REVOKED, LOCK = "root.pem", "root-key.pem", "issued.jsonl", "revoked.pem", "lock"


PASSING = timedelta(minutes=15)
RENEWED_WITHIN, MAX_RENEWED = timedelta(days=7), 5
"""A device renews once in most of a year; one that has lost what it was given asks again on the next day."""


@dataclass
class Authority:
    """The authority of a folder. ``RefusalError`` if there is none, or if it cannot be read.

    ``passphrase``: asked for the issuing key's, if that is encrypted. ``now``: the wall clock.
    """

    folder: Path
    passphrase: Callable[[], str | None] = lambda: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    root: x509.Certificate = field(init=False)
    issuing: tuple[Issuing, ...] = field(init=False)
    """Every issuing authority there has been; the last one signs."""

    def __post_init__(self) -> None:
        if not (self.folder / ROOT).exists():
            raise RefusalError(say.NO_AUTHORITY, folder=self.folder)
        self.root = self._certificate(ROOT)
        found: list[Issuing] = []
        while (self.folder / issuing_file(len(found) + 1)).exists():
            number = len(found) + 1
            found.append(Issuing(number, self._certificate(issuing_file(number))))
        if not found:
            raise RefusalError(say.NO_FILE, path=self.folder / issuing_file(1))
        self.issuing = tuple(found)

    @property
    def community(self) -> str:
        """Whose authority it is."""
        return x509.community_of(self.root)

    @property
    def ca(self) -> bytes:
        """The root's certificate, PEM: whom everybody trusts."""
        return x509.pem_of(self.root)

    @property
    def root_key_file(self) -> Path:
        """Where the root's key is made; it may have been taken away since."""
        return self.folder / ROOT_KEY

    @property
    def revoked_file(self) -> Path:
        """The lists of what was taken back."""
        return self.folder / REVOKED

    @property
    def root_key_is_here(self) -> bool:
        """Whether the root's key lies on this machine, where it need not be."""
        return self.root_key_file.exists()

    @property
    def issuing_key_is_encrypted(self) -> bool:
        """Whether the key that signs every day needs a passphrase."""
        return is_encrypted(self._read(issuing_key_file(self.issuing[-1].number)))

    def register(self) -> IssuedRegister:
        """All that was issued and taken back."""
        return self._register()[0]

    def check_signing(self) -> None:
        """``RefusalError`` unless something could be issued now: the key is there, its passphrase is right."""
        self._signer(self._now())

    def issue(
        self, purpose: Purpose, name: str, *, hosts: tuple[str, ...] = (), replacing: Why | None = None
    ) -> Credential:
        """A new identity with a new key. ``hosts``: the names and addresses under which a broker is reached.

        ``replacing``: take back the identity that this name has, for this reason. Without it a name that has one is
        refused.
        """
        key = new_key()
        return self._give(purpose, name, key.public_key(), pack_key(key, None), hosts=hosts, replacing=replacing)

    def reissue(self, one: Identity) -> Credential:
        """A new certificate with a new key for an identity that stays the same one, also if it has ended; not if it was
        taken back, or if another has its name by now. For a machine whose files we can write."""
        key = new_key()
        name = bare_name(one.name)
        return self._give(
            one.purpose,
            name,
            key.public_key(),
            pack_key(key, None),
            hosts=one.newest.hosts,
            renewing=True,
            number=one.number,
        )

    def sign(
        self, request: bytes, purpose: Purpose, *, renewing: bool = False, replacing: Why | None = None
    ) -> Credential:
        """A certificate for somebody who has made the key and a request (PKCS #10, PEM) themselves.

        ``renewing``: for the identity that this name has, which stays the same one. ``replacing``: as for ``issue``.
        Otherwise a name that has one is refused.
        """
        try:
            name, key = x509.read_request(request)
        except ValueError as error:
            raise RefusalError(say.BAD_REQUEST, reason=error) from None
        return self._give(purpose, name, key, None, renewing=renewing, replacing=replacing)

    def renew(self, request: bytes, name: str) -> Credential:
        """A new certificate for the identity that ``name`` has, which has sent this request itself.

        Refused with one of ``NEVER`` if it must not have one; with another ``RefusalError`` if none can be made now.
        """
        try:
            asked, key = x509.read_request(request)
        except ValueError as error:
            raise RefusalError(say.BAD_REQUEST, reason=error) from None
        if asked != name or purpose_of(name) is not Purpose.DEVICE:
            raise RefusalError(say.OTHER_NAME, name=asked[:64], device=name)
        now = self._now()
        standing = self.register().standing(name, now)
        made = [one for one in standing.certificates if one.at > now - RENEWED_WITHIN] if standing is not None else []
        if len(made) > MAX_RENEWED:
            raise RefusalError(say.TOO_OFTEN, name=name, count=len(made))
        return self._give(Purpose.DEVICE, name, key, None, renewing=True)

    def revoke(self, name: str, why: Why) -> Identity:
        """Take back the identity of this name. Its certificates are in the list of revoked ones when this returns."""
        with self._writing():
            register, size = self._register()
            now = self._now()
            signers = self._signers(now)
            standing = register.standing(name, now)
            if standing is None:
                if name not in register.names:
                    raise RefusalError(say.UNKNOWN_IDENTITY, name=name)
                self._write_revoked(register, now, signers)  # what was stopped half-way before is done now
                raise RefusalError(say.NOTHING_TO_REVOKE, name=name)
            self._add(register, size, Revoked(at=now, name=name, number=standing.number, why=why))
            self._write_revoked(register, now, signers)
            return next(one for one in register.names[name] if one.number == standing.number)

    def is_of(self, one: Identity, certificate: bytes) -> bool:
        """Whether this certificate (PEM) is one of that identity, made by this authority."""
        try:
            serial = x509.serial_of(certificate)
        except ValueError:
            return False
        return any(line.serial == serial for line in one.certificates)

    def line_of(self, one: Identity, certificate: bytes) -> Issued:
        """The line of this certificate (PEM) of that identity; ``is_of`` has said that it is one."""
        serial = x509.serial_of(certificate)
        return next(line for line in one.certificates if line.serial == serial)

    def would_last(self, now: datetime) -> datetime:
        """Until when a certificate would be good that was made now."""
        return min(now + x509.LASTS, self.issuing[-1].until)

    def passing(self, one: Identity) -> Credential:
        """A client's certificate of this identity that is good for a quarter of an hour: to take its place at a broker,
        or to be refused by it.

        It is in no register, and nothing of it is kept: whoever was taken back has no rights at a broker.
        """
        return self._passing(one.newest, _serial(), self._signer(self._now()))

    def twin(self, line: Issued) -> Credential:
        """The same with a certificate's own serial number: who has read the list in which that one is refuses this."""
        issuing = next(one for one in self.issuing if one.number == line.issuer)
        return self._passing(line, line.serial, self._signer_of(issuing))

    def revocation_list(self) -> bytes:
        """The lists of all issuing authorities that have not ended, PEM: exactly what the register says."""
        with self._writing():
            register, _ = self._register()
            now = self._now()
            if (current := self._current_lists(register, now)) is not None:
                return current
            return self._write_revoked(register, now, self._signers(now))

    # -----------------------------------------------------------------------------------------------------------------

    def _give(
        self,
        purpose: Purpose,
        name: str,
        key: PublicKey,
        packed: bytes | None,
        *,
        hosts: tuple[str, ...] = (),
        renewing: bool = False,
        number: str | None = None,
        replacing: Why | None = None,
    ) -> Credential:
        user = common_name(purpose, name)
        if user is None:
            raise RefusalError(say.BAD_NAMES[purpose], name=name)
        _check_hosts(purpose, hosts)
        with self._writing():
            register, size = self._register()
            now = self._now()
            standing = register.standing(user, now) if number is None else register.renewable(user, number, now)
            if standing is not None and not renewing and replacing is None:
                raise RefusalError(say.HAS_IDENTITY, name=user, until=f"{standing.until.astimezone():%Y-%m-%d}")
            if standing is None and renewing:
                raise RefusalError(say.NOTHING_TO_RENEW, name=user)
            signer = self._signer(now)
            number = standing.number if standing is not None and renewing else secrets.token_hex(8)
            line = Issued(
                at=now,
                name=user,
                number=number,
                serial=_serial(),
                purpose=purpose,
                since=now - x509.BACKDATED,
                until=self.would_last(now),
                issuer=self.issuing[-1].number,
                hosts=hosts,
            )
            made = x509.make_certificate(signer, line, key)
            if standing is not None and replacing is not None:
                signers = self._signers(now)
                size = self._add(register, size, Revoked(at=now, name=user, number=standing.number, why=replacing))
                self._write_revoked(register, now, signers)
            # Nothing leaves here that the register does not know: it could not be taken back.
            self._add(register, size, line)
            chain = x509.pem_of(made) + x509.pem_of(signer.certificate)
            return Credential(line, chain, self.ca, packed)

    def _passing(self, line: Issued, serial: str, signer: x509.Signer) -> Credential:
        now, key = self._now(), new_key()
        good = {"since": now - x509.BACKDATED, "until": now + PASSING}
        made = line.model_copy(update={"serial": serial, "purpose": Purpose.DEVICE, **good})
        chain = x509.pem_of(x509.make_certificate(signer, made, key.public_key())) + x509.pem_of(signer.certificate)
        return Credential(made, chain, self.ca, pack_key(key, None))

    def _signer(self, now: datetime) -> x509.Signer:
        issuing = self.issuing[-1]
        if now < issuing.certificate.not_valid_before_utc + x509.BACKDATED:
            raise RefusalError(say.CLOCK_BEHIND, now=f"{now.astimezone():%Y-%m-%d %H:%M}")
        if now >= issuing.until:
            raise RefusalError(say.ISSUING_ENDED, until=f"{issuing.until.astimezone():%Y-%m-%d}")
        return self._signer_of(issuing)

    def _signer_of(self, issuing: Issuing) -> x509.Signer:
        path = self.folder / issuing_key_file(issuing.number)
        try:
            key = unpack_key(self._read(path.name), self.passphrase())
        except WrongPassphraseError:
            raise RefusalError(say.ISSUING_PASSPHRASE, path=path) from None
        except ValueError as error:
            raise RefusalError(say.BAD_FILE, path=path, reason=error) from None
        if key.public_key() != issuing.certificate.public_key():
            raise RefusalError(say.OTHER_KEY, path=path)
        return x509.Signer(issuing.certificate, key)

    def _signers(self, now: datetime) -> dict[int, x509.Signer]:
        """All that have not ended, by number."""
        return {one.number: self._signer_of(one) for one in self.issuing if one.until > now}

    def _write_revoked(self, register: IssuedRegister, now: datetime, signers: Mapping[int, x509.Signer]) -> bytes:
        lists = b"".join(
            x509.make_revocation_list(signer, register.revoked_by(number, now), now)
            for number, signer in signers.items()
        )
        write_whole(self.folder / REVOKED, lists, READABLE)
        return lists

    def _current_lists(self, register: IssuedRegister, now: datetime) -> bytes | None:
        """The lists that are there, if they say what the register says."""
        path = self.folder / REVOKED
        try:
            raw = path.read_bytes()
            there = x509.read_revocation_lists(raw)
        except (FileNotFoundError, ValueError):
            return None
        for one in self.issuing:
            taken = {line.serial for line, _ in register.revoked_by(one.number, now)}
            listed = there.get(x509.name_of(one.certificate))
            if one.until > now and (listed is None or not taken <= listed):
                return None
        return raw

    def _register(self) -> tuple[IssuedRegister, int]:
        path = self.folder / REGISTER
        return parse_lines(self._read(REGISTER) if path.exists() else b"", path)

    def _add(self, register: IssuedRegister, size: int, line: Issued | Revoked) -> int:
        """Write a line after the first ``size`` bytes; the size of the register now."""
        raw = format_line(line)
        append_whole(self.folder / REGISTER, size, raw)
        register.add(line)
        return size + len(raw)

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise RefusalError(say.CANNOT_READ, path=path, reason=error.strerror) from None

    def _certificate(self, name: str) -> x509.Certificate:
        try:
            return x509.load_certificate(self._read(name))
        except ValueError as error:
            raise RefusalError(say.BAD_FILE, path=self.folder / name, reason=error) from None

    def _now(self) -> datetime:
        return self.now().astimezone(UTC).replace(microsecond=0)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One at a time: another command waits."""
        path = self.folder / LOCK
        try:
            with path.open("a") as lock:
                give_away(lock.fileno(), path)
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise RefusalError(say.CANNOT_WRITE, path=error.filename or path, reason=error.strerror) from None


def issuing_file(number: int) -> str:
    """Where the certificate of an issuing authority is."""
    return f"issuing-{number}.pem"


def issuing_key_file(number: int) -> str:
    """Where its key is."""
    return f"issuing-{number}-key.pem"


def _serial() -> str:
    """By chance, so that nobody can know the next one (CA/Browser Forum, 7.1)."""
    return f"{secrets.randbits(150) | 1 << 150:x}"


def _check_hosts(purpose: Purpose, hosts: tuple[str, ...]) -> None:
    if purpose is not Purpose.BROKER:
        return
    if not hosts:
        raise RefusalError(say.NO_HOST)
    for host in hosts:
        if not x509.usable_host(host):
            raise RefusalError(say.BAD_HOST, host=host)
