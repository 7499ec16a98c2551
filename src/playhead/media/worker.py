"""A decoding worker: a process that opens untrusted media files with FFmpeg, one at a time, within its own limits.

`decoders.py` starts it as `python -m playhead.media.worker NICENESS`, sends it jobs on standard input and reads answers
from standard output. It has no secrets: neither the server's environment nor its open files. Nothing else imports this
module, nor the ones that import PyAV: no other process of the server loads FFmpeg.
"""

import math
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from playhead.domain.artwork import PixelSize
from playhead.media.contents import Unreadable, Unusable
from playhead.media.jobs import (
    ANSWER_BYTES_MAX,
    JOB_BYTES_MAX,
    MESSAGE_LENGTH_BYTES,
    Answer,
    Failed,
    Job,
    Made,
    Order,
    PictureOfFilm,
    PictureOfImage,
    Probed,
    ProbeFilm,
    SubtitlesOfFile,
    SubtitlesOfFilm,
)
from playhead.media.pictures import picture_of_film, picture_of_image
from playhead.media.probe import probe
from playhead.media.subtitles import webvtt_of_file, webvtt_of_film

# Address space: Python with FFmpeg takes 130 MB, a frame of an 8K film with its references 350 MB.
_ADDRESS_SPACE_BYTES: Final = 768 * 1024 * 1024
_OPEN_FILES_MAX: Final = 32

# After the server's own deadline, for a worker whose server was killed and cannot stop it.
_ALARM_AFTER_S: Final = 5


def main(niceness: int) -> None:
    """Do jobs until standard input ends."""
    jobs, answers = _take_pipes()
    _limit_process(niceness)
    decode, encode = msgspec.msgpack.Decoder(Order).decode, msgspec.msgpack.Encoder().encode
    _write(answers, b"")  # it has started
    while (message := _read(jobs)) is not None:
        job, budget = decode(message)
        _limit_processor_time(budget.cpu_s)
        signal.alarm(budget.wall_s + _ALARM_AFTER_S)
        answer = encode(_answer(job))
        if len(answer) > ANSWER_BYTES_MAX:
            answer = encode(Failed("it holds too much"))
        signal.alarm(0)
        _write(answers, answer)


def _take_pipes() -> tuple[int, int]:
    """Return the descriptors of jobs and answers. Output of libraries is discarded, and cannot corrupt an answer."""
    jobs, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return jobs, answers


def _limit_process(niceness: int) -> None:
    # A supervisor may signal all processes of the service. The server stops this one, by closing its pipe or by
    # SIGKILL.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(niceness)
    with suppress(OSError):  # if memory runs out, Linux kills this process before the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    _lower(resource.RLIMIT_AS, _ADDRESS_SPACE_BYTES)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES_MAX)
    _lower(resource.RLIMIT_FSIZE, 0)  # it writes to no file
    _lower(resource.RLIMIT_CORE, 0)


def _lower(limit: int, value: int) -> None:
    with suppress(OSError, ValueError):  # the system may have set a lower one already
        resource.setrlimit(limit, (value, value))


def _limit_processor_time(more_s: int) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(usage.ru_utime + usage.ru_stime) + more_s, hard))


def _answer(job: Job) -> Answer:
    path = Path(os.fsdecode(job.path))
    try:
        match job:
            case ProbeFilm():
                return Probed(probe(path))
            case PictureOfImage():
                return Made(picture_of_image(path, PixelSize(job.width, job.height)))
            case PictureOfFilm():
                return Made(picture_of_film(path, PixelSize(job.width, job.height)))
            case SubtitlesOfFile():
                return Made(webvtt_of_file(path, job.codec, job.language))
            case SubtitlesOfFilm():
                return Made(webvtt_of_film(path, job.number))
    except (Unreadable, Unusable) as error:
        return Failed(str(error), error.passing)


def _read(descriptor: int) -> bytes | None:
    """Return the next message, or None at the end."""
    head = _read_exactly(descriptor, MESSAGE_LENGTH_BYTES)
    length = int.from_bytes(head or b"")
    return _read_exactly(descriptor, length) if 0 < length <= JOB_BYTES_MAX else None


def _read_exactly(descriptor: int, length: int) -> bytes | None:
    content = b""
    while len(content) < length:
        piece = os.read(descriptor, length - len(content))
        if not piece:
            return None
        content += piece
    return content


def _write(descriptor: int, message: bytes) -> None:
    rest = memoryview(len(message).to_bytes(MESSAGE_LENGTH_BYTES) + message)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
