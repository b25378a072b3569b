"""What the authority gives to somebody, and who has signed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.adapters.authority import x509
from relay.issued import Issued


@dataclass(frozen=True, slots=True)
class Credential:
    """What somebody needs to be let in; PEM."""

    line: Issued
    chain: bytes
    """Its own certificate and the issuing authority's."""
    ca: bytes
    """The root: whom to trust."""
    key: bytes | None
    """None where they have made it themselves."""

    def files(self) -> dict[str, bytes]:
        """As they are written to a folder, by name."""
        files = {"certificate.pem": self.chain, "ca.pem": self.ca}
        return files if self.key is None else files | {"key.pem": self.key}


@dataclass(frozen=True, slots=True)
class Issuing:
    """One issuing authority."""

    number: int
    certificate: x509.Certificate

    @property
    def until(self) -> datetime:
        """When it ends, and with it everything that it has signed."""
        return self.certificate.not_valid_after_utc
