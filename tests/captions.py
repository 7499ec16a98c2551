"""Subtitles in every format: files, and films that contain them."""

from fractions import Fraction
from pathlib import Path

import av
from av.subtitles.subtitle import SubtitleSet

from pictures import RED, painted

SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i> & you\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo < three\n"

ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n"
    "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,Two < three\n"
    "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}Hello{\\i0} & you\n"
)

VTT = (
    "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n<i>Hello</i> &amp; you\n\n00:00:03.000 --> 00:00:04.000\nTwo &lt; three\n"
)

_LINES = ((1000, 1500, r"{\i1}Hello{\i0} & you"), (3000, 1000, "Two < three"))


def film_with_subtitles(path: Path, *codecs: str, language: str = "ger") -> Path:
    """Write a red film of five seconds with one subtitle stream per codec, each with these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        texts = []
        for codec in codecs:
            stream = container.add_stream(codec)
            stream.codec_context.subtitle_header = ASS.partition("Dialogue")[0].encode()
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.metadata["language"] = language
            texts.append(stream)
        for number in range(25):
            frame = painted(64, 36, RED).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for stream in texts:
            for begin_ms, length_ms, line in _LINES:
                if stream.codec_context.name == "webvtt":  # FFmpeg copies the text as it is
                    line = line.replace("&", "&amp;").replace("<", "&lt;")  # noqa: PLW2901
                text = SubtitleSet.create(f"0,0,Default,,0,0,0,,{line}".encode(), 0, length_ms)
                packet = stream.codec_context.encode_subtitle(text)
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = begin_ms
                packet.duration = length_ms
                container.mux(packet)
    return path
