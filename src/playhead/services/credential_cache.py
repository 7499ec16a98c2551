"""Who is believed without asking the store again: principals that were looked up a moment ago."""

from collections.abc import Callable

from playhead.domain.accounts import Principal
from playhead.domain.model import Instant

# How long it is believed that no other process has revoked anything. A revocation must take effect within 1 s; the rest
# is for the way of the request.
CREDENTIAL_TTL_S = 0.75

# Tokens whose principals are remembered, for a player reports every ten seconds; half a kilobyte each.
CREDENTIALS_MAX = 100_000


class CredentialCache:
    """Looked-up principals by their token. They are believed as long as the epoch of credentials stays the same.

    That is asked again after CREDENTIAL_TTL_S, counted from before the question.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._entries: dict[str, tuple[Instant, Principal]] = {}
        self._fresh_until = 0.0
        self._epoch: int | None = None
        self._cleared = 0

    def is_stale(self) -> bool:
        """Say whether the epoch has to be asked for before anybody is believed."""
        return self._epoch is None or self._monotonic() >= self._fresh_until

    def get(self, token: str, now: Instant) -> Principal | None:
        """Return who is believed to have this token."""
        entry = self._entries.get(token)
        return entry[1] if entry is not None and now < entry[0] else None

    def generation(self) -> tuple[float, int]:
        """Begin a look-up or a question. What `clear` revokes meanwhile is not believed when it comes back."""
        return self._monotonic() + CREDENTIAL_TTL_S, self._cleared

    def check(self, epoch: int, ticket: tuple[float, int]) -> None:
        """Believe everybody for another while, or nobody where the epoch is another one."""
        if epoch != self._epoch:
            self.clear()
        self._epoch = epoch
        self._fresh_until = ticket[0]

    def put(self, token: str, principal: Principal, until: Instant, ticket: tuple[float, int]) -> None:
        """Believe a look-up up to `until`, unless something was revoked since its `ticket`."""
        if ticket[1] != self._cleared:
            return
        # Entries lie in the order in which they were looked up, so the first is the one to give way.
        self._entries.pop(token, None)
        if len(self._entries) >= CREDENTIALS_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[token] = (until, principal)

    def clear(self) -> None:
        """Believe nobody any more."""
        self._entries.clear()
        self._cleared += 1
