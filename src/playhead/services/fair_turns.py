"""Limits concurrent work, and serves waiting senders in turn. Independent of the work."""

import asyncio
from collections import OrderedDict, deque


class FairTurns:
    """At most `limit` concurrent turns. Of several waiting senders, each gets one turn before any gets its second.

    For one event loop; waits are in order only within a sender. Whoever acquires a turn must release it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def acquire(self, sender: str) -> None:
        """Wait for a turn."""
        if self._taken < self._limit:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sender, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the turn was given while the wait was being cancelled
                self.release()
            raise

    def release(self) -> None:
        """Return a turn, which passes to the next sender."""
        while self._waiting:
            sender, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[sender] = turns  # behind the others
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1
