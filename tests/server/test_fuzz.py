"""Fuzzing the protocol with mutated requests, for a minute or, with the option --fuzz-seconds, for longer.

The corpus is a folder of requests, one per file. An input that breaks a property is printed; add it to the corpus.
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from playhead.server.protocol import Data, Protocol, Request, RequestRefusal, State

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 4096

WORDS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"0\r\n\r\n", b"-1", b"+1", b"\xff"),
    *(b"\r\nContent-Length: 3", b"\r\nTransfer-Encoding: chunked", b"\r\nConnection: close", b"\r\nHost: a"),
    *(b"\r\nConnection: Upgrade\r\nUpgrade: x", b"\r\nExpect: 100-continue", b"HTTP/1.0", b"ffffffffffffffff\r\n"),
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
)


def outcome(pieces: Sequence[bytes]) -> list[tuple[object, ...]]:
    """Read the pieces, answer every request, and return the events in a form that does not depend on the cuts."""
    protocol, seen = Protocol(), []
    for piece in pieces:
        event = protocol.receive(piece)
        while event is not None:
            if isinstance(event, Request):
                seen.append(
                    [
                        event.method,
                        event.target,
                        event.fields,
                        event.keep_alive,
                        event.body or b"",
                        event.body is not None,
                    ]
                )
            elif isinstance(event, Data):
                seen[-1][-2] += event.data
                seen[-1][-1] = event.is_last
            else:
                assert isinstance(event, RequestRefusal)
                assert protocol.state is State.CLOSED
                if seen and not seen[-1][-1]:
                    seen[-1][-2] = b""  # how much of a body arrives before the fault depends on the cuts
                seen.append(["refused"])  # the status may depend on the cuts: one of two faults is seen first
            if protocol.state is State.WHOLE and not protocol.response_complete:
                protocol.finish_response(b"HTTP/1.1 200 OK\r\n\r\n")
            event = protocol.next_request()
    return [tuple(each) for each in seen]


def mutated(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    text = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(0, 6)):
        place = chance.randint(0, len(text))
        match chance.randint(0, 4):
            case 0:
                text[place:place] = chance.choice(WORDS)
            case 1:
                del text[place : place + chance.randint(1, 8)]
            case 2 if text:
                text[place % len(text)] = chance.randint(0, 255)
            case 3:
                other = chance.choice(corpus)
                text[place:] = other[chance.randint(0, len(other)) :]
            case _:
                begin = chance.randint(0, len(text))
                text[place:place] = text[begin : begin + chance.randint(1, 64)]
    return bytes(text[:LONGEST])


def cut(chance: random.Random, text: bytes) -> list[bytes]:
    places = sorted(chance.randint(0, len(text)) for _ in range(chance.randint(0, 8)))
    return [text[first:last] for first, last in zip([0, *places], [*places, len(text)], strict=True)]


@pytest.mark.long
@pytest.mark.timeout(0)
def test_mutated_requests_raise_nothing_and_mean_the_same_however_they_are_cut(fuzz_seconds: float):
    corpus = [file.read_bytes() for file in sorted(CORPUS.iterdir())]
    assert corpus
    seed = random.SystemRandom().getrandbits(64)
    chance, runs = random.Random(seed), 0  # noqa: S311 - for inputs, not for secrets
    until = time.monotonic() + fuzz_seconds
    while time.monotonic() < until or runs < len(corpus):
        text = mutated(chance, corpus)
        whole = outcome([text])
        assert outcome(cut(chance, text)) == whole, (seed, text)
        assert all(len(each) > 1 for each in whole[:-1]), (seed, text)  # nothing follows a refusal
        runs += 1


@pytest.mark.parametrize("file", sorted(CORPUS.iterdir()), ids=lambda file: file.name)
def test_each_request_of_the_corpus_means_the_same_wherever_it_is_cut(file: Path):
    text = file.read_bytes()
    whole = outcome([text])
    for place in range(len(text)):
        assert outcome([text[:place], text[place:]]) == whole
