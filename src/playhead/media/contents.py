"""The errors of reading media files, and reading small files beside the media completely."""

import os
import stat
from pathlib import Path


class Unreadable(Exception):  # noqa: N818 - a finding about a file, not a failure of the program
    """The file is not a playable video. `str()` is a short reason for people, without the file's name.

    `passing`: the reason may be outside the file, so the next scan should try again.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class Unusable(Exception):  # noqa: N818 - a finding about a file, not a failure of the program
    """No picture or text can be made from the file. `str()` is a short reason for people, without the file's name.

    `passing`: the reason may be outside the file, such as a busy machine, so a later request should try again.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


def read_content(path: Path, bytes_max: int) -> bytes:
    """Return the content of a regular file; `path` is resolved. Raises Unusable, also if it is too large; OSError."""
    # A symbolic link here was put in place after the path was resolved. And a pipe must not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("it is not a regular file")
        if status.st_size > bytes_max:
            raise Unusable("it is too large")
        return file.read(bytes_max)
