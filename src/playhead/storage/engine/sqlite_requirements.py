"""Requirements on the SQLite library and the data folder: no known corruption, and a local disk."""

import re
from pathlib import Path

from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused

# File systems on which the shared memory of the write-ahead log or the locks do not work between machines.
_NETWORK_TYPES = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ncpfs?|coda|ceph|lustre|beegfs|davfs\d?|glusterfs"
    r"|fuse\.(sshfs|rclone|s3fs|glusterfs|davfs\d?|ceph|ceph-fuse|smbnetfs|curlftpfs|goofys|gcsfuse|blobfuse\d?|juicefs)"
)


def is_wal_sound(version: tuple[int, ...]) -> bool:
    """Return whether this version of SQLite is free of the WAL-reset defect, which can corrupt a database.

    Affected are 3.7.0 to 3.51.2, when two connections write or checkpoint at the same instant; fixed in 3.51.3 and in
    3.50.7 and 3.44.6 of the older branches. Source: https://sqlite.org/wal.html, 'The WAL-Reset Bug'.
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def require_sound_library() -> None:
    """Raise StorageRefused if apsw was built with an SQLite version that can corrupt a database."""
    if not is_wal_sound(apsw_dbapi.sqlite_version_info):
        raise StorageRefused(
            f"SQLite {apsw_dbapi.sqlite_version} can corrupt a database when two processes write at the same time. "
            "Install an apsw with SQLite 3.51.3 or newer."
        )


def filesystem_type(folder: Path, mountinfo: str) -> str | None:
    """Return the type of the file system that holds `folder`, by the text of /proc/self/mountinfo; None if unknown.

    The format is that of proc_pid_mountinfo(5): blanks in paths are octal escapes, and a later mount hides an earlier.
    """
    found: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:  # noqa: PLR2004 - the fifth field is the mount point
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if folder.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = (len(point.parts), after.split(" ", 1)[0])
    return found[1] if found else None


def is_network_filesystem(kind: str | None) -> bool:
    """Return whether SQLite's locks or shared memory do not work on this type of file system."""
    return kind is not None and _NETWORK_TYPES.fullmatch(kind) is not None


def require_local_folder(folder: Path) -> None:
    """Raise StorageRefused if `folder` is on a network file system, as far as the system reports it (Linux does)."""
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return
    kind = filesystem_type(folder.resolve(), mountinfo)
    if is_network_filesystem(kind):
        raise StorageRefused(
            f"{folder} is on a network file system ({kind}), on which SQLite loses data. "
            "Choose a data folder on a local disk; only the media files may be on the network."
        )
