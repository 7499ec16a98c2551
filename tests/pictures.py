"""Small pictures and films of plain colours and patterns, and what a JPEG shows."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av

Colour = tuple[int, int, int]
Paint = Callable[[int, int], Colour]

RED, GREEN, BLUE, BLACK, WHITE = (200, 20, 20), (20, 200, 20), (20, 20, 200), (0, 0, 0), (255, 255, 255)


def painted(width: int, height: int, paint: Colour | Paint) -> av.VideoFrame:
    """A frame of one colour, or with the colour that `paint` returns for each x and y."""
    frame = av.VideoFrame(width, height, "rgb24")
    frame.planes[0].update(_pixels(width, height, frame.planes[0].line_size, paint))
    return frame


@cache
def _pixels(width: int, height: int, line: int, paint: Colour | Paint) -> bytes:
    """The bytes of a frame, `line` to a row; kept, because calling `paint` for each dot takes tens of milliseconds."""
    content = bytearray(line * height)
    for y in range(height):
        row = b"".join(bytes(paint(x, y)) for x in range(width)) if callable(paint) else bytes(paint) * width
        content[y * line : y * line + len(row)] = row
    return bytes(content)


def checks(x: int, y: int) -> Colour:
    """A picture with much detail, in every brightness."""
    return ((x * 7 + y * 3) % 256, (x * 3 + y * 11) % 256, 255 * ((x // 4 + y // 4) % 2))


def image(path: Path, colour: Colour | Paint, size: tuple[int, int] = (200, 300), codec: str = "mjpeg") -> Path:
    """Write an image file; `codec` is mjpeg, png or libwebp."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = {"mjpeg": "yuvj444p", "png": "rgb24", "libwebp": "yuv420p"}[codec]
    encoder.time_base = Fraction(1, 25)
    frame = painted(*size, colour).reformat(format=encoder.pix_fmt)
    frame.pts = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    return path


def film(
    path: Path,
    scenes: Sequence[Colour | Paint],
    size: tuple[int, int] = (320, 180),
    *,
    aspect: Fraction | None = None,
    cover: Path | None = None,
) -> Path:
    """Write a film of one second per scene, each beginning with a keyframe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5, options={"qmin": "2", "qmax": "4"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.gop_size = 5
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if cover is not None:
            added = container.add_stream("mjpeg")
            added.width, added.height, added.pix_fmt = 20, 30, "yuvj444p"
            added.disposition = av.stream.Disposition.attached_pic
            packet = av.Packet(cover.read_bytes())
            packet.stream, packet.pts, packet.dts = added, 0, 0
            container.mux(packet)
        for number in range(5 * len(scenes)):
            frame = painted(*size, scenes[number // 5]).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(jpeg: bytes) -> av.VideoFrame:
    """Decode a JPEG to RGB, as a browser does."""
    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    (frame,) = decoder.decode(av.Packet(jpeg))
    return frame.reformat(format="rgb24")


def shape_of(jpeg: bytes) -> tuple[int, int]:
    frame = seen(jpeg)
    return frame.width, frame.height


def colour_at(jpeg: bytes, across: float = 0.5, down: float = 0.5) -> Colour:
    """The colour at a point, given as fractions of width and height."""
    frame = seen(jpeg)
    plane = frame.planes[0]
    at = int(frame.height * down) * plane.line_size + int(frame.width * across) * 3
    red, green, blue = bytes(plane)[at : at + 3]
    return red, green, blue


def is_near(one: Colour, other: Colour, within: int = 24) -> bool:
    """Whether two colours are equal within the error of an encoder."""
    return all(abs(a - b) <= within for a, b in zip(one, other, strict=True))
