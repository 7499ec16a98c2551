# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV's packets are generic over what it does not name.
"""Pictures of one size from image files and films: decodes, chooses a representative frame, crops, scales, encodes.

Reads the given file and writes none. FFmpeg does all of it, through PyAV, in decoding workers only.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from av import CodecContext, Packet, VideoFrame
from av.container import InputContainer
from av.error import InvalidDataError
from av.filter import Graph
from av.video.stream import VideoStream

from playhead.domain.artwork import FILM_PIXELS_MAX, IMAGE_PIXELS_MAX, PixelSize
from playhead.media.contents import Unusable, read_content
from playhead.media.headers import format_of, size_of_image, without_texts
from playhead.media.probe import DECODERS, is_cover, open_film, raising_unusable

if TYPE_CHECKING:
    from av.filter.context import FilterContext
    from av.video.codeccontext import VideoCodecContext

_COVER_DECODERS: Final = frozenset({"mjpeg", "png", "webp"})
_IMAGE_BYTES_MAX: Final = 32 * 1024 * 1024
_TOO_MANY_PIXELS: Final = f"it has more than {IMAGE_PIXELS_MAX // 1_000_000} megapixels"
_QUALITY: Final = 4  # FFmpeg's quantiser for JPEG: from 2, the best, to 31

# Where to look for a frame, as fractions of the length: after the opening titles, and before any spoilers. The second
# row is used only if the first shows nothing.
_PLACES: Final = ((0.12, 0.2, 0.28, 0.36, 0.44), (0.04, 0.52, 0.6, 0.68, 0.76))
_SEARCH_S: Final = 20.0
_PACKETS_MAX: Final = 2_000  # to the next keyframe

_SAMPLE_WIDTH: Final = 160  # a frame is judged by this part of it
_PLAIN_RANGE: Final = 24  # of 256 shades: a frame with fewer is black or blank
_DARK, _BRIGHT = 40, 215
_BLACK: Final = 16  # the maximum brightness of a bar
_BARS_MAX: Final = 0.25  # on each side; black beyond that belongs to the picture

# HDR for SDR screens. Brightness by SMPTE ST 2084, the source of these constants, with 203 nits for white (ITU-R
# BT.2408) and the highlights up to 1000 nits compressed into the rest (Reinhard); then colours from ITU-R BT.2020 to
# BT.709, which is close enough without linear light. FFmpeg's own conversion takes seconds per picture.
_PQ, _HLG = 16, 18  # transfers of ITU-T H.273
_PQ_TO_SDR: Final = (
    "st(0,pow(min(val/maxval,1),1/78.84375));"
    "st(1,10000/203*pow(max(ld(0)-0.8359375,0)/(18.8515625-18.6875*ld(0)),1/0.1593017578125));"
    "maxval*pow(ld(1)*(1+ld(1)/25)/(1+ld(1)),1/2.2)"
)
_TO_BT709: Final = "rr=1.6605:rg=-0.5876:rb=-0.0729:gr=-0.1246:gg=1.1329:gb=-0.0083:br=-0.0182:bg=-0.1006:bb=1.1188"
_TONES: Final = {
    _PQ: (("lutrgb", f"r={_PQ_TO_SDR}:g={_PQ_TO_SDR}:b={_PQ_TO_SDR}"), ("colorchannelmixer", _TO_BT709)),
    _HLG: (("colorchannelmixer", _TO_BT709),),
}
_FOR_JPEG: Final = (("scale", "out_range=full:out_color_matrix=bt601"), ("format", "yuvj420p"))
_TURNS: Final = {-90: ("clock",), 90: ("cclock",), 180: ("clock", "clock"), -180: ("clock", "clock")}


def picture_of_image(path: Path, size: PixelSize) -> bytes:
    """Convert an image file (JPEG, PNG or WebP, by its content) to a JPEG of this size, cropped if needed.

    Raises Unusable, and nothing else.
    """
    with raising_unusable():
        return encode(_fitted(_decoded(read_content(path, _IMAGE_BYTES_MAX)), size))


def picture_of_film(path: Path, size: PixelSize) -> bytes:
    """Return a representative frame of a film as a JPEG of this size: neither black nor blurred, if there is one.

    Of several frames the one with the most detail is chosen. Posters use the cover in the file instead, if there is
    one. Raises Unusable, and nothing else.
    """
    with raising_unusable(), open_film(path) as opened:
        upright = size.height > size.width
        cover = _cover(opened) if upright else None
        if cover is not None:
            return encode(_fitted(cover, size))
        seen, aspect = _telling_frame(opened)
        return encode(_fitted(seen.frame, size, aspect, seen.bars))


def encode(frame: VideoFrame, quality: int = _QUALITY) -> bytes:
    """Encode a frame in `yuvj420p` as a JPEG."""
    encoder = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": str(quality), "qmax": str(quality), "huffman": "optimal"}
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


# Images


def _decoded(content: bytes) -> VideoFrame:
    name, size = format_of(content), size_of_image(content)
    if name is None:
        raise Unusable("it is neither JPEG nor PNG nor WebP")
    if size is None:
        raise Unusable("its header does not state its dimensions")
    if size.width * size.height > IMAGE_PIXELS_MAX:
        raise Unusable(_TOO_MANY_PIXELS)
    decoder = cast("VideoCodecContext", CodecContext.create(name, "r"))
    decoder.options = {"max_pixels": str(FILM_PIXELS_MAX)}  # whatever the header said; FFmpeg counts padding, too
    decoder.thread_count = 1
    frames = [*decoder.decode(Packet(without_texts(content))), *decoder.decode(None)]
    if not frames:
        raise Unusable("it contains no picture")
    return frames[0]


# Films


class _Bars(NamedTuple):
    """How much of a frame is black on each side, and above and below, as fractions of width and height."""

    beside: float = 0.0
    above: float = 0.0


_NO_BARS: Final = _Bars()


class _Frame(NamedTuple):
    frame: VideoFrame
    detail: float  # 0: nothing is visible
    bars: _Bars


def _cover(opened: InputContainer) -> VideoFrame | None:
    for stream in opened.streams.video:
        if _is_upright_cover(stream):
            stream.codec_context.options = {"max_pixels": str(FILM_PIXELS_MAX)}
            stream.codec_context.thread_count = 1
            # A cover is FFmpeg's first packet; searching further would read the whole film.
            for packet in islice(opened.demux(stream), 1):
                return next((frame for frame in packet.decode() if frame.height > frame.width), None)
    return None


def _is_upright_cover(stream: VideoStream) -> bool:
    if not is_cover(stream) or stream.codec_context.codec.name not in _COVER_DECODERS:
        return False
    return 0 < stream.width < stream.height and stream.width * stream.height <= IMAGE_PIXELS_MAX


def _telling_frame(opened: InputContainer) -> tuple[_Frame, Fraction]:
    stream = next((stream for stream in opened.streams.video if not is_cover(stream)), None)
    if stream is None:
        raise Unusable("it has no video")
    if stream.codec_context.codec.name not in DECODERS:
        raise Unusable("its codec is not supported")
    stream.codec_context.thread_count = 1  # saves come first
    stream.codec_context.options = {"max_pixels": str(FILM_PIXELS_MAX)}
    stream.codec_context.skip_frame = "NONKEY"
    give_up_at = time.monotonic() + _SEARCH_S
    best: _Frame | None = None
    for places in _PLACES:
        for frame in _frames_at(opened, stream, places, give_up_at):
            seen = _look_at(frame)
            if best is None or seen.detail > best.detail:
                best = seen
        if best is not None and best.detail > 0:
            return best, stream.sample_aspect_ratio or Fraction(1)
    if time.monotonic() > give_up_at:
        raise Unusable("looking for a picture takes too long", passing=True)
    raise Unusable("it shows nothing" if best else "no picture of it can be decoded")


def _frames_at(
    opened: InputContainer, stream: VideoStream, places: tuple[float, ...], give_up_at: float
) -> Iterator[VideoFrame]:
    begin = max(opened.start_time or 0, 0)
    for place in places:
        if time.monotonic() > give_up_at:
            return
        opened.seek(begin + int((opened.duration or 0) * place))
        stream.codec_context.flush_buffers()
        frame = _next_frame(opened, stream, give_up_at)
        if frame is not None:
            yield frame


def _next_frame(opened: InputContainer, stream: VideoStream, give_up_at: float) -> VideoFrame | None:
    for number, packet in enumerate(opened.demux(stream)):
        if number > _PACKETS_MAX or time.monotonic() > give_up_at:
            return None
        try:
            frames = packet.decode()
        except InvalidDataError:
            continue
        for frame in frames:
            if not frame.is_corrupt:
                return frame
    return None


def _look_at(frame: VideoFrame) -> _Frame:
    """Judge a frame: the more a picture shows, and the sharper it is, the less it can be compressed."""
    height = max(2, _SAMPLE_WIDTH * frame.height // frame.width)
    sample = _filtered(frame, [("scale", f"w={_SAMPLE_WIDTH}:h={height}"), *_FOR_JPEG])
    content, line = bytes(sample.planes[0]), sample.planes[0].line_size
    rows = [content[row * line : row * line + sample.width] for row in range(sample.height)]
    luma = b"".join(rows)
    bars = _Bars(_dark_edge([bytes(column) for column in zip(*rows, strict=True)]), _dark_edge(rows))
    if max(luma) - min(luma) < _PLAIN_RANGE:
        return _Frame(frame, 0, bars)
    mean = sum(luma) / len(luma)
    return _Frame(frame, len(encode(sample)) * (1.0 if _DARK <= mean <= _BRIGHT else 0.25), bars)


def _dark_edge(lines: Sequence[bytes]) -> float:
    """Return the share of a frame that is black on both sides: the bars of a wide film."""
    first = next((place for place, line in enumerate(lines) if max(line) > _BLACK), 0)
    last = next((place for place, line in enumerate(reversed(lines)) if max(line) > _BLACK), 0)
    # If a bar ends between two lines of the sample, the next line contains a part of it.
    share = (min(first, last) + 1) / len(lines) if min(first, last) > 0 else 0.0
    return share if share < _BARS_MAX else 0.0


# Shape


def _fitted(frame: VideoFrame, size: PixelSize, aspect: Fraction = Fraction(1), bars: _Bars = _NO_BARS) -> VideoFrame:
    """Crop the middle of a frame, without its bars, and scale it; HDR is converted to SDR.

    `aspect` is that of a pixel.
    """
    turns = _TURNS.get(frame.rotation, ())
    width, height = int(frame.width * (1 - 2 * bars.beside)), int(frame.height * (1 - 2 * bars.above))
    steps = [("crop", f"{width}:{height}"), *(("transpose", turn) for turn in turns)]
    if len(turns) == 1:
        width, height, aspect = height, width, 1 / aspect
    shape = Fraction(*size) / aspect
    cut = (min(width, max(2, int(height * shape))), min(height, max(2, int(width / shape))))
    steps += [("crop", f"{cut[0]}:{cut[1]}"), ("scale", f"w={size.width}:h={size.height}:flags=lanczos")]
    tones = _TONES.get(frame.color_trc, ())
    if tones:
        steps += [("format", "gbrp"), *tones]
    return _filtered(frame, [*steps, *_FOR_JPEG])


def _filtered(frame: VideoFrame, steps: Iterable[tuple[str, str]]) -> VideoFrame:
    graph = Graph()
    last: FilterContext = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    for name, arguments in steps:
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return cast("VideoFrame", graph.pull())
