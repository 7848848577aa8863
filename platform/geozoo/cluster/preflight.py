"""Before training starts: every node of the cluster must reach the zoo store."""

from __future__ import annotations

from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from geozoo.errors import StoreUnusableError
from geozoo.store import open_location


def refuse_unreachable_nodes(url: str, *, timeout_s: float = 120.0) -> None:
    """Have every node read a nonce that the driver wrote below ``url``.

    Raises:
        StoreUnusableError: naming the first node that cannot, and why.
    """
    location = open_location(url)
    name, nonce = f"runs/{uuid4().hex}.nonce", uuid4().hex
    location.write(name, nonce.encode())
    try:
        pending = {
            ray.remote(_read).options(num_cpus=0, max_retries=0, scheduling_strategy=_on(node)).remote(url, name): node
            for node in ray.nodes()
            if node["Alive"]
        }
        for reply, node in pending.items():
            found = _answer(reply, timeout_s)
            if found != nonce:
                raise StoreUnusableError(
                    f"node {node['NodeManagerAddress']} does not see what this driver writes to {url} ({found}): "
                    "use an s3:// URL or a folder that all nodes share."
                )
    finally:
        location.delete([name])


def _on(node: dict[str, str]) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)


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
