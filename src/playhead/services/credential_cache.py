"""The credential cache: principals that were looked up a moment ago, by their token."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from playhead.domain.accounts import Principal
from playhead.domain.model import Instant

# How long entries are valid without checking whether another process revoked something. A revocation must take effect
# within 1 s; the rest is for handling the request.
CREDENTIAL_TTL_S = 0.75

# Where checking takes a round trip, the epoch is read so often in the background that entries do not become stale, with
# a quarter of a second to spare for the answer...
REFRESH_S = 0.5

# ...and so long after the last use of an entry: a player reports every ten seconds, and an idle server reads nothing.
REFRESHED_FOR_S = 60.0

# The most cached tokens, half a kilobyte each: a player reports every ten seconds.
CREDENTIALS_MAX = 100_000


Generation = tuple[float, int]
"""Until when a query that starts now is fresh, and how often the cache had been cleared."""

T = TypeVar("T")


class Watcher(Protocol):
    """Reads a number in the background, regularly and when it is told of a change: see PostgresNotifier."""

    async def watch(
        self, query: str, period_s: float, begin: Callable[[], T | None], seen: Callable[[int, T], None]
    ) -> None:
        """Read until cancelled, if `begin` does not return None; pass the number and its result to `seen`."""
        ...


class CredentialCache:
    """Principals by token, valid as long as the epoch of credentials does not change.

    The epoch is read again after CREDENTIAL_TTL_S, counted from before the query: by whoever needs an entry, or by
    `keep_fresh` before anybody does.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._entries: dict[str, tuple[Instant, Principal]] = {}
        self._fresh_until = 0.0
        self._epoch: int | None = None
        self._cleared = 0
        self._used_at = -REFRESHED_FOR_S

    async def keep_fresh(self, watcher: Watcher, epoch_query: str) -> None:
        """Read the epoch in the background while entries are used, until cancelled."""

        def begin() -> Generation | None:
            is_used = self._monotonic() < self._used_at + REFRESHED_FOR_S
            return self.generation() if is_used else None

        await watcher.watch(epoch_query, REFRESH_S, begin, self.check)

    def is_stale(self) -> bool:
        """Return whether the epoch must be read before entries may be used."""
        return self._epoch is None or self._monotonic() >= self._fresh_until

    def get(self, token: str, now: Instant) -> Principal | None:
        """Return the cached principal of a token."""
        entry = self._entries.get(token)
        if entry is None or now >= entry[0]:
            return None
        self._used_at = self._monotonic()
        return entry[1]

    def generation(self) -> Generation:
        """Start a query; results that `clear` overtakes are not cached."""
        return self._monotonic() + CREDENTIAL_TTL_S, self._cleared

    def check(self, epoch: int, generation: Generation) -> None:
        """Extend the validity of all entries, or clear them if the epoch has changed."""
        if epoch != self._epoch:
            self.clear()
        self._epoch = epoch
        self._fresh_until = generation[0]

    def put(self, token: str, principal: Principal, until: Instant, generation: Generation) -> None:
        """Cache a look-up up to `until`, unless something was revoked since its `generation`."""
        if generation[1] != self._cleared:
            return
        # Entries are in order of look-up, so the first is evicted.
        self._entries.pop(token, None)
        if len(self._entries) >= CREDENTIALS_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[token] = (until, principal)
        self._used_at = self._monotonic()

    def clear(self) -> None:
        """Clear all entries; a new generation begins."""
        self._entries.clear()
        self._cleared += 1
