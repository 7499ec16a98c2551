"""The limits of everything that users can add to: numbers, and the refusal beyond them. Counts nothing itself.

docs/limits.md says for each row what happens beyond the limit, the reason, and the test that proves it; a test keeps
the page and this table in agreement.
"""

from typing import Final, NamedTuple

from playhead.errors import PlayheadError, limit_reached


class Limit(NamedTuple):
    """`most` of `what` are allowed; `what` names the thing in the plural, and its owner."""

    what: str
    most: int

    def refusal(self) -> PlayheadError:
        """Return the error for a request that would exceed the limit; the message names the limit."""
        return limit_reached(f"There can be at most {self.most:,} {self.what}")


PLAYS_OF_ITEM: Final = Limit("plays of one item per user", 10_000)
KEPT_POSITIONS_OF_ITEM: Final = Limit("kept positions of one item per user", 20)
DECISIONS_OF_USER: Final = Limit("movies and shows that one user has hidden, snoozed or dropped", 10_000)
TOKENS_OF_USER: Final = Limit("API tokens of one user", 200)
SESSIONS_OF_USER: Final = Limit("sessions of one user", 500)
HOUSEHOLD_DEVICES_OF_USER: Final = Limit("devices that one user has remembered", 50)
PEOPLE_OF_DEVICE: Final = Limit("people on one remembered device", 50)
LIBRARIES: Final = Limit("libraries", 500)
EVENT_STREAMS_OF_USER: Final = Limit("event streams of one user in one process", 64)
EVENT_STREAMS: Final = Limit("event streams of one process", 4_096)
NOTICES_OF_STREAM: Final = Limit("notices that wait for one event stream", 64)
REPORTS_OF_BATCH: Final = Limit("reports of one batch", 500)
LINES_OF_IMPORT: Final = Limit("lines of one import of a catalogue", 100_000)
