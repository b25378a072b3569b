"""The floor of a device: the smallest program on paho and gpiozero that publishes a press.

No debounce, no outbox, no state, no sound: an edge on a mock pin becomes a PUBLISH in the callback. What is left is
what the libraries, the interpreter and the machine take.

    python bench/device_floor.py PORT        # then "down" and "up", a line each, on stdin
"""

from __future__ import annotations

import os
import socket
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
    button = InputDevice(17, pull_up=True)
    count = 0

    def on_edge(_ticks: float, state: bool) -> None:
        nonlocal count
        if not state:
            count += 1
            client.publish("doorbell/v1/bench/panel/event", b'{"id":"%d","type":"help"}' % count, qos=1)

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
