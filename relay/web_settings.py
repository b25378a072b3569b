"""The settings of the pages: the table ``[web]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import StringConstraints, model_validator

from doorbell.settings import FilePathSetting, Settings
from relay.database import is_here


class WebSettings(Settings):
    """Where browsers find the pages."""

    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+\z", max_length=200)] | None = (
        None
    )
    """How people reach them, such as ``https://doorbell.example.org``: without a path, and ``https`` but for this
    machine itself. It is in the QR codes of labels and in personal links."""
    secret_file: FilePathSetting = Path("web.secret")
    """What links and cookies are signed with; made if it is not there. Without it every link and every sign-in ends."""

    @model_validator(mode="after")
    def _nothing_in_clear_text(self) -> Self:
        url = urlsplit(self.base_url or "")
        if url.scheme == "http" and not is_here(url.hostname or ""):
            raise ValueError(f"base_url {self.base_url}: passwords must not cross a network in clear text: use https")
        return self
