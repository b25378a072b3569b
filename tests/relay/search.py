"""A search for words through whatever bytes there are, in every form in which a program may have written them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path


def forms(word: str) -> Iterator[bytes]:
    """A word as text of every common encoding, as JSON writes it, and as a database's dump does."""
    escaped = json.dumps(word)[1:-1]
    utf8 = word.encode()
    yield from (utf8, word.encode("utf-16-le"), word.encode("utf-16-be"), word.encode("gb18030"))
    yield from (escaped.encode(), escaped.replace("\\", "\\\\").encode(), escaped.upper().encode())
    yield from (utf8.hex().encode(), utf8.hex().upper().encode())
    yield "".join(f"\\{byte:03o}" for byte in utf8).encode()
    yield "".join(f"\\x{byte:02x}" for byte in utf8).encode()
    for shift in range(3):  # of a longer text in base64, the middle of which is the word
        whole = base64.b64encode(b"\0" * shift + utf8)
        yield whole[(0, 2, 3)[shift] : len(whole) - (4 if len(utf8) + shift % 3 else 0)]


def found(words: Iterable[str], paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Which words are in which files; folders are searched to the bottom."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    contents = {file: file.read_bytes() for file in files if file.is_file()}
    wanted = {(word, form) for word in words for form in forms(word) if len(form) >= 4}
    return sorted({(word, file.name) for file, content in contents.items() for word, form in wanted if form in content})
