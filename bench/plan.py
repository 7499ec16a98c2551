"""How long and how often each part measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`seconds` is how long a load is sent where a target lies."""

    rounds: int
    seconds: int
    starts: int
    saves_before_memory: int
    arrival_rounds: int
    arrival_seconds: int
    overload_seconds: int
    asks: int  # how often a single request is timed
    big_users: int
    household_saves: int

    @property
    def short_seconds(self) -> int:
        """How long a load is sent where no target lies."""
        return max(1, self.seconds // 2)


FULL = Plan(
    rounds=5,
    seconds=2,
    starts=5,
    saves_before_memory=200_000,
    arrival_rounds=3,
    arrival_seconds=5,
    overload_seconds=10,
    asks=100,
    big_users=100_000,
    household_saves=60,
)
QUICK = Plan(
    rounds=1,
    seconds=1,
    starts=2,
    saves_before_memory=20_000,
    arrival_rounds=1,
    arrival_seconds=3,
    overload_seconds=3,
    asks=20,
    big_users=10_000,
    household_saves=10,
)
