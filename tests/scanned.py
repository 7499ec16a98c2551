"""A library in a folder of its own, and scans of it. The content of a film is its file's text: `minutes=90`."""

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import insert, select

from fakes import Clock, Ids
from playhead.domain.catalogue import MediaInfo, MediaStream, ParsedName
from playhead.domain.model import ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, Role, UserId
from playhead.media.contents import Unreadable
from playhead.media.names import filenames
from playhead.services.access import Viewer
from playhead.services.catalogue import Catalogue, ItemDetail, ItemView
from playhead.services.scanning import Scanner, ScanReport, ScanTools
from playhead.services.splitting import Splitting
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database

ADMIN = Viewer(UserId("00000000-0000-4000-8000-0000000000aa"), Role.ADMIN)


def probe(path: Path) -> MediaInfo:
    """Read what `film` has written."""
    text = path.read_text()
    minutes = re.search(r"minutes=(\d+)", text)
    if "truncated" in text:
        raise Unreadable("it is truncated", passing=True)
    if minutes is None:
        raise Unreadable("it holds no film")
    height = int((re.search(r"height=(\d+)", text) or ["", "1080"])[1])
    streams = (
        MediaStream("video", "h264", width=height * 16 // 9, height=height),
        MediaStream("audio", "aac", language="eng"),
    )
    return MediaInfo(Milliseconds(int(minutes[1]) * 60_000), "matroska", streams)


class ScannedLibrary:
    """A library with its own folder, and what a test does to it."""

    def __init__(self, database: Database, root: Path, kind: LibraryKind, ids: Ids) -> None:
        root.mkdir()
        self.root = root.resolve()
        self.kind = kind
        self.database = database
        self.clock = Clock()
        self.ids = ids
        self.catalogue = Catalogue(database, clock=self.clock, new_id=self.ids)
        self.id = LibraryId("")
        self.scanner = self.new_scanner()

    def new_scanner(
        self,
        parse: Callable[..., ParsedName | None] = filenames.parse,
        splitting: Splitting | None = None,
        **more: Callable[..., Awaitable[int]],
    ) -> Scanner:
        tools = ScanTools(parse, probe, splitting=splitting, **more)
        return Scanner(self.database, clock=self.clock, new_id=self.ids, tools=tools)

    async def open(self) -> None:
        self.id = (await self.catalogue.add_library(self.kind, self.kind, self.root)).id

    def film(self, path: str, minutes: int = 90, text: str = "", height: int = 1080) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(os.fsencode(f"minutes={minutes} height={height} {text or path}"))
        return target

    def nfo(self, path: str, content: str) -> None:
        (self.root / path).write_text(content)

    async def scan(self, **options: bool) -> ScanReport:
        self.clock.advance(1000)
        return await self.scanner.scan(self.id, **options)

    async def items(self, kind: ItemKind | None = None) -> list[ItemView]:
        return (await self.catalogue.list_items(ADMIN, kind=kind, limit=None)).items

    async def titles(self, kind: ItemKind | None = None) -> list[str]:
        return [view.item.title for view in await self.items(kind)]

    async def only(self, kind: ItemKind = ItemKind.MOVIE) -> ItemDetail:
        (view,) = await self.items(kind)
        return await self.catalogue.get_item(ADMIN, view.item.id)

    async def episodes(self) -> dict[tuple[int | None, int | None], ItemId]:
        return {
            (view.item.season_number, view.item.episode_number): view.item.id
            for view in await self.items(ItemKind.EPISODE)
        }


def remember(connection: Connection, item: ItemId) -> None:
    """Store a user's progress of an item."""
    remember_at(connection, item, 1, None)


def remember_at(connection: Connection, item: ItemId, position_ms: int, file_id: str | None) -> None:
    """Store a user's position in an item, and the file that was played."""
    if connection.execute(select(schema.account.c.id)).first() is None:
        connection.execute(
            insert(schema.account).values(id=ADMIN.user_id, name="a", role="admin", password_hash="", created_at=0)
        )
    connection.execute(
        insert(schema.progress).values(
            user_id=ADMIN.user_id,
            item_id=item,
            position_ms=position_ms,
            file_id=file_id,
            duration_ms=3_000_000,
            watched=False,
            armed=True,
            last_watched_at=3,
            changed_at=3,
            completed_marked=False,
            version=1,
        )
    )


def remembered(connection: Connection) -> list[str]:
    """Return the items with progress."""
    return list(connection.execute(select(schema.progress.c.item_id)).scalars())
