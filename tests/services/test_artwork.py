"""Pictures of items: their sources, making each once, the disk cache and the negative cache. The makers are fakes."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, update

from fakes import Clock, Ids, settle
from playhead.domain.artwork import ArtworkKind, PixelSize
from playhead.domain.catalogue import Holding, Item, MediaInfo, MediaStream, identity
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, Role, UserId
from playhead.domain.scanning import FileLink, FoundFile, ItemChanges
from playhead.errors import Code, PlayheadError
from playhead.media.contents import Unusable
from playhead.services.access import Viewer
from playhead.services.artwork import Artwork, ArtworkTools, Picture
from playhead.services.catalogue import Catalogue
from playhead.storage import scanning, schema
from playhead.storage.engine.database import Database
from playhead.storage.scanning import FileChange

pytestmark = pytest.mark.anyio

ADMIN = Viewer(UserId("00000000-0000-4000-8000-0000000000aa"), Role.ADMIN)
STRANGER = Viewer(UserId("00000000-0000-4000-8000-0000000000bb"), Role.MEMBER)
POSTER, STILL = ArtworkKind.POSTER, ArtworkKind.STILL


class Studio:
    """Makes a text that says what it was made from; files with the content 'broken' are unusable."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)

    def of_image(self, path: Path, size: PixelSize) -> bytes:
        return self._make("image", path, size)

    def of_film(self, path: Path, size: PixelSize) -> bytes:
        return self._make("frame", path, size)

    def _make(self, what: str, path: Path, size: PixelSize) -> bytes:
        self.started.release()
        assert self.gate.wait(20)
        self.made.append(path.name)
        if path.read_text() in {"broken", "slow"}:
            raise Unusable("it is broken", passing=path.read_text() == "slow")
        return f"{what} of {path.name}, {size.width}x{size.height}: {path.read_text()}".encode()


