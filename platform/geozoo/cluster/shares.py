"""How the cores and GPUs of a cluster are shared out to what runs on it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Nodes = Sequence[Mapping[str, float]]


def most_at_once(nodes: Nodes, gpus: float, cores: int = 1) -> int:
    """How many with ``cores`` cores and ``gpus`` GPUs each run at once on nodes with these resources.

    None spans two nodes, and a part of a GPU never spans two GPUs, as Ray has it.
    """
    return sum(min(int(node.get("CPU", 0) // cores), _with_gpus(node, gpus)) for node in nodes)


def even_share(nodes: Nodes, count: int, gpus: float, option: str) -> dict[str, float]:
    """What each of ``count`` gets so that all run at once: its GPUs, and as many cores as that allows.

    Args:
        nodes: resources of every node that is alive, as Ray names them (``CPU``, ``GPU``).
        count: how many run at once.
        gpus: of each; below 1 several share one.
        option: of the command line that sets ``count``, for the message.

    Raises:
        InputError: they cannot all run at once, or ``gpus`` is above 1 and not whole.
    """
    refuse_impossible_gpus(nodes, gpus)
    if most_at_once(nodes, gpus) < count:
        needs = f"a core and {gpus:g} GPUs" if gpus else "a core"
        raise InputError(
            f"{option} {count} needs {needs} for each, but the cluster has room for {most_at_once(nodes, gpus)}: "
            f"lower {option}."
        )
    most_cores = int(max(node.get("CPU", 0) for node in nodes))
    cores = max(cores for cores in range(1, most_cores + 1) if most_at_once(nodes, gpus, cores) >= count)
    return {"CPU": float(cores)} | ({"GPU": gpus} if gpus else {})


def refuse_impossible_gpus(nodes: Nodes, gpus: float) -> None:
    """Raise InputError where not even one can have ``gpus`` GPUs: too few are there, or it is above 1 and not whole."""
    if gpus > 1 and gpus != int(gpus):
        raise InputError(f"{gpus:g} GPUs each cannot be given: ask for a part of one GPU or for whole ones.")
    if gpus and not sum(node.get("GPU", 0) for node in nodes):
        raise InputError(f"{gpus:g} GPUs each cannot be given, the cluster has none: ask for none.")
    if gpus and not most_at_once(nodes, gpus):
        raise InputError(f"{gpus:g} GPUs each cannot be given, no node has as many and a core: ask for fewer.")


def _with_gpus(node: Mapping[str, float], gpus: float) -> int:
    if not gpus:
        return int(node.get("CPU", 0))
    there = int(node.get("GPU", 0))
    return there * int(1 / gpus + 1e-9) if gpus < 1 else there // int(gpus)
