"""Decompression bombs and the like: files that cost a decoder far more than their size. Each takes a second to make."""

import struct
import zlib
from pathlib import Path

import av


def png(width: int, height: int, *, depth: int = 8, chunks: bytes = b"") -> bytes:
    """Return a grey PNG, all black, that unpacks to width x height x depth / 8 bytes."""
    row = bytes(1 + width * depth // 8)
    packer = zlib.compressobj(1)
    packed = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = _png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + _png_chunk(b"IDAT", packed) + _png_chunk(b"IEND", b"")


def png_with_text(unpacked_bytes: int) -> bytes:
    """Return a small PNG with a text chunk that unpacks to this many bytes (libpng's advisory for 1.4.0)."""
    packer = zlib.compressobj(9)
    piece = bytes(1 << 20)
    packed = b"".join([*(packer.compress(piece) for _ in range(unpacked_bytes >> 20)), packer.flush()])
    return png(64, 96, chunks=_png_chunk(b"zTXt", b"Comment\0\0" + packed))


def jpeg_of_many_scans(scans: int, size: tuple[int, int]) -> bytes:
    """Return a grey progressive JPEG with this many scans over all of its pixels, 50 bytes each (LJT-01-004)."""
    width, height = size
    blocks = -(-width // 8) * -(-height // 8)
    table = b"\xff\xdb" + struct.pack(">HB", 67, 0) + b"\x01" * 64
    frame = b"\xff\xc2" + struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0)
    # One code in each table, the bit 0: no change in brightness for the next 2^14 blocks and more.
    codes = b"".join(
        b"\xff\xc4" + struct.pack(">HB", 20, kind) + bytes([1, *[0] * 15, value])
        for kind, value in ((0, 0), (16, 0xE0))
    )
    first = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 0, 0) + bytes(-(-blocks // 8))
    run = ("0" + "1" * 14) * -(-blocks // 32767)
    run = run.ljust(-(-len(run) // 8) * 8, "1")
    data = int(run, 2).to_bytes(len(run) // 8).replace(b"\xff", b"\xff\x00")
    again = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0) + data
    return b"\xff\xd8" + table + frame + codes + first + again * scans + b"\xff\xd9"


ASS_HEAD = "[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"


def film_with_subtitles(path: Path, line: str) -> Path:
    """Write a film with this line of subtitles inside."""
    captions = path.with_suffix(".srt")
    captions.write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{line}\n\n")
    whole = film(path.with_name("silent.mkv"))
    with av.open(str(whole)) as seen, av.open(str(captions)) as said, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(seen.streams.video[0])
        text = target.add_stream_from_template(said.streams.subtitles[0])
        for source, stream in ((said, text), (seen, video)):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    return path


def film(path: Path, *, cover: bytes | None = None, seconds: int = 2) -> Path:
    """Write a film with a cover inside."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        if cover is not None:
            container.add_attachment("cover.png", "image/png", cover)
        for number in range(2 * seconds):
            frame = av.VideoFrame(64, 36, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(at % 251 for at in range(plane.buffer_size)))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def mp4_with_keys(path: Path, count: int) -> Path:
    """Write an MP4 whose metadata claims this many keys (nyanmisaka/ffmpeg-rockchip#242)."""
    whole = film(path).read_bytes()
    keys = _box(b"keys", struct.pack(">II", 0, count))
    meta = _box(b"meta", bytes(4) + _box(b"hdlr", bytes(8) + b"mdta" + bytes(12)) + keys)
    first = int.from_bytes(whole[:4])  # the length of the first box, which identifies the file as an MP4
    path.write_bytes(whole[:first] + _box(b"moov", meta) + whole[first:])
    return path


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
