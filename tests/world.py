"""A running Playhead as a test meets it: through HTTP, in process, with a clock that the test moves."""

from dataclasses import dataclass

import httpx

from playhead.bootstrap import Playhead
from support import Clock

PASSWORD = "correct horse battery"


@dataclass
class World:
    """A running Playhead, a client, its clock, and tokens of an admin, a member who sees all, and a stranger."""

    playhead: Playhead
    client: httpx.AsyncClient
    clock: Clock
    admin: dict[str, str]
    member: dict[str, str]
    stranger: dict[str, str]
