"""What a Python developer would write instead of Playhead, and do it well: FastAPI, SQLAlchemy's ORM, aiosqlite.

`baseline.py PORT FILE` serves saving and reading the progress of movies. The same contract as Playhead's: bearer tokens
that are stored hashed, libraries that a user may or may not see, watched from 90 percent on. Every answered save is
durable: write-ahead log, synchronous=FULL.
"""

import hashlib
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import ForeignKey, and_, create_engine, event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

WATCHED_PERCENT = 90
READERS = 4  # more threads wait for each other longer than for the file


class Base(DeclarativeBase):
    """The tables."""


class Token(Base):
    """An API token, by the SHA-256 of what its holder sends."""

    __tablename__ = "token"
    hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]


class Item(Base):
    """A movie."""

    __tablename__ = "item"
    id: Mapped[str] = mapped_column(primary_key=True)
    library_id: Mapped[str]


class LibraryAccess(Base):
    """What a user may see."""

    __tablename__ = "library_access"
    user_id: Mapped[str] = mapped_column(primary_key=True)
    library_id: Mapped[str] = mapped_column(primary_key=True)


class Progress(Base):
    """How far a user is in a movie."""

    __tablename__ = "progress"
    user_id: Mapped[str] = mapped_column(primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"), primary_key=True)
    position_seconds: Mapped[float]
    duration_seconds: Mapped[float]
    watched: Mapped[bool]
    last_watched_at: Mapped[datetime]


class SaveRequest(BaseModel):
    """A report of a player."""

    position_seconds: float = Field(ge=0, le=10_000_000, strict=True, allow_inf_nan=False)
    duration_seconds: float = Field(gt=0, le=10_000_000, strict=True, allow_inf_nan=False)


class ProgressAnswer(BaseModel):
    """A progress."""

    position_seconds: float
    duration_seconds: float | None
    completion_percentage: float
    watched: bool
    last_watched_at: str | None = None

    @classmethod
    def of(cls, progress: Progress | None) -> "ProgressAnswer":
        """Show a progress, or that there is none."""
        if progress is None:
            return cls(position_seconds=0, duration_seconds=None, completion_percentage=0, watched=False)
        return cls(
            position_seconds=progress.position_seconds,
            duration_seconds=progress.duration_seconds,
            completion_percentage=round(progress.position_seconds * 100 / progress.duration_seconds, 2),
            watched=progress.watched,
            last_watched_at=progress.last_watched_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )


def make_engine(file: Path, connections: int, begin: str) -> AsyncEngine:
    """Make a pool of connections that stay open, and begin their transactions with `begin`."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", pool_size=connections, max_overflow=0)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:  # noqa: ANN401 - the driver's own types
        connection.isolation_level = None  # transactions are begun below: the driver would begin them too late
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def begin_transaction(connection: Any) -> None:  # noqa: ANN401
        connection.exec_driver_sql(begin)

    return engine


async def find(session: AsyncSession, token: str, item_id: str) -> tuple[str, Progress | None]:
    """Return the caller and their progress of a movie. Raises HTTPException."""
    known = await session.get(Token, hashlib.sha256(token.encode()).hexdigest())
    if known is None:
        raise HTTPException(401, "Not authenticated")
    found = (
        await session.execute(
            select(LibraryAccess.user_id, Progress)
            .select_from(Item)
            .outerjoin(
                LibraryAccess,
                and_(LibraryAccess.library_id == Item.library_id, LibraryAccess.user_id == known.user_id),
            )
            .outerjoin(Progress, and_(Progress.item_id == Item.id, Progress.user_id == known.user_id))
            .where(Item.id == item_id)
        )
    ).one_or_none()
    if found is None:
        raise HTTPException(404, "Media item not found")
    granted_to, progress = found
    if granted_to is None:
        raise HTTPException(403, "Access denied")
    return known.user_id, progress


async def credential(authorization: Annotated[str, Header()] = "") -> str:
    """Return the bearer token of a request."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "Not authenticated")
    return token


Credential = Annotated[str, Depends(credential)]


async def refuse(_: Request, error: HTTPException) -> JSONResponse:
    """Answer a refusal in Playhead's words."""
    return JSONResponse({"error": error.detail}, error.status_code)


async def refuse_body(_: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a body that is no report."""
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return JSONResponse({"error": "Malformed JSON"}, 400)
    details = {str(fault["loc"][-1]): [fault["msg"]] for fault in faults}
    return JSONResponse({"error": "Invalid data", "details": details}, 422)


def make_app(file: Path) -> FastAPI:
    """Make the application. One connection writes: SQLite lets no second one, and waiting in the pool is in order."""
    reading, writing = make_engine(file, READERS, "BEGIN"), make_engine(file, 1, "BEGIN IMMEDIATE")
    read_sessions = async_sessionmaker(reading, expire_on_commit=False)
    write_sessions = async_sessionmaker(writing, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await reading.dispose()
        await writing.dispose()

    app = FastAPI(lifespan=lifespan)
    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(RequestValidationError, refuse_body)

    @app.get("/api/v1/playback/movie/{item_id}", response_model_exclude_unset=True)
    async def read(item_id: str, token: Credential) -> ProgressAnswer:
        async with read_sessions() as session:
            _, progress = await find(session, token, item_id)
            return ProgressAnswer.of(progress)

    @app.post("/api/v1/playback/movie/{item_id}")
    async def save(item_id: str, report: SaveRequest, token: Credential) -> ProgressAnswer:
        async with write_sessions.begin() as session:
            user_id, progress = await find(session, token, item_id)
            if progress is None:
                progress = Progress(user_id=user_id, item_id=item_id, watched=False)
                session.add(progress)
            progress.position_seconds = min(report.position_seconds, report.duration_seconds)
            progress.duration_seconds = report.duration_seconds
            if progress.position_seconds * 100 >= report.duration_seconds * WATCHED_PERCENT:
                progress.watched = True
            progress.last_watched_at = datetime.now(UTC)
        return ProgressAnswer.of(progress)

    return app


def make_database(
    file: Path, tokens: Sequence[tuple[str, str]], items: Sequence[tuple[str, str]], library: str
) -> None:
    """Fill a new file: (hash, user id) of the tokens, (id, library id) of the items, and `library` for every user."""
    engine = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Token), [{"hash": digest, "user_id": user} for digest, user in tokens])
        connection.execute(insert(Item), [{"id": item, "library_id": shelf} for item, shelf in items])
        connection.execute(insert(LibraryAccess), [{"user_id": user, "library_id": library} for _, user in tokens])
    engine.dispose()


if __name__ == "__main__":
    uvicorn.run(
        make_app(Path(sys.argv[2])),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
    )
