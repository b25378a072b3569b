"""End the connection of somebody who was taken back: at a broker that lets those stay who are in (mosquitto).

MQTT ends a session's older connection when a newer one takes its client id, and here nobody but a certificate's holder
can take it: so one is made that lives for a quarter of an hour and is used for a moment. Whoever was connected is out,
and does not come back: the broker has read the list of revoked ones before.
"""

from __future__ import annotations

import queue
import tempfile
from pathlib import Path
from time import monotonic

from doorbell.link import LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import MqttSettings, TlsSettings
from relay.adapters.authority import Credential
from relay.whole_files import make_folder_whole

WITHIN_S = 15.0
"""For a broker on the same network; one that was just told to read its configuration again may be busy with it."""


def evict(broker: MqttSettings, credential: Credential, *, forget: bool) -> str | None:
    """Take the place of ``credential``'s name at one broker, and leave it. None, or why that was not possible.

    ``forget``: end its session too, with all that was kept for it.
    """
    name = credential.line.name
    heard: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="doorbell-") as folder:
        place = Path(folder) / "identity"
        make_folder_whole(place, credential.files())
        server_name = broker.tls.server_name if broker.tls is not None else None
        tls = TlsSettings(
            ca=place / "ca.pem",
            certificate=place / "certificate.pem",
            key=place / "key.pem",
            server_name=server_name,
        )
        settings = broker.model_copy(update={"tls": tls, "username": None, "password_file": None, "client_id": None})
        link = MqttLink(
            settings, client_id=name, subscriptions=(), sink=heard.put, clean_session=forget, presence_topic=None
        )
        link.start()
        try:
            return _await_up(heard)
        finally:
            link.stop(2.0)


def _await_up(heard: queue.SimpleQueue[LinkEvent]) -> str | None:
    reason = f"no answer within {WITHIN_S:g} s"
    deadline = monotonic() + WITHIN_S
    while (left_s := deadline - monotonic()) > 0:
        try:
            event = heard.get(timeout=left_s)
        except queue.Empty:
            break
        if isinstance(event, LinkUp):
            return None
        if isinstance(event, LinkDown | LinkDied):
            reason = event.reason
    return reason
