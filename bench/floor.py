"""The floor: the smallest paho program that receives presses, commits them to SQLite in groups, and publishes rings.

No contract, no escalation, no journal, no repair: what is left when everything that makes a relay is taken away. It
keeps what cannot be taken away: nothing is acknowledged or published before it is on the disk.

    python bench/floor.py PORT DATABASE [RELAY_DATABASE]

``RELAY_DATABASE``: take up the open alarms of a relay first, as a program must that is to keep their deadlines.
"""

from __future__ import annotations

import heapq
import json
import queue
import signal
import socket
import sqlite3
import sys
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def _no_delay(_client: object, _data: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def take_up(path: str) -> tuple[list[tuple[int, str]], dict[str, Any]]:
    """The deadlines as a heap, and the alarms by id."""
    query = "SELECT id, deadline, state FROM alarm WHERE stage <> 'closed'"
    rows = sqlite3.connect(path).execute(query).fetchall()
    due = [(deadline, alarm) for alarm, deadline, _ in rows]
    heapq.heapify(due)
    return due, {alarm: json.loads(state) for alarm, _, state in rows}


def main() -> None:
    """Serve until SIGTERM."""
    port, path = int(sys.argv[1]), sys.argv[2]
    _open = take_up(sys.argv[3]) if len(sys.argv) > 3 else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    inbox: queue.Queue[paho.MQTTMessage] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="floor", clean_session=False, manual_ack=True)
    client.max_inflight_messages_set(0)
    client.on_connect = lambda c, *_: c.subscribe("doorbell/v1/bench/+/event", 1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_message = lambda _c, _u, message: inbox.put(message)
    client.on_socket_open = _no_delay
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS press (id TEXT PRIMARY KEY, topic TEXT, payload BLOB)")
    client.connect("127.0.0.1", port)
    client.loop_start()
    while True:
        messages = [inbox.get()]
        while not inbox.empty() and len(messages) < 2000:
            messages.append(inbox.get())
        events = [(json.loads(message.payload)["id"], message) for message in messages]
        database.execute("BEGIN IMMEDIATE")
        rows = [(event, message.topic, message.payload) for event, message in events]
        database.executemany("INSERT OR IGNORE INTO press VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")
        for event, message in events:
            client.ack(message.mid, message.qos)
            bell = message.topic.replace("panel-", "bell-").replace("/event", "/desired")
            client.publish(bell, b'{"rings":[{"alarm":"%s"}]}' % event.encode(), qos=1, retain=True)


if __name__ == "__main__":
    main()
