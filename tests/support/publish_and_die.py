"""``python -m tests.support.publish_and_die SOURCE DEST CALL``: publish, and be killed at the CALLth write.

Odd calls die before the object is written, even ones after it; the one after the last write dies before the mark of the
publication is removed.
"""

import os
import signal
import sys
from typing import Any

import geozoo.store.shards
from geozoo.store import Location, open_zoo
from tests.support.published import publish_simulated

SHARD_BYTES = 300_000


def die_at(call: int) -> None:
    calls = 0

    def dying(method: Any) -> Any:
        def wrapped(self: Location, name: str, *arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call and call % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(self, name, *arguments)
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    for name in ("write", "create_once", "delete"):
        setattr(Location, name, dying(getattr(Location, name)))


if __name__ == "__main__":
    geozoo.store.shards.MAX_SHARD_BYTES = SHARD_BYTES
    die_at(int(sys.argv[3]))
    publish_simulated(open_zoo(sys.argv[1]), sys.argv[2])
