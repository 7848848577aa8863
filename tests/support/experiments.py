"""Small experiments on weights, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.hyper.experiment import HyperExperiment
from geozoo.hyper.fit import prepare
from geozoo.recipe.load import parse_document
from geozoo.training.loop import Watch, fit

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.training.distributed import World

TREE: dict[str, Any] = {
    "name": "tiny",
    "kind": "hyper",
    "model": {
        "name": "encoder_decoder",
        "width": 8,
        "blocks": 1,
        "heads": 2,
        "feed_forward": 8,
        "latent": 4,
        "dropout": 0.0,
        "projection": {"layers": 1, "width": 8, "out": 4},
    },
    "loss": {"contrast": 0.2, "structure": "layers_by_weight"},
    "optimizer": {"lr": 1e-2},
    "training": {"epochs": 3, "batch_size": 16},
}


def experiment(zoo: str, **sections: Any) -> HyperExperiment:
    """The tiny experiment on a zoo; a section given is merged into its own, but for ``model``, which it replaces."""
    tree = {**TREE, "zoo": zoo}
    for name, value in sections.items():
        tree[name] = value if name == "model" else {**tree.get(name, {}), **value}
    return parse_document(tree, HyperExperiment, "the experiment")


def first_epoch(world: World, chosen: HyperExperiment) -> dict[str, Any]:
    """Train as one worker; terms of the loss, parameters after it, and the gradients of its last step."""
    prepared = prepare(chosen, world)
    terms: list[dict[str, float]] = []
    state = fit(prepared.job, world, watch=Watch(on_epoch=terms.append))
    timing = ("seconds", "data_wait")
    parameters = dict(prepared.system.named_parameters())
    return {
        "terms": {name: value for name, value in terms[0].items() if name not in timing},
        "module": state.module,
        "gradients": {name: value.grad for name, value in parameters.items() if value.grad is not None},
    }


def write_experiment(folder: Path, zoo: str, **sections: Any) -> str:
    """The path of a file of `experiment`, with the same arguments."""
    path = folder / "experiment.yaml"
    path.write_text(experiment(zoo, **sections).model_dump_json())
    return str(path)
