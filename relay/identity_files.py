"""A certificate and its key in two files: replaced so that they match at every moment, whatever is killed when.

Two files cannot be replaced in one step; one can. So key and certificate are put into one file, to which the other name
becomes a link, and that file is replaced. Whoever reads PEM takes the blocks it looks for and passes over the others
(OpenSSL, Go), so no settings change. In order:

1. the key's file gets the old key and the old certificate;
2. the certificate's name becomes a link to the key's file;
3. the key's file gets the new key and the new certificate.

After each the two names show a key and its certificate. A renewal after that finds the link and is the third step only.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from relay.whole_files import link_whole, write_whole


@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """Where an identity lies; both may be the same file. Files of a ``Credential`` are these and the authority's."""

    certificate: Path
    key: Path

    def chain(self) -> bytes:
        """What is in the certificate's file. Raises ``OSError``."""
        return self.certificate.read_bytes()

    def replace(self, chain: bytes, key: bytes) -> None:
        """Put a new key and its certificate there, durably. Owner and mode are those of the old key.

        Raises ``OSError``; then, and after a kill or a power cut, the two names show the old pair or the new one.
        """
        owner = self.key.stat()
        mode = stat.S_IMODE(owner.st_mode)
        place = Path(os.path.realpath(self.key))
        if Path(os.path.realpath(self.certificate)) != place:
            write_whole(place, _joined(self.key.read_bytes(), self.chain()), mode, owner)
            link_whole(self.certificate, self._target(place))
        write_whole(place, _joined(key, chain), mode, owner)

    def _target(self, place: Path) -> str:
        """Within one folder by the bare name, so that the folder can be moved."""
        same = Path(os.path.realpath(self.certificate.parent)) == place.parent
        return place.name if same else str(place)


def _joined(key: bytes, chain: bytes) -> bytes:
    return key.rstrip(b"\n") + b"\n" + chain
