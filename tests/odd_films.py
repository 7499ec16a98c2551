"""Films that are hard to play: in old containers, in parts, with sound that browsers cannot decode, or broken."""

import shutil
from fractions import Fraction
from pathlib import Path

import av

from demo_clips import Clip, write_clip
from playhead.demo.films import MEDIA

FRAMES_PER_SECOND = 2
SAMPLES_PER_SECOND = 48_000


def write_reel(path: Path, *, seconds: int, height: int, video: str, audio: str) -> Path:
    """Write a grey film with these of FFmpeg's encoders; the name determines the container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture = container.add_stream(video, rate=FRAMES_PER_SECOND)
        picture.width, picture.height, picture.pix_fmt = height * 16 // 9, height, "yuv420p"
        sound = container.add_stream(audio, rate=SAMPLES_PER_SECOND, layout="stereo")
        sound.bit_rate = 96_000
        for number in range(seconds * FRAMES_PER_SECOND):
            frame = av.VideoFrame(picture.width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        size = sound.codec_context.frame_size
        for number in range(seconds * SAMPLES_PER_SECOND // size):
            samples = av.AudioFrame(sound.codec_context.format.name, "stereo", size)
            for plane in samples.planes:
                plane.update(bytes(plane.buffer_size))
            samples.sample_rate = SAMPLES_PER_SECOND
            samples.pts, samples.time_base = number * size, Fraction(1, SAMPLES_PER_SECOND)
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    return path


def break_reel(path: Path, share: float) -> None:
    """Overwrite the rest of a film after this share of its bytes, so that it starts well and ends in noise."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * share))
        file.write(b"\xff" * (size - int(size * share)))


_SHIPPED = {
    "Salt Road (2020)/Salt Road (2020) - 360p.mp4": "Season 2/Tidal Station S02E01 Undertow.mp4",
    "Two Halves (2018)/Two Halves (2018) cd1.mp4": "Season 1/Tidal Station S01E03 The Bell Buoy.mp4",
    "Two Halves (2018)/Two Halves (2018) cd2.mp4": "Season 2/Tidal Station S02E02 Landfall.mp4",
    "Torn Film (2017)/Torn Film (2017) - 360p.mp4": "Season 1/Tidal Station S01E02 Spring Tide.mp4",
    "Lost Tape (2015)/Lost Tape (2015) - 360p.mp4": "Season 1/Tidal Station S01E01 Slack Water.mp4",
}
"""Films of the demo under other names, which play everywhere: 30, 20, 20, 30 and 40 seconds."""


def write_films(folder: Path) -> None:
    """Write the library of odd films; their names say what is odd."""
    for name, shipped in _SHIPPED.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MEDIA / "Series" / "Tidal Station (2021)" / shipped, path)
    torn = folder / "Torn Film (2017)/Torn Film (2017) - 720p.mp4"
    write_clip(torn, Clip("", "Torn Film", "2017", 30, 0, 330, 1280, 720))
    old = {"seconds": 30, "height": 720, "video": "mpeg4", "audio": "libmp3lame"}
    write_reel(folder / "Salt Road (2020)/Salt Road (2020) - 720p.avi", **old)
    write_reel(folder / "Old Reel (1999)/Old Reel (1999).avi", **old)
    surround = {"seconds": 30, "height": 720, "video": "libx264", "audio": "ac3"}
    write_reel(folder / "Quiet House (2016)/Quiet House (2016) - 720p.mp4", **surround)
    stereo = {"seconds": 30, "height": 360, "video": "libx264", "audio": "aac"}
    write_reel(folder / "Quiet House (2016)/Quiet House (2016) - 360p.mp4", **stereo)
    # So long that playing on for a while does not finish them.
    for cut, seconds in (("- Theatrical", 900), ("{edition-Extended}", 1080)):
        path = folder / f"Two Cuts (2014)/Two Cuts (2014) {cut}.mp4"
        write_reel(path, seconds=seconds, height=90, video="libx264", audio="aac")
    break_reel(torn, 0.5)
    for language, line in (("de", "Guten Abend"), ("en", "Good evening")):
        text = f"1\n00:00:00,500 --> 00:00:29,000\n{line}\n"
        (folder / f"Salt Road (2020)/Salt Road (2020) - 360p.{language}.srt").write_text(text)
    (folder / "Quiet House (2016)/Quiet House (2016) - 360p.en.forced.srt").write_text(text)
