"""Recreates the demo's films, pictures and subtitles.

Usage: .venv/bin/python scripts/make_demo_media.py [FOLDER]

Without a folder it replaces those in src/playhead/demo/media, which are under version control and part of the package.
Run it after a change to what they show; it takes a minute.
"""

import shutil
import sys
from pathlib import Path

from demo_clips import CLIPS, write_clip
from demo_pictures import write_pictures
from playhead.demo.films import MEDIA


def main(folder: Path) -> None:
    """Replace `folder` by one with everything that the demo shows."""
    shutil.rmtree(folder, ignore_errors=True)
    for clip in CLIPS:
        write_clip(folder / clip.path, clip)
    write_pictures(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MEDIA)
