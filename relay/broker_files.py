"""The folder of a broker's configuration: what should be in it, whether it is, and putting it there.

The broker's certificate and key are there before, made by ``doorbell-relay authority issue broker``; the rest follows
from the settings, the register and what the authority has issued, and is the same each time that nothing has changed.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.broker_mosquitto import ACL, mosquitto_files
from relay.broker_nats import nats_files
from relay.broker_rights import CONFIGURATION, Access, mark_in
from relay.broker_settings import BrokerKind, BrokerSettings
from relay.issued import Identity
from relay.texts import broker as say
from relay.texts.refusal import RefusalError
from relay.whole_files import make_private, write_whole

CERTIFICATE, KEY = "certificate.pem", "key.pem"


@dataclass(frozen=True, slots=True)
class BrokerFolder:
    """The folder of one broker's configuration."""

    settings: BrokerSettings
    folder: Path

    def wanted(self, own: Identity, access: Access, ca: bytes, revoked: bytes) -> dict[str, bytes]:
        """What should be in it, by name. ``own``: the broker's identity; ``ca``: whom to trust; ``revoked``: who is not
        let in any more."""
        place = self.folder.absolute()
        match self.settings.kind:
            case BrokerKind.MOSQUITTO:
                beside = {"ca.pem": ca, "revoked.pem": revoked}
                return mosquitto_files(self.settings, place, access.rights, own, beside)
            case BrokerKind.NATS:
                return nats_files(self.settings, place, access.rights, own, {"ca.pem": ca})

    @property
    def is_new(self) -> bool:
        """Whether no configuration was ever written here."""
        return not (self.folder / CONFIGURATION).exists()

    def certificate(self) -> bytes:
        """The broker's own certificate. ``RefusalError`` if it or its key is not there."""
        for name in (CERTIFICATE, KEY):
            if not (self.folder / name).is_file():
                raise RefusalError(say.NO_BROKER_CERTIFICATE, path=self.folder / name, folder=self.folder)
        return self._read(CERTIFICATE) or b""

    def outdated(self, files: Mapping[str, bytes]) -> list[str]:
        """The names of those that are missing, or say something else."""
        return [name for name, content in files.items() if self._read(name) != content]

    def write(self, files: Mapping[str, bytes]) -> list[str]:
        """Write those that are not as they should be; their names. Each is there whole or not at all, and the broker
        reads none before it is told to."""
        changed = self.outdated(files)
        try:
            for name in changed:
                write_whole(self.folder / name, files[name])
            self._give_away()
        except (OSError, LookupError) as error:
            raise RefusalError(say.CANNOT_WRITE, path=self.folder, reason=error) from None
        return changed

    def mark(self) -> str:
        """The topic by which a broker proves that it has read these files."""
        match self.settings.kind:
            case BrokerKind.MOSQUITTO:
                return mark_in(self._read(ACL) or b"")
            case BrokerKind.NATS:
                return mark_in(self._read(CONFIGURATION) or b"")

    def cut(self) -> frozenset[str]:
        """The numbers of the identities whose connections have been ended since they were taken back."""
        return frozenset((self._read("cut") or b"").decode("ascii", "replace").split())

    def note_cut(self, numbers: frozenset[str]) -> None:
        """Write down whose connections were ended."""
        write_whole(self.folder / "cut", "".join(f"{number}\n" for number in sorted(numbers)).encode())

    def _give_away(self) -> None:
        """To the user as whom the broker runs and its group, and to nobody else: a later mosquitto will refuse files
        of another group, it says."""
        if self.settings.user is None:
            return
        account = pwd.getpwnam(self.settings.user)
        for path in (self.folder, *self.folder.iterdir()):
            present = path.stat()
            if (present.st_uid, present.st_gid) != (account.pw_uid, account.pw_gid):
                os.chown(path, account.pw_uid, account.pw_gid)
        make_private(self.folder)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RefusalError(say.CANNOT_READ, path=self.folder / name, reason=error.strerror) from None
