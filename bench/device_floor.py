"""The floor of a device: the smallest program on paho and gpiozero that publishes a press.

No debounce, no state, no receipts, no sound: an edge on a mock pin becomes a row on the disk and a PUBLISH, in the
callback. It keeps what cannot be taken away: nothing is published before it is on the disk.

    python bench/device_floor.py PORT DATABASE        # then "down" and "up", a line each, on stdin
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from typing import Any

os.environ["GPIOZERO_PIN_FACTORY"] = "mock"

import paho.mqtt.client as paho
from gpiozero import Device, InputDevice
from paho.mqtt.enums import CallbackAPIVersion


def _no_delay(_client: object, _data: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main() -> None:
    """Serve until stdin ends."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="floor")
    client.on_socket_open = _no_delay
    database = sqlite3.connect(sys.argv[2], isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE press (id INTEGER PRIMARY KEY, payload BLOB)")
    button = InputDevice(17, pull_up=True)
    count = 0

    def on_edge(_ticks: float, state: bool) -> None:
        nonlocal count
        if not state:
            count += 1
            payload = b'{"id":"%d","type":"help"}' % count
            database.execute("INSERT INTO press VALUES (?, ?)", (count, payload))
            client.publish("doorbell/v1/bench/panel/event", payload, qos=1)

    button.pin.edges = "both"
    button.pin.when_changed = on_edge
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    print("ready", flush=True)
    pin: Any = Device.pin_factory.pin(17)
    for line in sys.stdin:
        if line == "down\n":
            pin.drive_low()
        else:
            pin.drive_high()


if __name__ == "__main__":
    main()
