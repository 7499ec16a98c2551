"""The demo's films, pictures and subtitles, ready to be copied. `scripts/make_demo_media.py` made them.

All titles are invented.
"""

import os
import shutil
from pathlib import Path
from typing import Final

FILMS: Final = "Films"
SERIES: Final = "Series"
"""The folders of the two libraries."""

MEDIA: Final = Path(__file__).with_name("media")
"""The files of both libraries: less than three megabytes, under the names by which a scan recognises them."""


def copy_media(folder: Path) -> None:
    """Copy the files that `folder` does not have yet. Blocks. Raises OSError if it cannot be written.

    A file gets its name only when it is complete. Another process may copy to the same folder concurrently.
    """
    for source in sorted(path for path in MEDIA.rglob("*") if path.is_file()):
        target = folder / source.relative_to(MEDIA)
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            shutil.copyfile(source, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
