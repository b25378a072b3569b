"""A new privacy key: what is in a database that no relay uses is sealed with it, and the old one can be destroyed."""

from __future__ import annotations

from dataclasses import dataclass

from relay.adapters.store import SqlStore
from relay.adapters.store_sealed import seal_anew
from relay.privacy_key import new_key, read_keys, write_keys


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did. ``left``: values that could not be opened, and stay as they are."""

    key: str
    values: int
    left: int
    kept: tuple[str, ...]
    """Older keys that are still in the file, for back-ups of before."""


def rotate(store: SqlStore, *, destroy: bool) -> Rotated:
    """Make a key, seal everything with it, and remove the older ones from the file if ``destroy``.

    The new key is on the disk before anything is sealed with it, and the old ones go after all is: at a power cut in
    between the file opens both. What was sealed with a destroyed key, in back-ups, in a server's log, in free pages of
    a file, nobody can read any more. Raises ``SetupError`` while a relay runs.
    """
    file = store.seal.file
    with store.alone() as connection:
        keys = (*read_keys(file), new_key())
        write_keys(file, keys)
        store.seal.use(keys)
        values, left = seal_anew(connection, store.seal)
    store.forget_traces()
    kept = keys[:-1] if not destroy or left else ()
    write_keys(file, (*kept, keys[-1]))
    return Rotated(keys[-1].id, values, left, tuple(key.id for key in kept))
