"""Bounds on what clients may use: connections and requests per address, and memory for incomplete requests."""

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from playhead.http.forwarding import Networks

IDLE_MAX_S: Final = 5.0
"""How long an idle connection is kept."""

HEAD_WITHIN_S: Final = 10.0
"""How long a client may take to send a request's head. nginx grants 60 s, but none of our heads needs two packets."""

WINDOW_S: Final = 30.0
RATE_MIN_BYTES_S: Final = 1024
"""How much of a body must arrive, and how much of an answer must be read, in each window until it is complete."""

BODY_WITHIN_S: Final = 30 * 60.0
"""How long the largest body may take: an import of 64 MiB over a line of 300 kbit/s."""

LINGER_MAX_S: Final = 4.0
"""How long further input is discarded, so that the client sees why it was refused before the connection closes."""

_HELD_MAX_BYTES: Final = 16 * 1024 * 1024
_HELD_BY_ADDRESS_MAX_BYTES: Final = 4 * 1024 * 1024


class Admission(Enum):
    """The decision about a new connection."""

    SERVE = "its requests are answered"
    REFUSE = "its first request is refused, so that the client learns why"
    DROP = "it is closed unseen: refusing would cost too many files"


class Addresses:
    """Counts the connections and requests of each client address: the bounds of a process.

    `most_connections` is the limit for all together. Addresses of `unbounded` networks, which are those of trusted
    proxies, have no bound of their own; the clients that they name have one, see `enter`. The bound of an IPv6 address
    is that of its /64 network, which is what a single client is given.
    """

    def __init__(self, most_connections: int, most_of_address: int, unbounded: Sequence[str] = ()) -> None:
        self._most_connections = most_connections
        self._most_of_address = most_of_address
        self._unbounded = Networks(unbounded)
        self._connections: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._all_connections = 0
        self._all_held = 0

    def connect(self, address: str) -> Admission:
        """Count a connection of the address; `disconnect` reverses it, whatever is answered."""
        key = bounded_network(address)
        self._all_connections += 1
        self._connections[key] += 1
        excess = 0 if address in self._unbounded else self._connections[key] - self._most_of_address
        if excess > self._most_of_address or self._all_connections > 2 * self._most_connections:
            return Admission.DROP
        return Admission.REFUSE if excess > 0 or self._all_connections > self._most_connections else Admission.SERVE

    def disconnect(self, address: str) -> None:
        """Reverse `connect`."""
        self._all_connections -= 1
        _take(self._connections, bounded_network(address), 1)

    def enter(self, client: str) -> bool:
        """Count a request of a client that a trusted proxy names, unless it has too many in progress."""
        key = bounded_network(client)
        if self._requests[key] >= self._most_of_address:
            return False
        self._requests[key] += 1
        return True

    def leave(self, client: str) -> None:
        """Reverse `enter`."""
        _take(self._requests, bounded_network(client), 1)

    def hold(self, address: str, more_bytes: int) -> bool:
        """Count memory for incomplete requests; return whether there is room. Negative values release it."""
        key = bounded_network(address)
        self._all_held += more_bytes
        if more_bytes < 0:
            _take(self._held, key, -more_bytes)
            return True
        self._held[key] += more_bytes
        has_room = address in self._unbounded or self._held[key] <= _HELD_BY_ADDRESS_MAX_BYTES
        return has_room and self._all_held <= _HELD_MAX_BYTES


def _take(counts: Counter[str], key: str, number: int) -> None:
    counts[key] -= number
    if counts[key] <= 0:
        del counts[key]


_ADDRESSES_KNOWN: Final = 4096


@lru_cache(maxsize=_ADDRESSES_KNOWN)
def bounded_network(address: str) -> str:
    """Return the key by which a client is counted: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return address
