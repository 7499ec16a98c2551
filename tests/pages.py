"""Pages as a browser without scripts sees them: what they contain, and forms that are submitted."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
from sqlalchemy import Connection, select, update

from large_libraries import episode_id
from playhead.storage import schema
from world import MOVIE, PASSWORD, RUNTIME_MS, World

OWN = {"origin": "http://playhead.test"}
LENGTH_S = RUNTIME_MS // 1000


class Seen(HTMLParser):
    """What a page links to, asks for and says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.fields: dict[str, dict[str, str | None]] = {}
        self.labels: set[str | None] = set()
        self.inline_scripts = 0
        self.inline_styles = 0
        self.ids: list[str] = []
        self.described_by: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.references += [values[name] or "" for name in ("href", "src", "action") if name in values]
        self.inline_scripts += (tag == "script" and "src" not in values) or any(
            name.startswith("on") for name in values
        )
        self.inline_styles += tag == "style" or "style" in values
        if tag == "input" and values.get("type") != "hidden":
            self.fields[values.get("name") or values.get("id") or ""] = values
        if tag == "label":
            self.labels.add(values.get("for"))
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.described_by += (values.get("aria-describedby") or "").split()


async def submit(client: httpx.AsyncClient, path: str, /, **fields: str) -> httpx.Response:
    """Submit a form as one of our own pages does."""
    return await client.post(path, data=fields, headers=OWN)


async def enter(world: World, username: str = "member") -> None:
    """Sign in; the client keeps the cookie."""
    answer = await submit(world.client, "/sign-in", username=username, password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


class Visitor:
    """Somebody who is signed in, and the reports of their players."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.headers: dict[str, str] = getattr(world, name)

    async def report(self, seconds: float, item_id: str = MOVIE, kind: str = "movie", **more: object) -> None:
        body = {"position_seconds": seconds, "duration_seconds": LENGTH_S} | more
        path = f"/api/v1/playback/{kind}/{item_id}"
        answer = await self.world.client.post(path, json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text

    async def watch(self, *numbers: tuple[int, int]) -> None:
        """Watch these episodes of `large_libraries.STATION` to the end, three hours apart."""
        for each in numbers:
            self.world.clock.advance(3 * 60 * 60 * 1000)
            await self.report(LENGTH_S, episode_id(*each), "episode")

    async def state(self, item_id: str = MOVIE, kind: str = "movie") -> dict[str, Any]:
        path = f"/api/v1/playback/{kind}/{item_id}/state"
        return (await self.world.client.get(path, headers=self.headers)).json()

    async def page(self, path: str) -> str:
        answer = await self.world.client.get(path)
        assert answer.status_code == 200, answer.text
        return words(answer)


def words(answer: httpx.Response) -> str:
    """Return the text of a page, as it is read aloud."""
    return text_in(answer.text)


def text_in(html: str) -> str:
    """Return the text in a part of a page, without tags, and without the titles that stand in for pictures."""
    read_aloud = re.sub(r'<span class="instead" aria-hidden="true">[^<]*</span>', " ", html)
    return " ".join(re.sub(r"<[^>]*>", " ", read_aloud).split())


async def give_folders(world: World) -> None:
    """Give each library a folder, so that its items may have files."""

    def give(connection: Connection) -> None:
        for library_id in connection.execute(select(schema.library.c.id)).scalars().all():
            statement = update(schema.library).where(schema.library.c.id == library_id)
            connection.execute(statement.values(path=f"/srv/{library_id}"))

    await world.playhead.installation.database.write(give)
