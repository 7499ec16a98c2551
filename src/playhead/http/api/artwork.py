"""Posters and stills over HTTP, as an `<img>` of a page asks for them."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from playhead.domain.artwork import WIDTH_DEFAULT, ArtworkKind
from playhead.domain.model import ItemId, ItemKind, canonical_id
from playhead.errors import not_found
from playhead.http.api.streaming import has_tag
from playhead.http.route import Call
from playhead.services.access import NOT_FOUND, Viewer
from playhead.services.artwork import MEDIA_TYPE, Artwork

_MAX_AGE_S: Final = 3600


class ArtworkQuery(Struct):
    """Which picture is wanted, and how wide. Without a kind: a still of an episode, a poster of everything else."""

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
        item_id = canonical_id(call.parameters["id"])
        if item_id is None:
            raise not_found(NOT_FOUND[ItemKind.MOVIE])
        viewer = Viewer(call.user.user_id, call.user.role)
        picture = await self._artwork.find(viewer, ItemId(item_id), query.kind, query.width, query.season)
        headers = {
            "etag": f'"{picture.tag}"',
            "vary": "authorization, cookie",  # a browser may be somebody else's by then
        }
        if has_tag(call.header(b"if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = MEDIA_TYPE
        return Response(await self._artwork.content(picture), headers=headers)
