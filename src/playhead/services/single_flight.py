"""Single-flight work on files: once per key, on low-priority threads, with a disk cache and a negative cache."""

import asyncio
import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from playhead.domain.texts import shown
from playhead.errors import unavailable
from playhead.media.contents import Unusable
from playhead.media.disk_cache import DiskCache

log = logging.getLogger(__name__)

_NICENESS = 10
_FAILURES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """Worker threads, the most keys that may be running or queued, and how long a failure is remembered."""

    threads: int
    waiting: int
    failure_ttl_s: float = 3600.0


class SingleFlight:
    """Runs the work for a key once however many callers want it, and keeps the result; `name` names the threads."""

    def __init__(self, name: str, cache: DiskCache, bounds: WorkLimits, *, monotonic: Callable[[], float]) -> None:
        self._cache = cache
        self._bounds = bounds
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(bounds.threads, name, yield_to_others)
        self._under_way: dict[str, asyncio.Task[bytes | None]] = {}
        self._failures: OrderedDict[str, float] = OrderedDict()

    async def get(self, key: str, make: Callable[[], bytes | None]) -> bytes | None:
        """Return the cached content of a key, else the result of `make`; concurrent callers share one run.

        None means that `make` failed, which is cached for a while. Raises UNAVAILABLE if too many keys are queued.
        """
        content = await asyncio.to_thread(self._cache.get, key)
        if content is not None or self._failures.get(key, 0) > self._monotonic():
            return content
        # The caller that started the work may be cancelled; others keep waiting.
        return await asyncio.shield(self._begin(key, make))

    async def close(self) -> None:
        """Start no further work, and cancel what is running."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = list(self._under_way.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, key: str, make: Callable[[], bytes | None]) -> "asyncio.Task[bytes | None]":
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= self._bounds.waiting:
                raise unavailable()
            task = asyncio.create_task(self._work(key, make))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return task

    async def _work(self, key: str, make: Callable[[], bytes | None]) -> bytes | None:
        content = await asyncio.get_running_loop().run_in_executor(self._pool, self._make_and_keep, key, make)
        if content is None:
            self._failures[key] = self._monotonic() + self._bounds.failure_ttl_s
            if len(self._failures) > _FAILURES_MAX:
                self._failures.popitem(last=False)
        return content

    def _make_and_keep(self, key: str, make: Callable[[], bytes | None]) -> bytes | None:
        content = make()
        if content is not None:
            try:
                self._cache.put(key, content)
            except OSError as error:
                log.warning("The result for a file could not be cached: %s", error.strerror or error)
        return content


def key_of(*evidence: object) -> str:
    """Return the key of work that depends on nothing but this evidence; also good as an ETag."""
    return blake2b(msgspec.json.encode(evidence), digest_size=16).hexdigest()


def attempt(what: str, path: Path, make: Callable[[], bytes]) -> bytes | None:
    """Return what is made from a file, or None if the file is unusable. Raises UNAVAILABLE if it cannot be read now."""
    try:
        return make()
    except Unusable as error:
        log.info("No %s of %s: %s", what, shown(str(path)), error)
        if error.passing:
            raise unavailable() from None
        return None
    except OSError as error:
        log.warning("No %s of %s now: %s", what, shown(str(path)), error.strerror or error)
        raise unavailable() from None


def yield_to_others() -> None:
    """Lower the priority of the calling thread below that of saves and reads."""
    if sys.platform == "linux":  # if threads have their own niceness
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
