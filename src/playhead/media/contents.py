"""What reading a media file comes to, and the small files beside the media that are read whole."""

import os
import stat
from pathlib import Path


class Unreadable(Exception):  # noqa: N818 - a finding about a file, not a failure of the program
    """The file is no film that can be played. `str()` is a short reason for people, without the file's name.

    `passing`: the reason may lie outside the file, so the next scan should try again.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class Unusable(Exception):  # noqa: N818 - a finding about a file, not a failure of the program
    """No picture or text can be made of the file. `str()` is a short reason for people, without the file's name."""


def read_content(path: Path, bytes_max: int) -> bytes:
    """Return what is in a regular file; `path` is resolved. Raises Unusable, also where there is more; OSError."""
    # A link in its place was laid there since it was resolved. And a pipe must not make anybody wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("it is not a regular file")
        if status.st_size > bytes_max:
            raise Unusable("it is too large")
        return file.read(bytes_max)
