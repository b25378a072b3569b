"""What the pages do beside answering: note the audit log's head, forget what has ended, prove that they live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from doorbell.service import ServiceNotifier
from relay.audit import EMPTY, AuditHead
from relay.audit_head import note_head
from relay.ports import StoreError
from relay.web.pages import Pages

EVERY_S = 15.0
"""How soon a new head is noted: lines that are younger could be cut off unseen."""
FORGET_EVERY = 240
"""Ended sessions and links are removed once in so many turns: an hour."""

_log = structlog.get_logger("relay.web")


class Keeper:
    """Runs beside the application, from its start to its end."""

    def __init__(self, pages: Pages, head_file: Path, every_s: float = EVERY_S) -> None:
        self._pages = pages
        self._head_file = head_file
        self._every_s = every_s
        self._noted: AuditHead = EMPTY
        self._failed: str | None = None

    @asynccontextmanager
    async def beside(self, _app: FastAPI) -> AsyncIterator[None]:
        """For as long as the application lives."""
        service = ServiceNotifier()
        tasks = [asyncio.create_task(self._keep()), asyncio.create_task(_prove_life(service))]
        service.ready()
        try:
            yield
        finally:
            service.stopping()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await run_in_threadpool(self.note)

    async def _keep(self) -> None:
        turn = 0
        while True:
            await run_in_threadpool(self.note)
            if turn % FORGET_EVERY == 0:
                await run_in_threadpool(self.forget)
            turn += 1
            await asyncio.sleep(self._every_s)

    def note(self) -> None:
        """Note the newest line in the file, and in the process's log, which may go to another machine."""
        try:
            head = self._pages.store.audit.head()
            if head != self._noted:
                note_head(self._head_file, head)
                _log.info("audit.head", line=head.seq, hash=head.hash)
                self._noted = head
            self._failed = None
        except (OSError, StoreError) as error:
            if self._failed != str(error):
                self._failed = str(error)
                _log.warning("audit.head_not_noted", path=str(self._head_file), reason=str(error))

    def forget(self) -> None:
        """Remove sessions and links that have ended."""
        now, times = self._pages.now(), self._pages.times
        try:
            self._pages.store.people.forget_ended(
                now - timedelta(seconds=times.absolute_s), now - timedelta(seconds=times.idle_s), now
            )
        except StoreError as error:
            _log.warning("web.not_forgotten", reason=str(error))


async def _prove_life(service: ServiceNotifier) -> None:
    """Feed the watchdog from the loop that answers: if it hangs, systemd starts us again."""
    every_s = service.watchdog_interval_s()
    while every_s is not None:
        service.watchdog()
        await asyncio.sleep(every_s)
