"""Films as bytes: whole files and single byte ranges straight from disk, for players and the `<video>` of browsers.

RFC 9110 defines ranges and conditions; the comments give its sections. The catalogue decides who may see a file, and
where it is.
"""

import logging
import os
import re
import stat
from collections.abc import AsyncGenerator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote

from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from playhead.domain.catalogue import MediaFile
from playhead.domain.model import FileId, ItemKind
from playhead.domain.texts import shown
from playhead.errors import Code, PlayheadError, not_found
from playhead.http.connection import connection_of
from playhead.http.errors import send_problem
from playhead.http.route import Call
from playhead.services.catalogue import Catalogue

log = logging.getLogger(__name__)

FILE_NOT_FOUND: Final = "File not found"

# By FFmpeg's name of a container. If the name covers several containers, the file's extension decides.
_MEDIA_TYPES: Final = {
    "mov": "video/mp4",
    "matroska": "video/matroska",  # RFC 9559, section 27.2
    "avi": "video/vnd.avi",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "mpegvideo": "video/mpeg",
    "ogg": "video/ogg",
    "asf": "video/x-ms-asf",
    "flv": "video/x-flv",
}
_MEDIA_TYPES_BY_ENDING: Final = {
    ("mov", ".mov"): "video/quicktime",
    ("mov", ".3gp"): "video/3gpp",
    ("matroska", ".webm"): "video/webm",
}
_ANY_BYTES: Final = "application/octet-stream"
MEDIA_TYPES: Final = tuple(dict.fromkeys([*_MEDIA_TYPES.values(), *_MEDIA_TYPES_BY_ENDING.values(), _ANY_BYTES]))

# One read, and one message to the server: switching to a thread and back costs about as much as reading 100 KiB.
_CHUNK_BYTES: Final = 256 * 1024

