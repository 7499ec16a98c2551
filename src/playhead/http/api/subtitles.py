"""Subtitles over HTTP, as the `<track>` of a page requests them."""

from typing import Final

from starlette.responses import Response

from playhead.domain.model import FileId
from playhead.http.api.streaming import FILE_NOT_FOUND, has_tag
from playhead.http.route import Call
from playhead.services.subtitles import MEDIA_TYPE, Subtitles

_LONGEST_INDEX: Final = 5  # digits


class SubtitleRoutes:
    """The endpoint of subtitles."""

    def __init__(self, subtitles: Subtitles) -> None:
        self._subtitles = subtitles

    async def read(self, call: Call) -> Response:
        """Send subtitles of a file as WebVTT, by their `index` in the list of an item."""
        file_id, index = call.path_id(FileId, FILE_NOT_FOUND), call.parameters["index"]
        is_number = index.isascii() and index.isdigit() and len(index) <= _LONGEST_INDEX
        found = await self._subtitles.find(call.viewer, file_id, int(index) if is_number else 10**_LONGEST_INDEX)
        headers = {"etag": f'"{found.tag}"'}
        if has_tag(call.header(b"if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = f"{MEDIA_TYPE}; charset=utf-8"
        return Response(await self._subtitles.content(found), headers=headers)
