"""Bounds of what clients may hold: connections and requests for each address, and memory for what is not whole yet."""

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from playhead.http.forwarding import Networks

IDLE_MAX_S: Final = 5.0
"""How long a connection is kept on which no further request begins."""

HEAD_WITHIN_S: Final = 10.0
"""How long a client may take for a request's head. nginx grants 60 s, but no head of ours needs two packets."""

WINDOW_S: Final = 30.0
RATE_MIN_BYTES_S: Final = 1024
"""What of a body must come, and what of an answer must be read, in each window until it is whole."""

BODY_WITHIN_S: Final = 30 * 60.0
"""How long the largest body may take: an import of 64 MiB by a line of 300 kbit/s."""

LINGER_MAX_S: Final = 4.0
"""How long what a client still sends is discarded, so that it sees why it was refused, before the connection ends."""

_HELD_MAX_BYTES: Final = 16 * 1024 * 1024
_HELD_BY_ADDRESS_MAX_BYTES: Final = 4 * 1024 * 1024


class Admission(Enum):
    """What becomes of a new connection."""

    SERVE = "its requests are answered"
    REFUSE = "its first request is refused, so that the client learns why"
    DROP = "it is closed unseen: refusing would cost too many files"


class Addresses:
    """Counts what each client address has under way: the bounds of a process.

    `most_connections` holds for all together. Addresses of `unbounded` networks, which are those of trusted proxies,
    have no bound of their own; the clients that they name have, see `enter`. A bound of an address is that of the /64
    network of an IPv6 address, which is what a single client is given.
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
        """Count a connection of the address; `disconnect` takes it back, whatever is answered."""
        key = bounded_network(address)
        self._all_connections += 1
        self._connections[key] += 1
        excess = 0 if address in self._unbounded else self._connections[key] - self._most_of_address
        if excess > self._most_of_address or self._all_connections > 2 * self._most_connections:
            return Admission.DROP
        return Admission.REFUSE if excess > 0 or self._all_connections > self._most_connections else Admission.SERVE

    def disconnect(self, address: str) -> None:
        """Take back what `connect` counted."""
        self._all_connections -= 1
        _take(self._connections, bounded_network(address), 1)

    def enter(self, client: str) -> bool:
        """Count a request of a client that a trusted proxy names, unless it has too many under way."""
        key = bounded_network(client)
        if self._requests[key] >= self._most_of_address:
            return False
        self._requests[key] += 1
        return True

    def leave(self, client: str) -> None:
        """Take back what `enter` counted."""
        _take(self._requests, bounded_network(client), 1)

    def hold(self, address: str, more_bytes: int) -> bool:
        """Count memory for requests that are not whole; return whether there is room. Less than 0 is given back."""
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
    """Return what stands for a client in counts: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return address
