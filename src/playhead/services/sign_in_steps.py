"""Sign-ins of several requests. Each step is stored under the hash of a secret, for one use and ten minutes.

They are rows, not memory, because the next request may reach another process.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from playhead.domain.accounts import throttle_address
from playhead.domain.model import Instant
from playhead.domain.sign_in_steps import STEP_LIFETIME_MS, STEPS_MAX, STEPS_PER_ADDRESS, StepKind
from playhead.domain.tokens import token_hash
from playhead.errors import unavailable
from playhead.storage import sign_in_steps as storage
from playhead.storage.engine.database import Connection, Database


class SignInSteps:
    """Steps in progress. `new_secret` returns 256 random bits as hexadecimal digits."""

    def __init__(self, database: Database, *, clock: Callable[[], Instant], new_secret: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_secret = new_secret

    async def begin(self, kind: StepKind, address: str, data: Mapping[str, Any]) -> str:
        """Store `data` for the next request of a sign-in, and return the secret that it has to present.

        `address` is the client's address. Raises UNAVAILABLE if too many are in progress.
        """
        secret, now, text = self._new_secret(), self._clock(), json.dumps(data)
        sender = throttle_address(address)

        def begin(connection: Connection) -> None:
            storage.prune_steps(connection, sender, STEPS_PER_ADDRESS - 1, now)
            if storage.count_steps(connection) >= STEPS_MAX:
                raise unavailable(retry_after_s=60)
            expires_at = Instant(now + STEP_LIFETIME_MS)
            storage.add_step(connection, token_hash(secret), kind, sender, text, now, expires_at)

        await self._database.write(begin)
        return secret

    async def find(self, kind: StepKind, secret: str) -> dict[str, Any] | None:
        """Return the data stored under a secret, and keep it; None if there is none."""
        digest, now = token_hash(secret), self._clock()
        found = await self._database.read(lambda connection: storage.find_step(connection, digest, kind, now))
        return None if found is None else json.loads(found)

    async def take(self, kind: StepKind, secret: str) -> dict[str, Any] | None:
        """Return the data stored under a secret, once; None if there is none, or no longer."""
        digest, now = token_hash(secret), self._clock()
        found = await self._database.write(lambda connection: storage.take_step(connection, digest, kind, now))
        return None if found is None else json.loads(found)
