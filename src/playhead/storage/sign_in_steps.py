"""Sign-ins in progress: queries that take a connection. Decides nothing."""

from sqlalchemy import Connection, and_, delete, func, insert, select

from playhead.domain.model import Instant
from playhead.domain.sign_in_steps import StepKind
from playhead.storage.schema import sign_in_step


def add_step(  # noqa: PLR0913 - one row
    connection: Connection, step_hash: str, kind: StepKind, address: str, data: str, now: Instant, expires_at: Instant
) -> None:
    """Store a step under the hash of its secret."""
    connection.execute(
        insert(sign_in_step).values(
            hash=step_hash, kind=kind.value, address=address, data=data, created_at=now, expires_at=expires_at
        )
    )


def find_step(connection: Connection, step_hash: str, kind: StepKind, now: Instant) -> str | None:
    """Return the data of a step that has not expired."""
    wanted = and_(sign_in_step.c.hash == step_hash, sign_in_step.c.kind == kind.value, sign_in_step.c.expires_at > now)
    return connection.execute(select(sign_in_step.c.data).where(wanted)).scalar()


def take_step(connection: Connection, step_hash: str, kind: StepKind, now: Instant) -> str | None:
    """Remove a step and return its data unless it has expired. Of several concurrent callers only one gets it."""
    wanted = and_(sign_in_step.c.hash == step_hash, sign_in_step.c.kind == kind.value)
    row = connection.execute(
        delete(sign_in_step).where(wanted).returning(sign_in_step.c.data, sign_in_step.c.expires_at)
    ).first()
    return row.data if row is not None and row.expires_at > now else None


def prune_steps(connection: Connection, address: str, keep: int, now: Instant) -> None:
    """Remove expired steps, and all but the `keep` newest steps of an address."""
    connection.execute(delete(sign_in_step).where(sign_in_step.c.expires_at <= now))
    kept = (
        select(sign_in_step.c.hash)
        .where(sign_in_step.c.address == address)
        .order_by(sign_in_step.c.created_at.desc(), sign_in_step.c.hash)
        .limit(keep)
    )
    hashes = connection.execute(kept).scalars().all()
    connection.execute(
        delete(sign_in_step).where(sign_in_step.c.address == address, sign_in_step.c.hash.not_in(hashes))
    )


def count_steps(connection: Connection) -> int:
    """Return the number of steps."""
    return connection.execute(select(func.count()).select_from(sign_in_step)).scalar_one()
