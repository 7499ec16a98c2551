"""The limit of the stack: the smallest ASGI application, on the server's uvicorn, that answers what Playhead answers.

`bare.py PORT` answers every request with the same progress: nobody is authenticated, nothing decoded, nothing stored.
"""

import sys
from typing import Any

import uvicorn
from playhead.server.wire import OneWriteProtocol

from playhead.server.run import SWITCH_INTERVAL_S

BODY = (
    b'{"position_seconds":1250,"duration_seconds":5400,"completion_percentage":23.15,"watched":false,'
    b'"last_watched_at":"2025-11-08T22:00:00Z"}'
)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"content-length", b"%d" % len(BODY)),
]


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own types
    """Take the body of a save, and answer."""
    if scope["method"] == "POST":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # As playhead/server.py configures it.
    uvicorn.run(
        answer,
        port=int(sys.argv[1]),
        lifespan="off",
        loop="uvloop",
        http=OneWriteProtocol,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
