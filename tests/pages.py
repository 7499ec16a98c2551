"""Pages as a browser without scripts meets them: what is on them, and forms that are sent."""

from html.parser import HTMLParser

import httpx

from world import PASSWORD, World

OWN = {"origin": "http://playhead.test"}


class Seen(HTMLParser):
    """What a page refers to, asks for and says."""

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
    """Send a form as a page of our own does."""
    return await client.post(path, data=fields, headers=OWN)


async def enter(world: World, username: str = "member") -> None:
    """Sign in; the client keeps the cookie."""
    answer = await submit(world.client, "/sign-in", username=username, password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
