"""Every worked example of docs/semantics.md over HTTP: as single saves for one user, in batches of one for another."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import update

from player import Player
from playhead.storage import schema
from world import MOVIE, RUNTIME_MS, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

MINUTE_MS = 60_000
EIGHT = 1_762_632_000_000  # 2025-11-08T20:00:00Z


def evening(hour: int, minute: int = 0) -> int:
    """A time on the evening of the examples or, from 24 o'clock on, of the next day."""
    return EIGHT + ((hour - 20) * 60 + minute) * MINUTE_MS


NEXT_DAY = evening(24 + 20)


@dataclass
class Report:
    """What a player sends at a time, and its expected outcome; times are on the evening."""

    position: float
    at: int = evening(21)
    duration: float = 5400
    observed: str | None = None
    session: str | None = None
    event: str | None = None
    file: str | None = None
    reason: str | None = None

    def members(self) -> dict[str, Any]:
        given = {
            "observed_at": self.observed,
            "session_id": self.session,
            "event": self.event,
            "file_id": self.file,
        }
        return {
            "position_seconds": self.position,
            "duration_seconds": self.duration,
            **{name: value for name, value in given.items() if value is not None},
        }


@dataclass
class Unwatch:
    """The item is unmarked by hand."""

    at: int


@dataclass
class Example:
    """Reports in order, and the expected state after them; `plays` are the times of the plays."""

    number: int
    steps: list[Report | Unwatch]
    outcome: dict[str, Any]
    plays: list[str] = field(default_factory=list[str])
    kept: list[float] = field(default_factory=list[float])
    runtime_ms: int | None = RUNTIME_MS

    def __str__(self) -> str:
        return f"example {self.number}"


AT_NINE = "2025-11-08T21:00:00Z"
OBSERVED_AT_EIGHT = "2025-11-08T20:00:00Z"

EXAMPLES = [
    Example(
        1,
        [Report(1250)],
        {"completion_percentage": 23.15, "watched": False, "resume_position_seconds": 1250},
    ),
    Example(
        2,
        [Report(4860)],
        {"completion_percentage": 90, "watched": True, "resume_position_seconds": 0},
        plays=[AT_NINE],
    ),
    Example(
        3,
        [Report(4859)],
        {"completion_percentage": 89.98, "watched": False, "resume_position_seconds": 4859},
    ),
    Example(
        4,
        [Report(4900), Report(5000, evening(21, 2)), Report(5400, evening(21, 9))],
        {"watched": True, "play_count": 1},
        plays=[AT_NINE],
    ),
    Example(
        5,
        [Report(4900), Report(600, NEXT_DAY), Report(3000, NEXT_DAY + 40 * MINUTE_MS)],
        {"watched": True, "play_count": 1, "resume_position_seconds": 3000},
        plays=[AT_NINE],
    ),
    Example(
        6,
        [Report(4900), Report(600, NEXT_DAY), Report(4900, NEXT_DAY + 72 * MINUTE_MS)],
        {"watched": True, "play_count": 2},
        plays=["2025-11-09T21:12:00Z", AT_NINE],
        kept=[600],
    ),
    Example(
        7,
        [Report(4900), Report(600, evening(21, 2)), Report(4900, evening(21, 3))],
        {"watched": True, "play_count": 1},
        plays=[AT_NINE],
        kept=[600],
    ),
    Example(
        8,
        [Report(3000), Report(900, evening(22), observed=OBSERVED_AT_EIGHT, reason="late")],
        {"position_seconds": 3000, "watched": False, "last_watched_at": AT_NINE},
    ),
    Example(
        9,
        [Report(3000), Report(5000, evening(22), observed=OBSERVED_AT_EIGHT, reason="late")],
        {"position_seconds": 3000, "watched": True, "last_watched_at": AT_NINE},
        plays=[OBSERVED_AT_EIGHT],
    ),
    Example(
        10,
        [
            Report(3000),
            Unwatch(evening(21, 30)),
            Report(5000, evening(22), observed=OBSERVED_AT_EIGHT, reason="late"),
        ],
        {"watched": False, "play_count": 0, "position_seconds": 0},
        kept=[3000],
    ),
    Example(
        11,
        [
            Report(3000, session="A"),
            Report(0, evening(21, 50), session="A", event="stop", reason="below_floor"),
        ],
        {"position_seconds": 3000, "resume_position_seconds": 3000},
    ),
    Example(
        12,
        [Report(3000), Report(0, evening(21, 50))],
        {"position_seconds": 0, "resume_position_seconds": 0},
        kept=[3000],
    ),
    Example(
        13,
        [
            Report(1000, session="A"),
            Report(0, evening(21, 1), session="B", event="start", reason="below_floor"),
            Report(30, evening(21, 1) + 30_000, session="B", reason="below_floor"),
            Report(1010, evening(21, 2), session="A", reason="superseded"),
        ],
        {"position_seconds": 1000, "session": "B"},
    ),
    Example(
        14,
        [
            Report(28, duration=30, session="A"),
            Report(60, evening(21, 1), duration=300, session="A"),
        ],
        {"watched": False, "play_count": 0, "position_seconds": 60, "duration_seconds": 300},
        runtime_ms=None,
    ),
    Example(
        15,
        [Report(28, duration=30)],
        {"watched": False, "duration_seconds": 5400, "completion_percentage": 0.52},
    ),
    Example(
        16,
        [Report(3000, observed=OBSERVED_AT_EIGHT), Report(3000, evening(22), observed=OBSERVED_AT_EIGHT)],
        {"position_seconds": 3000, "version": 1, "last_watched_at": OBSERVED_AT_EIGHT},
    ),
    Example(
        17,
        [Report(3000, file="aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")],
        {"position_seconds": 3000, "resume_position_seconds": 3000},
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_the_example_ends_as_the_table_says(stocked: World, example: Example):
    database = stocked.playhead.installation.database
    runtime = update(schema.item).values(runtime_ms=example.runtime_ms)
    await database.write(lambda connection: connection.execute(runtime))
    single, batch = Player(stocked), Player(stocked, headers=stocked.admin)
    for step in example.steps:
        stocked.clock.now = step.at
        if isinstance(step, Unwatch):
            await single.unwatch()
            await batch.unwatch()
        else:
            await single.get("POST", "", step.members())
            await report_in_batch(batch, step)
    for player in (single, batch):
        state = await player.state()
        assert {name: state[name] for name in example.outcome} == example.outcome
        assert [play["watched_at"] for play in await player.plays()] == example.plays
        assert [point["position_seconds"] for point in await player.positions()] == example.kept


async def report_in_batch(player: Player, report: Report) -> None:
    body = {"reports": [{"kind": "movie", "id": MOVIE, **report.members()}]}
    response = await player.world.client.post("/api/v1/playback/batch", json=body, headers=player.headers)
    (result,) = response.json()["results"]
    assert (result["status"], result["applied"], result["reason"]) == (200, report.reason is None, report.reason)


async def test_example_14_is_watched_at_first(stocked: World):
    await stocked.playhead.installation.database.write(lambda c: c.execute(update(schema.item).values(runtime_ms=None)))
    assert (await Player(stocked).report(28, 30, session_id="A"))["watched"]


async def test_the_point_of_example_12_can_be_restored(stocked: World):
    player = Player(stocked)
    await player.report(3000)
    await player.report(0)
    assert (await player.restore(3000))["resume_position_seconds"] == 3000


def test_every_worked_example_is_here():
    assert [example.number for example in EXAMPLES] == [*range(1, 18)]
