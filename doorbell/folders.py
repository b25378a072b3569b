"""What both programs do with folders of the file system."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(path: Path) -> None:
    """Force the names in a folder to the disk: fsync(2) of a file does not promise its name. Raises ``OSError``."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
