"""Run leases: ``runs/<id>.json``, a heartbeat that tells the garbage collector that a run is writing."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from geozoo.errors import DamagedZooError, StoreLostError
from geozoo.store import sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geozoo.store.location import Location

BEAT_SECONDS = 20.0
STALE_SECONDS = 120.0

_LEASE_NAME = re.compile(r"runs/[^/]+\.json")


@dataclass(frozen=True)
class Lease:
    """A run as its lease describes it; ``beat`` is a clock value in seconds since the epoch."""

    name: str
    host: str
    process: int
    beat: float

    @property
    def fresh(self) -> bool:
        """Whether the run counts as active: its last beat is at most two minutes old, by this machine's clock."""
        return time.time() - self.beat <= STALE_SECONDS


@contextlib.contextmanager
def run_lease(location: Location) -> Iterator[str]:
    """Hold a lease: written now, renewed every 20 s by a daemon thread, removed at the end; yields its object name.

    A beat that fails is made up by the next one, so that a short outage does not end a run.
    """
    name = f"runs/{uuid4().hex[:12]}.json"
    ended = threading.Event()
    location.write(name, _beat())

    def renew() -> None:
        while not ended.wait(BEAT_SECONDS):
            with contextlib.suppress(StoreLostError):
                location.write(name, _beat())

    thread = threading.Thread(target=renew, name=f"lease {name}", daemon=True)
    thread.start()
    try:
        yield name
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(StoreLostError):
            location.delete([name])


def is_lease_name(name: str) -> bool:
    """Whether an object is a lease by its name."""
    return _LEASE_NAME.fullmatch(name) is not None


def read_leases(location: Location, names: Iterable[str]) -> dict[str, Lease | None]:
    """The leases among objects by name; None for one that cannot be read, and nothing for one that ended meanwhile."""
    leases: dict[str, Lease | None] = {}
    for name in filter(is_lease_name, names):
        with contextlib.suppress(FileNotFoundError):
            leases[name] = _read_lease(location, name)
    return leases


def _read_lease(location: Location, name: str) -> Lease | None:
    try:
        payload = sealed.loads(location.read(name), name)
        return Lease(name, str(payload["host"]), int(payload["process"]), float(payload["beat"]))
    except (DamagedZooError, KeyError, TypeError, ValueError):
        return None


def _beat() -> bytes:
    return sealed.dumps({"host": socket.gethostname(), "process": os.getpid(), "beat": time.time()})
