"""The client behind a trusted proxy: X-Forwarded-For and X-Forwarded-Proto."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from starlette.types import Scope

_ADDRESSES_KNOWN: Final = 4096
# of an IPv6 address; anything longer is not an address, and would be stored by counters of clients
_ADDRESS_MAX_LENGTH: Final = 45


class Networks:
    """A set of addresses and networks."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ip_network(each, strict=False) for each in networks]
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _ADDRESSES_KNOWN:
                self._known.clear()
            known = self._known[address] = self._holds(address)
        return known

    def _holds(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any(address in network or (mapped is not None and mapped in network) for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)


class Proxies:
    """The trusted proxies, by their addresses and networks."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = Networks(trusted)

    def trusts(self, address: str) -> bool:
        """Return whether this peer's statements about its clients are trusted."""
        return bool(self._trusted) and address in self._trusted

    def forwarded(self, scope: Scope) -> Scope:
        """Return a trusted proxy's request as that of its client."""
        fields, peer = scope["headers"], scope["client"][0]
        client = self.client_of(fields, peer)
        return {**scope, "client": (client, 0), "scheme": self.scheme_of(fields, scope["scheme"])}

    def client_of(self, fields: Iterable[tuple[bytes, bytes]], peer: str) -> str:
        """Return the address of the client behind trusted proxies; that of `peer` if none is named.

        Each proxy appends the address that it sees, so the client is the last address that is not a trusted proxy.
        Earlier ones are only the client's claims.
        """
        named = b",".join(value for name, value in fields if name == b"x-forwarded-for").decode("latin-1")
        hops = [hop.strip() for hop in named.split(",") if hop.strip()]
        for hop in reversed(hops):
            address = _without_port(hop)[:_ADDRESS_MAX_LENGTH]
            if address not in self._trusted:
                return address
        return _without_port(hops[0])[:_ADDRESS_MAX_LENGTH] if hops else peer

    @staticmethod
    def scheme_of(fields: Iterable[tuple[bytes, bytes]], scheme: str) -> str:
        """Return the scheme that is named last; `scheme` if none or an unknown one is named."""
        for name, value in fields:
            if name == b"x-forwarded-proto":
                named = value.decode("latin-1").strip().lower()
                scheme = named if named in {"http", "https"} else scheme
        return scheme


def _without_port(hop: str) -> str:
    """Return the address of a hop: some proxies append the port, and then put an IPv6 address in brackets."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    address, colon, _ = hop.partition(":")
    return address if colon and ":" not in hop[len(address) + 1 :] else hop
