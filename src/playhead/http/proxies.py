"""Identity headers of trusted proxies. Headers from any other peer are ignored.

The peer is the address of the connection, not the one that `X-Forwarded-For` names: the server must set `PEER` in the
scope before anything rewrites `client`.
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from starlette.types import Scope

from playhead.domain.accounts import Principal
from playhead.errors import Code, PlayheadError

PEER = "playhead.peer"
"""The key in the scope for the address and port at the other end of the connection, or None."""

Vouch = Callable[[str, str], Awaitable[Principal | None]]
"""Returns the account for a user name and a list of groups."""


class Named(NamedTuple):
    """The user that a proxy names, and the groups as in its header."""

    user: str
    groups: str


class IdentityHeader:
    """The header in which a trusted proxy names the user, and the one with their groups ("" for none).

    `networks` are addresses or networks of the proxies.
    """

    def __init__(self, networks: Sequence[str], user_header: str, groups_header: str, vouch: Vouch) -> None:
        self._networks = [ip_network(network, strict=False) for network in networks]
        self._user_header = user_header
        self._names = {user_header.lower().encode(): 0, groups_header.lower().encode(): 1}
        self._vouch = vouch

    def read(self, scope: Scope) -> Named | None:
        """Return the user that the request's proxy names; None if there is none, or the proxy is not trusted.

        Raises MALFORMED if a trusted proxy passes a header on twice: one of the two may come from its client.
        """
        if not self._is_trusted(scope.get(PEER)):
            return None
        found: list[str | None] = [None, None]
        for name, value in scope["headers"]:
            place = self._names.get(name)
            if place is None:
                continue
            if found[place] is not None:
                raise PlayheadError(Code.MALFORMED, "Repeated identity header")
            found[place] = _text(value)
        user, groups = found
        return Named(user, groups or "") if user else None

    async def identify(self, scope: Scope) -> Principal | None:
        """Return the principal asserted by a trusted proxy. Raises MALFORMED like `read`."""
        named = self.read(scope)
        return None if named is None else await self._vouch(named.user, named.groups)

    def _is_trusted(self, peer: tuple[str, int] | None) -> bool:
        if peer is None:
            return False
        try:
            address: IPv4Address | IPv6Address = ip_address(peer[0].partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()
