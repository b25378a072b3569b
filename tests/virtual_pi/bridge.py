"""QEMU starts one for each connection that the guest makes: its standard input and output, to a port of loopback.

python bridge.py PORT
"""

from __future__ import annotations

import select
import socket
import sys


def main() -> None:
    """Carry bytes both ways until one end closes."""
    guest = socket.socket(fileno=0)
    try:
        broker = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=2.0)
    except OSError:
        return  # nobody is there: the guest sees its connection end
    other = {guest: broker, broker: guest}
    try:
        broker.settimeout(None)
        broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            readable, _, _ = select.select([guest, broker], [], [])
            for end in readable:
                data = end.recv(65_536)
                if not data:
                    return
                other[end].sendall(data)
    except OSError:
        return


if __name__ == "__main__":
    main()
