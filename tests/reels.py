# pyright: reportUnknownMemberType=false
"""Films that are hard to play: in old containers, in parts, without a sound that browsers know, or broken."""

from fractions import Fraction
from pathlib import Path

import av

from playhead.demo.films import Clip, make_clips

FRAMES_PER_SECOND = 10
SAMPLES_PER_SECOND = 48_000


def write_reel(path: Path, *, seconds: int, height: int, video: str, audio: str) -> Path:
    """Write a grey film with these of FFmpeg's encoders; the container follows from the name."""
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
    """Overwrite a film behind a share of its bytes, so that it begins well and ends in noise."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * share))
        file.write(b"\xff" * (size - int(size * share)))


def write_films(folder: Path) -> None:
    """Write the library of odd films: see the names."""
    make_clips(
        folder,
        (
            Clip("Salt Road (2020)/Salt Road (2020) - 360p.mp4", "Salt Road", "2020", 30, hue=40, pitch_hz=220),
            Clip("Two Halves (2018)/Two Halves (2018) cd1.mp4", "Two Halves", "Part 1", 20, hue=200, pitch_hz=262),
            Clip("Two Halves (2018)/Two Halves (2018) cd2.mp4", "Two Halves", "Part 2", 20, hue=280, pitch_hz=294),
            Clip("Torn Film (2017)/Torn Film (2017) - 360p.mp4", "Torn Film", "2017", 30, hue=0, pitch_hz=330),
            Clip("Torn Film (2017)/Torn Film (2017) - 720p.mp4", "Torn Film", "2017", 30, 0, 330, 1280, 720),
            Clip("Lost Tape (2015)/Lost Tape (2015) - 360p.mp4", "Lost Tape", "2015", 20, hue=90, pitch_hz=349),
        ),
    )
    old = {"seconds": 30, "height": 720, "video": "mpeg4", "audio": "libmp3lame"}
    write_reel(folder / "Salt Road (2020)/Salt Road (2020) - 720p.avi", **old)
    write_reel(folder / "Old Reel (1999)/Old Reel (1999).avi", **old)
    surround = {"seconds": 30, "height": 720, "video": "libx264", "audio": "ac3"}
    write_reel(folder / "Quiet House (2016)/Quiet House (2016) - 720p.mp4", **surround)
    stereo = {"seconds": 30, "height": 360, "video": "libx264", "audio": "aac"}
    write_reel(folder / "Quiet House (2016)/Quiet House (2016) - 360p.mp4", **stereo)
    break_reel(folder / "Torn Film (2017)/Torn Film (2017) - 720p.mp4", 0.5)
    for language, line in (("de", "Guten Abend"), ("en", "Good evening")):
        text = f"1\n00:00:00,500 --> 00:00:29,000\n{line}\n"
        (folder / f"Salt Road (2020)/Salt Road (2020) - 360p.{language}.srt").write_text(text)
    (folder / "Quiet House (2016)/Quiet House (2016) - 360p.en.forced.srt").write_text(text)
