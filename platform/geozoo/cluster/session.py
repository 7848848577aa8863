"""Starting or joining Ray, with token authentication on."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import ray

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 10.0


@contextmanager
def ray_session(address: str | None) -> Iterator[str | None]:
    """Join the cluster at ``address``, or run one on this machine; give the dashboard's URL, or None.

    A session that is already open in this process is used and left open. Token authentication is on (`geozoo.cluster`);
    Ray makes a token for a cluster of its own.

    Raises:
        InputError: there is no cluster at ``address``, or it refuses the token.
    """
    if ray.is_initialized():
        yield _dashboard(ray.get_runtime_context())
        return
    _refuse_silent_address(address)
    try:
        context = ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise InputError(f"no Ray cluster can be used at {address or 'local'!r}: {cause}") from error
    try:
        yield _dashboard(context)
    finally:
        ray.shutdown()


@contextmanager
def results_only() -> Iterator[None]:
    """Keep standard output for results: Ray prints there that a worker died; in here that goes to standard error."""
    with redirect_stdout(sys.stderr):
        yield


def _refuse_silent_address(address: str | None) -> None:
    """Ray itself tries a host that does not answer for minutes; a plain connection tells at once."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"no Ray cluster can be used at {address!r} ({error}): "
            "start one with ray start --head, or leave --address out."
        ) from error


def _dashboard(context: object) -> str | None:
    url = getattr(context, "dashboard_url", None)
    return f"http://{url}" if url else None
