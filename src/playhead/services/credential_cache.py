"""The credential cache: principals that were looked up a moment ago, by their token."""

from collections.abc import Callable

from playhead.domain.accounts import Principal
from playhead.domain.model import Instant

# How long entries are valid without checking whether another process revoked something. A revocation must take effect
# within 1 s; the rest is for handling the request.
CREDENTIAL_TTL_S = 0.75

# The most cached tokens, half a kilobyte each: a player reports every ten seconds.
CREDENTIALS_MAX = 100_000


class CredentialCache:
    """Principals by token, valid as long as the epoch of credentials does not change.

    The epoch is read again after CREDENTIAL_TTL_S, counted from before the query.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._entries: dict[str, tuple[Instant, Principal]] = {}
        self._fresh_until = 0.0
        self._epoch: int | None = None
        self._cleared = 0

    def is_stale(self) -> bool:
        """Return whether the epoch must be read before entries may be used."""
        return self._epoch is None or self._monotonic() >= self._fresh_until

    def get(self, token: str, now: Instant) -> Principal | None:
        """Return the cached principal of a token."""
        entry = self._entries.get(token)
        return entry[1] if entry is not None and now < entry[0] else None

    def generation(self) -> tuple[float, int]:
        """Start a query; results that `clear` overtakes are not cached."""
        return self._monotonic() + CREDENTIAL_TTL_S, self._cleared

    def check(self, epoch: int, generation: tuple[float, int]) -> None:
        """Extend the validity of all entries, or clear them if the epoch has changed."""
        if epoch != self._epoch:
            self.clear()
        self._epoch = epoch
        self._fresh_until = generation[0]

    def put(self, token: str, principal: Principal, until: Instant, generation: tuple[float, int]) -> None:
        """Cache a look-up up to `until`, unless something was revoked since its `generation`."""
        if generation[1] != self._cleared:
            return
        # Entries are in order of look-up, so the first is evicted.
        self._entries.pop(token, None)
        if len(self._entries) >= CREDENTIALS_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[token] = (until, principal)

    def clear(self) -> None:
        """Clear all entries; a new generation begins."""
        self._entries.clear()
        self._cleared += 1
