"""The community's certificate authority: a root that can be locked away, and an issuing authority for every day."""

from relay.adapters.authority.authority import NEVER, Authority
from relay.adapters.authority.ceremony import create_authority, renew_issuing
from relay.adapters.authority.credential import Credential

__all__ = ["NEVER", "Authority", "Credential", "create_authority", "renew_issuing"]
