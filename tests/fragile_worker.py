"""A decoding worker for tests: crashes on files called `crash`, hangs on those called `hang`, and reads the others.

It speaks the protocol of `playhead.media.jobs`, is run as `-m fragile_worker`, and reads what `scanned` has written.
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

from playhead.media.jobs import MESSAGE_LENGTH_BYTES, Answer, Order, Probed
from scanned import probe


def main() -> None:
    decode = msgspec.msgpack.Decoder(Order).decode
    write(b"")  # it has started
    while length := int.from_bytes(sys.stdin.buffer.read(MESSAGE_LENGTH_BYTES)):
        job, _ = decode(sys.stdin.buffer.read(length))
        path = Path(os.fsdecode(job.path))
        if "crash" in path.name:
            os.kill(os.getpid(), signal.SIGSEGV)
        while "hang" in path.name:
            signal.pause()
        answer: Answer = Probed(probe(path))
        write(msgspec.msgpack.encode(answer))


def write(message: bytes) -> None:
    sys.stdout.buffer.write(len(message).to_bytes(MESSAGE_LENGTH_BYTES) + message)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
