"""Pictures from images and films: shape, colours, the choice of the frame, and unusable files."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from pictures import BLACK, BLUE, GREEN, RED, WHITE, checks, colour_at, film, image, is_near, painted, shape_of
from playhead.domain.artwork import PixelSize
from playhead.media.contents import Unusable
from playhead.media.pictures import picture_of_film, picture_of_image

POSTER, STILL = PixelSize(240, 360), PixelSize(240, 135)


# Images


@pytest.mark.parametrize("codec", ["mjpeg", "png", "libwebp"])
def test_images_are_recognised_by_content_and_keep_their_colours(tmp_path: Path, codec: str):
    picture = picture_of_image(image(tmp_path / "poster.tbn", RED, codec=codec), POSTER)
    assert shape_of(picture) == POSTER
    assert is_near(colour_at(picture), RED)


@pytest.mark.parametrize("colour", [WHITE, BLACK])
def test_white_stays_white_and_black_stays_black(tmp_path: Path, colour: tuple[int, int, int]):
    picture = picture_of_image(image(tmp_path / "poster.jpg", colour), STILL)
    assert is_near(colour_at(picture), colour, within=2)


def test_the_middle_of_an_image_of_another_shape_is_shown_undistorted(tmp_path: Path):
    wide = image(tmp_path / "wide.png", lambda x, _: RED if x < 100 else BLUE if x >= 300 else GREEN, (400, 200), "png")
    picture = picture_of_image(wide, POSTER)
    assert is_near(colour_at(picture, 0.02), GREEN)
    assert is_near(colour_at(picture, 0.98), GREEN)
    high = image(tmp_path / "high.png", lambda _, y: RED if y < 100 else BLUE if y >= 300 else GREEN, (200, 400), "png")
    picture = picture_of_image(high, STILL)
    assert is_near(colour_at(picture, down=0.02), GREEN)
    assert is_near(colour_at(picture, down=0.98), GREEN)


def test_small_images_are_scaled_to_the_same_size(tmp_path: Path):
    assert shape_of(picture_of_image(image(tmp_path / "dot.png", RED, (2, 3), "png"), PixelSize(960, 1440))) == (
        960,
        1440,
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + bytes(50), b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a"],
)
def test_a_file_that_is_not_an_image_is_unusable(tmp_path: Path, content: bytes):
    path = tmp_path / "poster.jpg"
    path.write_bytes(content)
    with pytest.raises(Unusable):
        picture_of_image(path, POSTER)


def test_an_image_that_would_fill_the_memory_is_unusable(tmp_path: Path):
    path = image(tmp_path / "poster.png", RED, (20, 30), "png")
    content = bytearray(path.read_bytes())
    content[16:24] = (30_000).to_bytes(4) * 2  # width and height; FFmpeg does not insist on the checksum
    path.write_bytes(content)
    with pytest.raises(Unusable):
        picture_of_image(path, POSTER)


def test_a_missing_file_a_folder_and_a_link_are_unusable(tmp_path: Path):
    (tmp_path / "link.jpg").symlink_to(image(tmp_path / "real.jpg", RED))
    for name in ("gone.jpg", ".", "link.jpg"):
        with pytest.raises(Unusable):
            picture_of_image(tmp_path / name, POSTER)


# Films


def test_the_frame_with_the_most_detail_is_chosen(tmp_path: Path):
    scenes = [BLACK, RED, checks, BLUE, *[BLACK] * 6]
    picture = picture_of_film(film(tmp_path / "film.mkv", scenes), STILL)
    assert shape_of(picture) == STILL
    colours = {colour_at(picture, across / 20) for across in range(1, 20)}
    assert len(colours) > 10


def test_the_frames_of_a_film_that_starts_dark_are_taken_later(tmp_path: Path):
    picture = picture_of_film(film(tmp_path / "film.mkv", [*[BLACK] * 6, checks, checks, BLACK, BLACK]), POSTER)
    assert shape_of(picture) == POSTER
    assert len({colour_at(picture, down=down / 20) for down in range(1, 20)}) > 10


def test_a_blank_film_has_no_picture(tmp_path: Path):
    with pytest.raises(Unusable, match="it shows nothing"):
        picture_of_film(film(tmp_path / "film.mkv", [BLACK] * 3), STILL)


def test_non_square_pixels_are_shown_in_their_aspect_ratio(tmp_path: Path):
    def paint(x: int, y: int) -> tuple[int, int, int]:
        return RED if x < 40 else BLUE if x >= 140 else checks(x, y)

    # 180 by 144 of 64:45 is 16:9: nothing is cropped.
    picture = picture_of_film(film(tmp_path / "film.mkv", [paint] * 2, (180, 144), aspect=Fraction(64, 45)), STILL)
    assert is_near(colour_at(picture, 0.05), RED)
    assert is_near(colour_at(picture, 0.95), BLUE)


def turned(path: Path, matrix: str) -> Path:
    """Give an MP4 this display matrix (ISO 14496-12, section 8.3.2), as telephones do."""
    upright = bytes.fromhex("00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000")
    content = bytearray(path.read_bytes())
    at = content.index(upright, content.index(b"tkhd"))
    content[at : at + 36] = bytes.fromhex(matrix)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("matrix", "left", "right"),
    [
        # Where the left and the right edge of the coded frame appear: fractions of width and height.
        ("00000000 00010000 00000000 ffff0000 00000000 00000000 00b40000 00000000 40000000", (0.5, 0.03), (0.5, 0.97)),
        ("00000000 ffff0000 00000000 00010000 00000000 00000000 00000000 01400000 40000000", (0.5, 0.97), (0.5, 0.03)),
        ("ffff0000 00000000 00000000 00000000 ffff0000 00000000 01400000 00b40000 40000000", (0.97, 0.5), (0.03, 0.5)),
    ],
)
def test_a_film_from_a_telephone_is_shown_upright(
    tmp_path: Path, matrix: str, left: tuple[float, float], right: tuple[float, float]
):
    def paint(x: int, y: int) -> tuple[int, int, int]:
        return RED if x < 100 else BLUE if x >= 220 else checks(x, y)

    path = turned(film(tmp_path / "film.mp4", [paint] * 3), matrix)
    picture = picture_of_film(path, POSTER if left[0] == right[0] else STILL)
    assert is_near(colour_at(picture, *left), RED)
    assert is_near(colour_at(picture, *right), BLUE)


@pytest.mark.parametrize("size", [POSTER, STILL])
@pytest.mark.parametrize("side", ["above", "beside"])
def test_black_bars_of_a_film_of_another_shape_are_cropped(tmp_path: Path, side: str, size: PixelSize):
    def paint(x: int, y: int) -> tuple[int, int, int]:
        is_bar = not 22 <= y < 158 if side == "above" else not 40 <= x < 280
        return BLACK if is_bar else checks(x, y)

    picture = picture_of_film(film(tmp_path / "film.mkv", [paint] * 2), size)
    edges = [(0.5, 0.005), (0.5, 0.995)] if side == "above" else [(0.004, 0.5), (0.996, 0.5)]
    for across, down in edges:
        around = [
            colour_at(picture, across + (side == "above") * n / 40, down + (side == "beside") * n / 40)
            for n in range(12)
        ]
        assert max(map(max, around)) > 80


def test_a_dark_scene_without_bars_is_not_cropped(tmp_path: Path):
    def paint(x: int, y: int) -> tuple[int, int, int]:
        return checks(x, y) if y < 60 else BLACK  # a window above a dark room

    picture = picture_of_film(film(tmp_path / "film.mkv", [paint] * 2), STILL)
    assert max(colour_at(picture, down=0.9)) < 30
    assert max(colour_at(picture, down=0.45)) < 30


def test_a_film_with_a_cover_has_it_as_its_poster_and_a_frame_as_its_still(tmp_path: Path):
    cover = image(tmp_path / "cover.jpg", GREEN, (20, 30))
    path = film(tmp_path / "film.mp4", [checks] * 2, cover=cover)
    poster, still = picture_of_film(path, POSTER), picture_of_film(path, STILL)
    assert all(is_near(colour_at(poster, across / 10), GREEN) for across in range(1, 10))
    assert len({colour_at(still, across / 20) for across in range(1, 20)}) > 10


def hdr(path: Path, level: float) -> Path:
    """A film whose right half has this code value of SMPTE ST 2084; the left half distinguishes it from a blank one."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=5, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = 16, 9, 9
        for number in range(5):
            frame = painted(320, 180, lambda x, _: (0, 0, 0) if x < 160 else (round(255 * level),) * 3)
            frame = frame.reformat(format="yuv420p10le")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_hdr_white_is_as_bright_as_sdr_white_and_its_blacks_stay_dark(tmp_path: Path):
    # 0.58 is 203 nits, the white of paper; 0.26 is 5 nits, a dark room.
    white = colour_at(picture_of_film(hdr(tmp_path / "white.mkv", 0.58), STILL), 0.75)
    dark = colour_at(picture_of_film(hdr(tmp_path / "dark.mkv", 0.26), STILL), 0.75)
    assert min(white) > 170
    assert max(dark) < 60


@pytest.mark.parametrize("content", [b"", b"no film", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n/etc/passwd\n"])
def test_a_file_that_is_not_a_film_has_no_picture(tmp_path: Path, content: bytes):
    path = tmp_path / "film.mkv"
    path.write_bytes(content)
    with pytest.raises(Unusable):
        picture_of_film(path, STILL)


def test_a_film_that_is_broken_in_the_middle_still_has_a_picture(tmp_path: Path):
    path = film(tmp_path / "film.mkv", [checks] * 10)
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + 2000] = bytes(2000)
    path.write_bytes(content)
    assert shape_of(picture_of_film(path, STILL)) == STILL


def test_sound_alone_has_no_picture(tmp_path: Path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame("fltp", "stereo", 1024)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(Unusable):
        picture_of_film(path, STILL)
