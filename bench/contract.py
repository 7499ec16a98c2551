"""Whether a server answers what the benchmark takes for granted. What does less than this would be quicker for it."""

import http.client
from typing import Any, NamedTuple

from installation import DURATION_S, LOCKED_MOVIE, movies
from servers import BenchError, Server

_PATH = "/api/v1/playback/movie/"
_NOTHING = {"position_seconds": 0, "duration_seconds": None, "completion_percentage": 0, "watched": False}
_HALF = {"position_seconds": DURATION_S // 2, "duration_seconds": DURATION_S}
_END = _HALF | {"position_seconds": DURATION_S * 9 // 10}
_BEYOND = _HALF | {"position_seconds": DURATION_S + 1}


class _Step(NamedTuple):
    """One request, and what it must be answered with: a status, and members of the body."""

    what: str
    method: str
    item: str
    body: dict[str, int] | None
    status: int
    members: dict[str, Any]
    token: str | None = None


def check_contract(server: Server, token: str) -> None:
    """Raise BenchError unless saves, reads and refusals are as Playhead's contract says."""
    movie = movies()[0]
    for step in (
        _Step("a read before any save", "GET", movie, None, 200, _NOTHING),
        _Step("a save", "POST", movie, _HALF, 200, _HALF | {"completion_percentage": 50, "watched": False}),
        _Step("a read", "GET", movie, None, 200, _HALF | {"completion_percentage": 50, "watched": False}),
        _Step("90 percent", "POST", movie, _END, 200, _END | {"completion_percentage": 90, "watched": True}),
        _Step("a second viewing", "POST", movie, _HALF, 200, _HALF | {"watched": True}),
        _Step("a save beyond the end", "POST", movie, _BEYOND, 200, {"position_seconds": DURATION_S, "watched": True}),
        _Step("a faulty report", "POST", movie, _HALF | {"position_seconds": -1}, 422, {"error": "Invalid data"}),
        _Step("a read of nothing", "GET", "0", None, 404, {"error": "Media item not found"}),
        _Step("a save of nothing", "POST", "0", _HALF, 404, {"error": "Media item not found"}),
        _Step("a read without access", "GET", LOCKED_MOVIE, None, 403, {"error": "Access denied"}),
        _Step("a save without access", "POST", LOCKED_MOVIE, _HALF, 403, {"error": "Access denied"}),
        _Step("a read without a token", "GET", movie, None, 401, {"error": "Not authenticated"}, token=""),
        _Step("a save with a false token", "POST", movie, _HALF, 401, {"error": "Not authenticated"}, token="0" * 64),
    ):
        used = token if step.token is None else step.token
        status, answer = server.ask(step.method, _PATH + step.item, used, step.body)
        if status != step.status or answer | step.members != answer:
            raise BenchError(f"{server.name} answers {step.what} with {status}: {answer}")
    status, _, raw = server.ask_raw("POST", _PATH + movie, token, b'{"position_seconds": 1,')
    if status != http.client.BAD_REQUEST:
        raise BenchError(f"{server.name} answers a body that is no JSON with {status}: {raw!r}")


def check_noops(server: Server, token: str) -> None:
    """Raise BenchError unless Playhead's noops answer what a save and a read would."""
    report = {"position_seconds": 1250, "duration_seconds": DURATION_S}
    for method, body in (("POST", report), ("GET", None)):
        status, answer = server.ask(method, "/api/v1/noop", token, body)
        if status != http.client.OK or answer | report != answer:
            raise BenchError(f"{method} noop answers {status}: {answer}")


def check_same_bytes(bare: Server, server: Server, token: str) -> None:
    """Raise BenchError unless the bare application answers a read with the very bytes of Playhead's GET noop."""
    expected = server.ask_raw("GET", "/api/v1/noop", token)
    answer = bare.ask_raw("GET", _PATH + movies()[0], token)
    if answer != expected:
        raise BenchError(f"{bare.name} answers {answer}, and Playhead {expected}")
