"""From a broker's name to its addresses, within a time limit; and whether a broker answers, without a word of MQTT."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from doorbell.clock_doubt import ClockDoubt
from doorbell.errors import SetupError
from doorbell.reasons import explain_error
from doorbell.settings import MqttSettings
from doorbell.tls import NamedContext, shown_chain, timeless_context, tls_context

_LEAST_S = 0.05


class Resolver:
    """Looks names up on a thread of their own: ``getaddrinfo`` knows no time limit, and hangs half a minute where a
    name server is gone. One lookup for a name at a time; what one brought too late serves the next asking."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], _Lookup] = {}

    def addresses(self, host: str, port: int, within_s: float) -> list[str]:
        """The addresses of a name in the system's order; of an address itself. Not for several threads at once.

        Raises ``socket.gaierror``, also when time runs out, and ``ValueError`` for what can be no name.
        """
        if _is_address(host):
            return [host]
        lookup = self._running.get((host, port))
        if lookup is None or (lookup.error is not None and not lookup.is_alive()):
            lookup = self._running[host, port] = _Lookup(host, port)
        lookup.join(within_s)
        if lookup.is_alive():
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer from the name service within {within_s:g} s")
        del self._running[host, port]
        if lookup.error is not None:
            raise lookup.error
        return lookup.found


class _Lookup(threading.Thread):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(name=f"lookup-{host}", daemon=True)
        self._asked = (host, port)
        self.found: list[str] = []
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            answers = socket.getaddrinfo(*self._asked, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except Exception as error:  # noqa: BLE001 - raised where it was asked
            self.error = error


def share_of(deadline_s: float, addresses: Sequence[str]) -> float:
    """What each address may take so that all are tried by then (monotonic seconds)."""
    return max(_LEAST_S, (deadline_s - time.monotonic()) / len(addresses))


class Knock:
    """Asks on a thread of its own whether a broker answers: TCP, and TLS if it is set, then closes.

    No MQTT: a second client with our id would end the first one's connection wherever the brokers are a cluster.
    A broker that takes connections and then says nothing is not found out by this without TLS.
    """

    def __init__(self, settings: MqttSettings, within_s: float, doubt: ClockDoubt | None = None) -> None:
        self.refusal: str | None = None
        """Why not, in plain words; None: it answers. To be read when ``done``."""
        self._settings = settings
        self._within_s = within_s
        self._doubt = doubt
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt-knock", daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """True when the answer is there. Raises what was a bug of ours."""
        if self._thread.is_alive():
            return False
        if self._bug is not None:
            raise self._bug
        return True

    def _run(self) -> None:
        try:
            self._ask()
        except SetupError as error:
            self.refusal = str(error)
        except (OSError, ValueError) as error:
            self.refusal = explain_error(error, self._settings, self._within_s)
        except Exception as error:  # noqa: BLE001 - raised again on the link's thread, see ``done``
            self._bug = error

    def _ask(self) -> None:
        settings = self._settings
        context = None if settings.tls is None else tls_context(settings.tls, settings.host, self._doubt)
        with _called(settings, self._within_s, context):
            pass


def ask_chain(settings: MqttSettings, within_s: float) -> tuple[bytes, ...]:
    """The chain that a broker shows, DER, from its own certificate to our authority's; none without TLS.

    Signatures and name are checked and no dates: who asks wants to know them. Raises ``SetupError`` for files of ours
    that cannot be used, ``OSError`` or ``ValueError`` if the broker does not answer or is a stranger.
    """
    if settings.tls is None:
        return ()
    with _called(settings, within_s, timeless_context(settings.tls, settings.host)) as tls:
        return shown_chain(tls)


@contextmanager
def _called(settings: MqttSettings, within_s: float, context: NamedContext | None) -> Iterator[socket.socket]:
    """Connected with the first address that takes it; no MQTT is said."""
    deadline_s = time.monotonic() + within_s
    addresses = Resolver().addresses(settings.host, settings.port, within_s)
    share_s = share_of(deadline_s, addresses)
    for address in addresses:
        try:
            sock = _reached(address, settings.port, share_s, context, deadline_s)
        except OSError:
            if address == addresses[-1]:
                raise
        else:
            with sock:
                yield sock
            return


def _reached(
    address: str, port: int, within_s: float, context: NamedContext | None, deadline_s: float
) -> socket.socket:
    sock = socket.create_connection((address, port), timeout=within_s)
    if context is None:
        return sock
    context.deadline_s = deadline_s
    with sock:  # it belongs to the TLS socket from then on
        return context.wrap_socket(sock)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
