"""Films of a few seconds for tests that scan or stream."""

from pathlib import Path

import av

_FRAMES_A_SECOND = 2


def write_clip(path: Path, seconds: int = 10, codec: str = "h264") -> None:
    """Write a film of a few kilobytes, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=_FRAMES_A_SECOND)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for number in range(_FRAMES_A_SECOND * seconds):
            frame = av.VideoFrame(64, 36, "yuv420p")
            for plane in frame.planes:  # else they hold what was in memory: now and then a plain picture
                plane.update(bytes(at % 251 for at in range(plane.buffer_size)))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
