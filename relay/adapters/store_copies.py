"""``store backup`` and ``store restore``: a copy out, checked; a copy in, checked before anything is replaced."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal
from relay.adapters.store import SqlStore
from relay.adapters.store_backup import (
    claim,
    copy_rows,
    discard,
    empty_tables,
    forget_running,
    is_empty,
    part_of,
    put_in_place,
    raise_fences,
    read_copy,
    read_fences,
    settle,
)
from relay.adapters.store_sqlite import SqliteDatabase
from relay.database import Place, PostgresPlace
from relay.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``kept``: the file in which what was there before is now; None if there was nothing."""

    verdict: Verdict
    kept: Path | None


def back_up(store: SqlStore, path: Path) -> Verdict:
    """Write a back-up, whole or not at all, in the place of whatever ``path`` was; returns what is wrong with it.

    A relay may run meanwhile. Raises ``SetupError`` if the file cannot be written, ``StoreError`` if the database
    fails.
    """
    part = part_of(path)
    try:
        claim(part)
        store.copy_into(part)
        with closing(SqlStore(part, seal=store.seal)) as copy:
            verdict = copy.verify()
        settle(part, path)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from None
    finally:
        discard(part)
    return verdict


def restore(
    place: Place, backup: Path, kept: Path, refuse: Callable[[Verdict], None], seal: Seal | None = None
) -> Restored:
    """Put a back-up in the place of a database that no relay uses; what was there goes into the file ``kept``.

    ``seal``: the privacy key, which must be the one that the back-up was sealed with (``SetupError`` names it).
    ``refuse`` is asked what is wrong with the back-up before anything is changed, and raises what stops it. Raises
    ``SetupError`` if a relay runs, or if the file is no back-up or one of a newer release.
    """
    seal = seal or Seal.beside(place)
    if isinstance(place, PostgresPlace):
        with tempfile.TemporaryDirectory(prefix="doorbell-restore-") as folder:  # 0700: there are names in it
            return _restore_rows(place, backup, Path(folder) / "copy.sqlite3", kept, refuse, seal)
    part = part_of(place)
    try:
        claim(part)
        return _restore_file(place, backup, part, kept, refuse, seal)
    except OSError as error:
        raise SetupError(f"{place}: {error.strerror}") from None
    finally:
        discard(part)


def _restore_file(
    place: Path, backup: Path, copy: Path, kept: Path, refuse: Callable[[Verdict], None], seal: Seal
) -> Restored:
    with closing(SqliteDatabase(place, 0, seal)) as target:
        target.own()
        verdict = _prepare(backup, copy, refuse, seal)
        existed = put_in_place(copy, place, kept)
    return Restored(verdict, kept if existed else None)


def _restore_rows(
    place: PostgresPlace, backup: Path, copy: Path, kept: Path, refuse: Callable[[Verdict], None], seal: Seal
) -> Restored:
    verdict = _prepare(backup, copy, refuse, seal)
    with (
        closing(SqlStore.open(place, seal=seal)) as target,
        closing(SqlStore(copy, seal=seal)) as source,
        target.alone() as writing,
    ):
        existed = not is_empty(writing)
        if existed:
            back_up(target, kept)
        given = read_fences(writing)
        empty_tables(writing)
        with source.reading() as reading:
            copy_rows(reading, writing)
        raise_fences(writing, given)
    return Restored(verdict, kept if existed else None)


def _prepare(backup: Path, copy: Path, refuse: Callable[[Verdict], None], seal: Seal) -> Verdict:
    """A copy of the back-up that is of this release, checked, and without what belonged to the relay of then."""
    read_copy(backup, copy)
    with closing(SqlStore.open(copy, seal=seal)) as store:
        verdict = store.verify()
        refuse(verdict)
        with store.alone() as connection:
            forget_running(connection)
    return verdict
