"""Registers of before, kept beside the database so that a change can be undone: sealed, for there are names in them."""

from __future__ import annotations

import base64
import glob
import io
from datetime import datetime
from pathlib import Path

from relay.adapters.sealing import Seal, UnsealError
from relay.commands.setting import Setting
from relay.core.register import Register
from relay.privacy_key import read_keys
from relay.register_check import MAX_REGISTER_BYTES
from relay.register_file import write_register
from relay.texts import commands as say
from relay.texts import privacy as say_privacy
from relay.whole_files import write_whole

HEAD = "# 加密的登记表 a sealed register: doorbell-relay register import\n".encode()
"""What a sealed register begins with."""
_PLACE = "register copy"


def keep_register(setting: Setting, version: int, register: Register, seal: Seal) -> Path:
    """Write the present register beside the database, so that the import can be undone."""
    path = setting.beside_the_database.with_name(f"{setting.beside_the_database.name}-register-{version}.toml")
    text = io.StringIO()
    write_register(register, text)
    try:
        write_whole(path, HEAD + base64.b64encode(seal.close(_PLACE, text.getvalue().encode())) + b"\n")
    except OSError as error:
        raise setting.refuse(say.CANNOT_WRITE, path=path, reason=error.strerror) from None
    return path


def kept_registers(setting: Setting, before: datetime | None = None) -> list[Path]:
    """Those that are there, or that were written before some time."""
    base = setting.beside_the_database
    found = sorted(base.parent.glob(f"{glob.escape(base.name)}-register-*.toml"))
    return [path for path in found if before is None or path.stat().st_mtime < before.timestamp()]


def open_kept_register(setting: Setting, file: Path) -> bytes | None:
    """The text of a register that ``keep_register`` has written; None for any other file."""
    try:
        with file.open("rb") as stream:
            source = stream.read(2 * MAX_REGISTER_BYTES)
    except OSError:
        return None
    if not source.startswith(HEAD):
        return None
    seal = setting.seal
    try:
        seal.use(read_keys(seal.file))
        return seal.open(_PLACE, base64.b64decode(source[len(HEAD) :]))
    except (FileNotFoundError, UnsealError, ValueError):
        raise setting.refuse(say_privacy.COPY_UNREADABLE, path=file, key_file=seal.file) from None