# Section 14.1.2. A number with more digits than any file size is not a range that we understand.
_SINGLE_RANGE: Final = re.compile(r"bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.IGNORECASE)
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


class StreamRoutes:
    """The endpoints that send films."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def movie(self, call: Call) -> Response:
        """Send a movie: the preferred version of several, the first of several parts."""
        return await self._item(call, ItemKind.MOVIE)

    async def episode(self, call: Call) -> Response:
        """Send an episode: the preferred version of several, the first of several parts."""
        return await self._item(call, ItemKind.EPISODE)

    async def file(self, call: Call) -> Response:
        """Send one file, by its id in the list of an item."""
        file_id = call.path_id(FileId, FILE_NOT_FOUND)
        found = await self._catalogue.stream_file(call.viewer, file_id)
        return await file_response(call.scope, found.path, found.file)

    async def _item(self, call: Call, kind: ItemKind) -> Response:
        found = await self._catalogue.stream_item(call.viewer, kind, call.item_id(kind))
        return await file_response(call.scope, found.path, found.file)


def media_type_of(name: str, container: str | None) -> str:
    """Return the media type of a file by FFmpeg's name of its container and, if that is ambiguous, by its extension."""
    if container is None:
        return _ANY_BYTES
    ending = PurePosixPath(name).suffix.lower()
    return _MEDIA_TYPES_BY_ENDING.get((container, ending)) or _MEDIA_TYPES.get(container, _ANY_BYTES)


async def file_response(scope: Scope, path: Path, file: MediaFile) -> Response:
    """Answer a GET or HEAD for a regular file: 200, 206, 304, or 416 with the length.

    `path` is resolved; `file` determines name and type. A request for several ranges is answered with the whole file
    (section 14.2 permits that). Raises NOT_FOUND if the file is missing, unreadable or not a regular file, and
    PRECONDITION_FAILED if the client wants another version of it.
    """
    opened = await to_thread.run_sync(_open, path)
    handed_on = False
    name = PurePosixPath(file.path).name  # where that is a link, it may lead to a number in a store
    try:
        headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        validators = {
            "etag": opened.entity_tag,
            "last-modified": formatdate(opened.modified_at, usegmt=True),
        }
        if not _is_wanted(headers, opened):
            raise PlayheadError(Code.PRECONDITION_FAILED, "The file has changed")
        if _is_unmodified(headers, opened):
            return Response(status_code=304, headers=validators)
        described = validators | {
            "accept-ranges": "bytes",
            "content-type": media_type_of(name, file.container),
            "content-disposition": _disposition(name),
        }
        if scope["method"] == "HEAD":  # only GET has ranges (section 14.2)
            return Response(headers=described | {"content-length": str(opened.size)})
        wanted = _wanted_range(headers, opened)
        if isinstance(wanted, Unsatisfiable):
            return wanted
        response = _FileStream(opened, wanted, described)
        handed_on = True
        return response
    finally:
        if not handed_on:
            os.close(opened.descriptor)


class _Opened(NamedTuple):
    """An open file. The whole response comes from it, so that a file that is replaced meanwhile cannot mix in."""

    descriptor: int
    size: int
    mtime_ns: int

    @property
    def modified_at(self) -> int:
        return self.mtime_ns // 1_000_000_000

    @property
    def entity_tag(self) -> str:
        return f'"{self.size:x}-{self.mtime_ns:x}"'


def _open(path: Path) -> _Opened:
    try:
        # The path is resolved: a link in its place was put there since. And opening a pipe must not block.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        log.warning("%s cannot be opened: %s", shown(str(path)), error.strerror)
        raise not_found(FILE_NOT_FOUND) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise not_found(FILE_NOT_FOUND)
    return _Opened(descriptor, status.st_size, status.st_mtime_ns)


class _Range(NamedTuple):
    """Bytes `first` to `last`, both inclusive, as in Content-Range."""

    first: int
    last: int


class Unsatisfiable(Response):
    """The problem document for a range beyond the end of the file, with its length."""

    def __init__(self, size: int) -> None:
        super().__init__(status_code=416)
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del scope, receive
        error = PlayheadError(Code.RANGE_NOT_SATISFIABLE, "Range not satisfiable")
        await send_problem(send, error, [(b"content-range", b"bytes */%d" % self._size)])


class _FileStream(StreamingResponse):
    """Sends a file or a range of it, and always closes it."""

    def __init__(self, opened: _Opened, wanted: _Range | None, headers: dict[str, str]) -> None:
        first, last = wanted or _Range(0, opened.size - 1)
        length = last - first + 1
        headers |= {"content-length": str(length)}
        if wanted is not None:
            headers["content-range"] = f"bytes {first}-{last}/{opened.size}"
        super().__init__(_read(opened.descriptor, first, length), 200 if wanted is None else 206, headers)
        self._descriptor = opened.descriptor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. A client that disconnects ends the reading; one that pauses does not."""
        connection = connection_of(scope)
        if connection is not None:
            connection.allow_pauses()
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


async def _read(descriptor: int, first: int, length: int) -> AsyncGenerator[bytes]:
    end = first + length
    while first < end:
        chunk = await to_thread.run_sync(_read_at, descriptor, first, min(_CHUNK_BYTES, end - first))
        if not chunk:
            # The length is promised already: aborting the connection is the only way to tell the client.
            log.warning("A file could not be read to its end while it was sent")
            raise ClientDisconnect
        first += len(chunk)
        yield chunk


def _read_at(descriptor: int, first: int, length: int) -> bytes:
    try:
        return os.pread(descriptor, length, first)
    except OSError:  # to the viewer, a failing disk is a file that ends here
        return b""


def _is_wanted(headers: dict[bytes, str], opened: _Opened) -> bool:
    """Return whether the preconditions hold by which a client asks for one version (sections 13.1.1 and 13.1.4)."""
    tags = headers.get(b"if-match")
    if tags is not None:  # weak tags never match
        return tags.strip() == "*" or opened.entity_tag in {tag.strip() for tag in tags.split(",")}
    since = _seconds_of(headers.get(b"if-unmodified-since"))
    return since is None or opened.modified_at <= since


def _is_unmodified(headers: dict[bytes, str], opened: _Opened) -> bool:
    """Return whether the client already has this version of the file (sections 13.1.2 and 13.1.3)."""
    tags = headers.get(b"if-none-match")
    if tags is not None:
        return has_tag(tags, opened.entity_tag)
    since = _seconds_of(headers.get(b"if-modified-since"))
    return since is not None and opened.modified_at <= since


def has_tag(tags: str | None, entity_tag: str) -> bool:
    """Return whether If-None-Match, if present, names this version."""
    return tags is not None and (tags.strip() == "*" or entity_tag in _ENTITY_TAG.findall(tags))


def _wanted_range(headers: dict[bytes, str], opened: _Opened) -> "_Range | Unsatisfiable | None":
    """Return the requested range, None for the whole file."""
    text = headers.get(b"range")
    found = None if text is None else _SINGLE_RANGE.fullmatch(text)
    if found is None or not _is_current(headers.get(b"if-range"), opened):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:  # a suffix range
        length = min(int(last), opened.size)
        return _Range(opened.size - length, opened.size - 1) if length else Unsatisfiable(opened.size)
    if last and int(last) < int(first):
        return None  # invalid, and therefore ignored
    if int(first) >= opened.size:
        return Unsatisfiable(opened.size)
    return _Range(int(first), min(int(last), opened.size - 1) if last else opened.size - 1)


def _is_current(validator: str | None, opened: _Opened) -> bool:
    """Return whether a range may be sent under this If-Range, which requires a strong match (section 13.1.5)."""
    if validator is None:
        return True
    if validator.startswith(('"', "W/")):
        return validator.strip() == opened.entity_tag
    return _seconds_of(validator) == opened.modified_at


def _seconds_of(date: str | None) -> int | None:
    try:
        return None if date is None else int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


def _disposition(name: str) -> str:
    """Return a Content-Disposition with the file's name (RFC 6266), with an ASCII fallback for old clients."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in name)
    exact = quote(name.encode("utf-8", "surrogateescape"), safe="!#$&+-.^_`|~")  # RFC 8187, attr-char
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{exact}"
