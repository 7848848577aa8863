from __future__ import annotations

import itertools

import pytest

from geozoo.cluster.shares import even_share, most_at_once
from geozoo.errors import InputError

NODES = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0, "memory": 1.0}, {"CPU": 16.0, "GPU": 1.0}]


def placed(nodes: list[dict[str, float]], count: int, cores: float, gpus: float) -> bool:
    """Whether ``count`` fit, put one after the other on the first node and GPU with room."""
    free = [(node.get("CPU", 0.0), [1.0] * int(node.get("GPU", 0))) for node in nodes]
    for _ in range(count):
        for number, (cpu, cards) in enumerate(free):
            roomy = [card for card, left in enumerate(cards) if left >= min(gpus, 1) - 1e-9]
            if cpu >= cores and len(roomy) >= (gpus and max(1, gpus)):
                for card in roomy[: int(max(1, gpus))] if gpus else []:
                    cards[card] -= min(gpus, 1)
                free[number] = (cpu - cores, cards)
                break
        else:
            return False
    return True


@pytest.mark.parametrize(("count", "gpus"), list(itertools.product((1, 2, 3, 4, 6), (0.0, 0.3, 0.4, 0.5, 1.0, 2.0))))
def test_a_share_is_the_largest_that_all_can_have(count: int, gpus: float) -> None:
    if not placed(NODES, count, 1, gpus):
        with pytest.raises(InputError, match=f"--workers {count} needs"):
            even_share(NODES, count, gpus, "--workers")
        return
    share = even_share(NODES, count, gpus, "--workers")
    assert share.get("GPU", 0.0) == gpus
    assert placed(NODES, count, share["CPU"], gpus)
    assert not placed(NODES, count, share["CPU"] + 1, gpus)


def test_as_many_as_cores_or_gpus_allow() -> None:
    assert most_at_once(NODES, 0) == 27
    assert most_at_once(NODES, 0.5) == 6
    assert most_at_once(NODES, 0.5, cores=4) == 4


@pytest.mark.parametrize(
    ("nodes", "gpus", "message"),
    [
        ([{"CPU": 2.0}], 0.0, "--concurrent 3 needs a core for each, but the cluster has room for 2"),
        ([{"CPU": 8.0}], 1.0, "1 GPUs each cannot be given, the cluster has none"),
        ([{"CPU": 8.0, "GPU": 2.0}], 1.0, "needs a core and 1 GPUs for each, but the cluster has room for 2"),
        ([{"CPU": 8.0, "GPU": 2.0}], 4.0, "4 GPUs each cannot be given, no node has as many and a core"),
        ([{"CPU": 8.0, "GPU": 8.0}], 1.5, "1.5 GPUs each cannot be given: ask for a part of one GPU"),
    ],
)
def test_what_a_cluster_cannot_give_is_refused(nodes: list[dict[str, float]], gpus: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        even_share(nodes, 3, gpus, "--concurrent")