class Gallery:
    """A library in a folder, filled by a test, and its pictures."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.root = folder / "library"
        self.root.mkdir()
        self.kept = folder / "artwork"
        self.studio = Studio()
        self.seconds = 0.0
        self.ids = Ids()
        self.library_id = LibraryId("")
        self.artwork = self.open()

    def open(self) -> Artwork:
        tools = ArtworkTools(self.studio.of_image, self.studio.of_film)
        return Artwork(self.database, self.kept, monotonic=lambda: self.seconds, tools=tools)

    async def begin(self) -> None:
        catalogue = Catalogue(self.database, clock=Clock(), new_id=self.ids)
        self.library_id = (await catalogue.add_library("Films", LibraryKind.MOVIES, self.root)).id

    def lay(self, path: str, content: str = "film") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def item(self, title: str, kind: ItemKind = ItemKind.MOVIE) -> Item:
        return Item(ItemId(self.ids()), kind, title, identity(title), Instant(0))

    async def put(self, item: Item, *paths: str) -> ItemId:
        """Put an item with its files, which are created, too, into the catalogue."""
        changes = ItemChanges([item], [], [Holding(item.id, self.library_id, item.added_at, title=item.title)])
        await self.database.write(lambda connection: scanning.store_items(connection, changes))
        for path in paths:
            self.lay(path)
            change = FileChange(
                FileId(self.ids()),
                is_new=True,
                found=FoundFile(path, 5, 5, "1"),
                info=MediaInfo(Milliseconds(1000), "mov", (MediaStream("video", "h264", width=640, height=360),)),
                label="360p",
                links=(FileLink(item.id),),
            )

            def store(connection: Connection, change: FileChange = change) -> None:
                scanning.store_files(connection, self.library_id, [change], Instant(0))

            await self.database.write(store)
        return item.id

    async def movie(self, *paths: str) -> ItemId:
        return await self.put(self.item("Heat"), *(paths or ("Heat (1995)/Heat.mp4",)))

    async def show(self, *numbers: tuple[int, int]) -> ItemId:
        show = self.item("Dark", ItemKind.SHOW)
        await self.put(show)
        for season, number in numbers:
            episode = self.item(f"Episode {season} {number}", ItemKind.EPISODE)
            episode = replace(episode, show_id=show.id, season_number=season, episode_number=number)
            await self.put(episode, f"Dark/Season {season}/Dark S{season:02}E{number:02}.mp4")
        return show.id

    async def find(
        self, item_id: ItemId, kind: ArtworkKind | None = None, width: int = 240, season: int | None = None
    ) -> Picture:
        return await self.artwork.find(ADMIN, item_id, kind, width, season)

    async def look(
        self, item_id: ItemId, kind: ArtworkKind | None = None, width: int = 240, season: int | None = None
    ) -> str:
        return (await self.artwork.content(await self.find(item_id, kind, width, season))).decode()


@pytest.fixture
async def gallery(database: Database, tmp_path: Path) -> AsyncIterator[Gallery]:
    gallery = Gallery(database, tmp_path)
    await gallery.begin()
    yield gallery
    gallery.studio.gate.set()
    await gallery.artwork.close()


async def refusal(awaitable: object) -> tuple[Code, str]:
    with pytest.raises(PlayheadError) as caught:
        await awaitable
    return caught.value.code, caught.value.message


NO_ARTWORK = (Code.NOT_FOUND, "Artwork not found")


# Sources of pictures


async def test_a_movie_has_the_poster_beside_it_or_else_a_frame(gallery: Gallery):
    movie = await gallery.movie()
    assert await gallery.look(movie) == "frame of Heat.mp4, 240x360: film"
    gallery.lay("Heat (1995)/poster.jpg", "poster")
    assert await gallery.look(movie) == "image of poster.jpg, 240x360: poster"
    assert await gallery.look(movie, STILL) == "frame of Heat.mp4, 240x135: film"


async def test_a_show_has_a_frame_of_its_first_episode_and_each_season_its_own(gallery: Gallery):
    show = await gallery.show((0, 1), (2, 1), (1, 2), (1, 1))
    assert await gallery.look(show) == "frame of Dark S01E01.mp4, 240x360: film"
    assert await gallery.look(show, season=2) == "frame of Dark S02E01.mp4, 240x360: film"
    assert await gallery.look(show, season=0) == "frame of Dark S00E01.mp4, 240x360: film"
    assert await refusal(gallery.find(show, season=3)) == NO_ARTWORK
    gallery.lay("Dark/poster.jpg", "show")
    gallery.lay("Dark/season02-poster.jpg", "season 2")
    assert await gallery.look(show) == "image of poster.jpg, 240x360: show"
    assert await gallery.look(show, season=1) == "image of poster.jpg, 240x360: show"
    assert await gallery.look(show, season=2) == "image of season02-poster.jpg, 240x360: season 2"


async def test_an_episode_has_a_still_unless_a_poster_is_requested(gallery: Gallery):
    show = gallery.item("Dark", ItemKind.SHOW)
    await gallery.put(show)
    episode = replace(gallery.item("Lies", ItemKind.EPISODE), show_id=show.id, season_number=1, episode_number=2)
    await gallery.put(episode, "Dark/Season 1/Dark S01E02.mp4")
    gallery.lay("Dark/poster.jpg", "show")
    assert await gallery.look(episode.id) == "frame of Dark S01E02.mp4, 240x135: film"
    gallery.lay("Dark/Season 1/Dark S01E02-thumb.jpg", "still")
    assert await gallery.look(episode.id) == "image of Dark S01E02-thumb.jpg, 240x135: still"
    assert await gallery.look(episode.id, POSTER) == "image of poster.jpg, 240x360: show"


async def test_only_shows_have_seasons(gallery: Gallery):
    assert (await refusal(gallery.find(await gallery.movie(), season=1)))[0] is Code.INVALID


async def test_a_broken_poster_falls_back_to_a_frame_and_a_broken_film_to_another_version(gallery: Gallery):
    movie = await gallery.movie("Heat (1995)/Heat - a.mp4", "Heat (1995)/Heat - b.mp4")
    gallery.lay("Heat (1995)/poster.jpg", "broken")
    gallery.lay("Heat (1995)/Heat - a.mp4", "broken")
    assert await gallery.look(movie) == "frame of Heat - b.mp4, 240x360: film"


@pytest.mark.parametrize("place", ["../poster.jpg", "elsewhere"])
async def test_a_picture_outside_the_library_is_not_read(gallery: Gallery, place: str):
    movie = await gallery.movie()
    outside = gallery.root.parent / "poster.jpg"
    outside.write_text("secret")
    if place == "elsewhere":
        (gallery.root / "Heat (1995)" / "poster.jpg").symlink_to(outside)
    else:
        change = update(schema.media_file).values(path=f"{place}/../Heat.mp4")
        await gallery.database.write(lambda connection: connection.execute(change) and None)
        assert await refusal(gallery.find(movie)) == NO_ARTWORK
        return
    assert await gallery.look(movie) == "frame of Heat.mp4, 240x360: film"


async def test_an_item_without_file_or_folder_has_no_artwork(gallery: Gallery):
    assert await refusal(gallery.find(await gallery.put(gallery.item("Gone")))) == NO_ARTWORK
    movie = await gallery.movie()
    (gallery.root / "Heat (1995)" / "Heat.mp4").unlink()
    assert await refusal(gallery.find(movie)) == NO_ARTWORK

    def store(connection: Connection) -> None:
        library = {"id": gallery.ids(), "name": "Imported", "kind": "movies", "created_at": 0}
        connection.execute(insert(schema.library), [library])
        for table in (schema.holding, schema.media_file):
            connection.execute(update(table).values(library_id=library["id"]))

    await gallery.database.write(store)
    assert await refusal(gallery.find(movie)) == NO_ARTWORK


async def test_a_picture_is_shown_only_to_users_who_may_see_the_item(gallery: Gallery):
    movie = await gallery.movie()
    found = gallery.artwork.find(STRANGER, movie, None, 240)
    assert await refusal(found) == (Code.ACCESS_DENIED, "Access denied")
    nowhere = ItemId("99999999-9999-4999-8999-999999999999")
    assert await refusal(gallery.find(nowhere)) == (Code.NOT_FOUND, "Media item not found")


# Single-flight and caches


async def test_a_picture_is_made_once_and_kept_for_the_next_process(gallery: Gallery):
    movie = await gallery.movie()
    first = await gallery.look(movie)
    assert await gallery.look(movie) == first
    await gallery.artwork.close()
    gallery.artwork = gallery.open()
    assert await gallery.look(movie) == first
    assert gallery.studio.made == ["Heat.mp4"]


async def test_every_kind_and_width_is_a_separate_picture(gallery: Gallery):
    movie = await gallery.movie()
    pictures = [await gallery.find(movie, kind, width) for kind in ArtworkKind for width in (240, 480)]
    assert len({picture.tag for picture in pictures}) == 4


async def test_a_replaced_file_has_a_different_picture(gallery: Gallery):
    movie = await gallery.movie()
    poster = gallery.lay("Heat (1995)/poster.jpg", "old")
    assert await gallery.look(movie) == "image of poster.jpg, 240x360: old"
    poster.write_text("newer")
    assert await gallery.look(movie) == "image of poster.jpg, 240x360: newer"
    poster.unlink()
    gallery.lay("Heat (1995)/Heat.mp4", "another film")
    assert await gallery.look(movie) == "frame of Heat.mp4, 240x360: another film"


async def test_concurrent_requests_for_a_picture_share_one_job(gallery: Gallery):
    movie = await gallery.movie()
    picture = await gallery.find(movie)
    gallery.studio.gate.clear()
    looks = [asyncio.create_task(gallery.artwork.content(picture)) for _ in range(20)]
    await asyncio.to_thread(gallery.studio.started.acquire, timeout=60)
    await settle()
    gallery.studio.gate.set()
    assert len(set(await asyncio.gather(*looks))) == 1
    assert gallery.studio.made == ["Heat.mp4"]


async def test_cancelling_the_first_request_does_not_affect_the_others(gallery: Gallery):
    movie = await gallery.movie()
    picture = await gallery.find(movie)
    gallery.studio.gate.clear()
    first = asyncio.create_task(gallery.artwork.content(picture))
    await asyncio.to_thread(gallery.studio.started.acquire, timeout=60)
    second = asyncio.create_task(gallery.artwork.content(picture))
    for _ in range(100):  # the second looks in the disk cache on a thread before it waits for the first one's job
        await asyncio.to_thread(str)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    gallery.studio.gate.set()
    assert await second == b"frame of Heat.mp4, 240x360: film"
    assert gallery.studio.made == ["Heat.mp4"]


async def test_few_pictures_are_made_concurrently_and_the_queue_is_bounded(gallery: Gallery):
    show = await gallery.show(*((season, 1) for season in range(1, 150)))
    pictures = [await gallery.find(show, season=season) for season in range(1, 150)]
    gallery.studio.gate.clear()
    looks = [asyncio.create_task(gallery.artwork.content(picture)) for picture in pictures]
    refused: set[asyncio.Task[bytes]] = set()
    waiting = set(looks)
    async with asyncio.timeout(60):
        while len(waiting) > 128:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
    await settle()
    assert not any(look.done() for look in waiting)
    assert {(await refusal(look))[0] for look in refused} == {Code.UNAVAILABLE}
    begun = 0
    while gallery.studio.started.acquire(blocking=False):
        begun += 1
    assert begun == 2
    gallery.studio.gate.set()
    assert len(await asyncio.gather(*waiting)) == 128


async def test_a_failure_is_not_retried_until_the_file_changes_or_an_hour_has_passed(gallery: Gallery):
    movie = await gallery.movie()
    gallery.lay("Heat (1995)/Heat.mp4", "broken")
    for _ in range(3):
        assert await refusal(gallery.look(movie)) == NO_ARTWORK
    assert gallery.studio.made == ["Heat.mp4"]
    gallery.seconds += 3601
    assert await refusal(gallery.look(movie)) == NO_ARTWORK
    assert gallery.studio.made == ["Heat.mp4", "Heat.mp4"]
    gallery.lay("Heat (1995)/Heat.mp4", "mended")
    assert await gallery.look(movie) == "frame of Heat.mp4, 240x360: mended"


async def test_a_temporary_failure_is_not_a_missing_picture_and_is_retried(gallery: Gallery):
    movie = await gallery.movie()
    gallery.lay("Heat (1995)/Heat.mp4", "slow")
    for _ in range(2):
        assert (await refusal(gallery.look(movie)))[0] is Code.UNAVAILABLE
    assert gallery.studio.made == ["Heat.mp4", "Heat.mp4"]


async def test_pictures_are_shown_even_if_they_cannot_be_kept(gallery: Gallery):
    gallery.kept.write_text("a file in the folder's place")
    movie = await gallery.movie()
    assert await gallery.look(movie) == await gallery.look(movie) == "frame of Heat.mp4, 240x360: film"
    assert len(gallery.studio.made) == 2


async def test_shutdown_waits_for_no_job(gallery: Gallery):
    movie = await gallery.movie()
    gallery.studio.gate.clear()
    look = asyncio.create_task(gallery.look(movie))
    await asyncio.to_thread(gallery.studio.started.acquire, timeout=60)
    await asyncio.wait_for(gallery.artwork.close(), 60)
    with pytest.raises(asyncio.CancelledError):
        await look
