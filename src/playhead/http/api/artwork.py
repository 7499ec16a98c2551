"""Posters and stills over HTTP, as an `<img>` requests them."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from playhead.domain.artwork import WIDTH_DEFAULT, ArtworkKind
from playhead.domain.model import ItemKind
from playhead.http.api.streaming import has_tag
from playhead.http.errors import problem
from playhead.http.route import Call
from playhead.services.artwork import MEDIA_TYPE, Artwork, ArtworkMissingError

# A page must not ask again and again for a picture that cannot be made; one that is added appears after ten minutes.
_MISSING: Final = "private, max-age=600"


class ArtworkQuery(Struct):
    """The kind and width of a picture. Without a kind: a still of an episode, a poster of everything else."""

    kind: ArtworkKind | None = None
    width: Literal[240, 480, 960] = WIDTH_DEFAULT
    season: Annotated[int, Meta(ge=0, le=100_000)] | None = None


class ArtworkRoutes:
    """The endpoint of pictures."""

    def __init__(self, artwork: Artwork) -> None:
        self._artwork = artwork

    async def read(self, call: Call) -> Response:
        """Send the poster or a still of an item, or of one season of a show: a JPEG of 2:3 or of 16:9."""
        query = call.query(ArtworkQuery)
        item_id = call.item_id(ItemKind.MOVIE)
        headers = {"vary": "authorization, cookie"}  # somebody else may be signed in to the browser by then
        try:
            picture = await self._artwork.find(call.viewer, item_id, query.kind, query.width, query.season)
            headers["etag"] = f'"{picture.tag}"'
            if has_tag(call.header(b"if-none-match"), headers["etag"]):
                return Response(status_code=304, headers=headers)
            content = await self._artwork.content(picture)
        except ArtworkMissingError as error:
            status, fields, body = problem(error)
            told = {name.decode(): value.decode() for name, value in fields}
            return Response(body, status, {**told, "vary": headers["vary"], "cache-control": _MISSING})
        return Response(content, headers={**headers, "content-type": MEDIA_TYPE})
