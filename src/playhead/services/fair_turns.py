"""Lets a few work at a time, and serves those that wait by sender in turn. Knows nothing of the work."""

import asyncio
from collections import OrderedDict, deque


class FairTurns:
    """At most `limit` turns at a time. Of several senders that wait, each gets one turn before any gets its second.

    For one event loop; who waits longest decides only within a sender. Whoever acquires releases.
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
            if turn.done() and not turn.cancelled():  # it was given as the waiting ended
                self.release()
            raise

    def release(self) -> None:
        """Give a turn back, to the next sender."""
        while self._waiting:
            sender, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[sender] = turns  # behind the others
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1
