"""Before training starts: every node of the cluster must reach the zoo store, and makes its engine ready once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from geozoo.errors import StoreUnusableError
from geozoo.population import find_engine
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Callable


def refuse_unreachable_nodes(url: str, *, timeout_s: float = 120.0) -> None:
    """Have every node read a nonce that the driver wrote below ``url``.

    Raises:
        StoreUnusableError: naming the first node that cannot, and why.
    """
    location = open_location(url)
    name, nonce = f"runs/{uuid4().hex}.nonce", uuid4().hex
    location.write(name, nonce.encode())
    try:
        for node, reply in _on_every_node(_read, url, name):
            found = _answer(reply, timeout_s)
            if found != nonce:
                raise StoreUnusableError(
                    f"node {node['NodeManagerAddress']} does not see what this driver writes to {url} ({found}): "
                    "use an s3:// URL or a folder that all nodes share."
                )
    finally:
        location.delete([name])


def warm_up_nodes(engine: str, precision: str) -> None:
    """Have every node do what an engine does once a machine (`EngineRecord.warm_up`), such as compiling its kernels.

    A node that fails is left to fail, and to tell why, in its trials.
    """
    for _, reply in _on_every_node(_warm_up, engine, precision):
        with suppress(ray.exceptions.RayError):
            ray.get(reply)


def _on_every_node(function: Callable[..., Any], *arguments: str) -> list[tuple[dict[str, Any], ray.ObjectRef[Any]]]:
    """Start a call on every node that is alive; the nodes and the replies to come."""
    calls = []
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            task = ray.remote(function).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            calls.append((node, task.remote(*arguments)))
    return calls


def _warm_up(engine: str, precision: str) -> None:
    find_engine(engine).warm_up(precision)


def _read(url: str, name: str) -> str:
    return open_location(url).read(name).decode()


def _answer(reply: ray.ObjectRef[str], timeout_s: float) -> str:
    try:
        text: str = ray.get(reply, timeout=timeout_s)
    except ray.exceptions.RayTaskError as error:
        return f"{type(error.cause).__name__}: {error.cause}"
    except ray.exceptions.RayError as error:
        return f"{type(error).__name__} after up to {timeout_s:.0f} s"
    return text
