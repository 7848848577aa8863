"""The published way of making a zoo: one Ray Tune trial per model, checkpoints as files.

    python -m tests.benchmarks.published_way RECIPE FOLDER

A class Trainable reads the image set itself, trains one network at the recipe's batch size, evaluates it after every
epoch and saves weights and optimiser with ``torch.save``, as the generators of the published zoos do (Schürholt et al.
2022). The recipe is read with geozoo, so that both ways train the same members on the same images.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geozoo.cluster.session import ray_session
from geozoo.datasets import load_image_set, normalise
from geozoo.nets import build_network, derive_layout, unflatten
from geozoo.population.initial import initial_weights
from geozoo.recipe import Recipe, hyperparameters_of, load_recipe, plan_members

if TYPE_CHECKING:
    from geozoo.datasets import ImageSet, ImageSplit
    from geozoo.recipe import HyperParameters

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
Data = tuple[torch.Tensor, torch.Tensor]


class Model:
    """One member: its network, optimiser and images."""

    def __init__(self, recipe: Recipe, seed: int, chosen: HyperParameters) -> None:
        images = load_image_set(recipe.dataset)
        network = {
            "name": recipe.network.name,
            "channels": images.channels,
            "size": images.size,
            "classes": images.num_classes,
            "activation": chosen.activation,
        }
        self.module = build_network(**network, dropout=chosen.dropout)
        start = torch.from_numpy(initial_weights(network, [seed], [chosen])[0])
        self.module.load_state_dict(unflatten(start, derive_layout(self.module)))
        self.optimizer = OPTIMIZERS[chosen.optimizer](
            self.module.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay
        )
        self.batch_size = chosen.batch_size
        self.random = torch.Generator().manual_seed(seed)
        self.train_data = _tensors(images.train, images)
        evaluated = {name: getattr(images, name) for name in ("train", "validation", "test")}
        limits = recipe.evaluation
        self.parts = {
            name: _tensors(split.take(slice(getattr(limits, name))), images) for name, split in evaluated.items()
        }

    def train_epoch(self, order: torch.Tensor | None = None) -> None:
        """One pass over the training images, in ``order`` or a drawn one."""
        pixels, labels = self.train_data
        order = torch.randperm(len(labels), generator=self.random) if order is None else order
        self.module.train()
        for batch in order.split(self.batch_size):
            self.optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.module(pixels[batch]), labels[batch]).backward()
            self.optimizer.step()

    def evaluate(self) -> dict[str, float]:
        """Loss and accuracy on every split."""
        metrics = {}
        self.module.eval()
        with torch.no_grad():
            for name, (pixels, labels) in self.parts.items():
                logits = torch.cat([self.module(some) for some in pixels.split(1000)])
                metrics[f"{name}_loss"] = float(torch.nn.functional.cross_entropy(logits, labels))
                metrics[f"{name}_acc"] = float((logits.argmax(1) == labels).float().mean())
        return metrics

    def save(self, folder: str) -> None:
        """Weights and optimiser, as the published zoos have them."""
        torch.save(self.module.state_dict(), Path(folder, "checkpoints"))
        torch.save(self.optimizer.state_dict(), Path(folder, "optimizer"))


def _tensors(split: ImageSplit, images: ImageSet) -> Data:
    pixels = torch.from_numpy(normalise(split.images, images.mean, images.std))
    return pixels, torch.tensor(split.labels)


def main(recipe_path: str, folder: str) -> None:
    """Train all members of a recipe, as many at a time as there are cores."""
    from ray import tune

    recipe = load_recipe(recipe_path)
    epochs = recipe.training.epochs

    class Trainable(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            torch.set_num_threads(1)
            self.model = Model(recipe, config["chosen"]["seed"], hyperparameters_of(config["chosen"]["member"]))

        def step(self) -> dict[str, Any]:
            if self.training_iteration:  # the first row is the initialisation
                self.model.train_epoch()
            return self.model.evaluate()

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            self.model.save(checkpoint_dir)

        def load_checkpoint(self, checkpoint: Any) -> None:
            raise RuntimeError("trials are not restored here")

    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    members = [{"seed": one.seed, "member": one.hyperparameters.model_dump()} for one in plan_members(recipe)]
    with ray_session(None):
        results = tune.Tuner(
            tune.with_resources(Trainable, {"cpu": 1}),
            param_space={"chosen": tune.grid_search(members)},
            run_config=tune.RunConfig(
                name="published",
                storage_path=str(Path(folder).absolute()),
                stop={"training_iteration": epochs + 1},
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            ),
        ).fit()
    if results.errors:
        raise SystemExit(f"{len(results.errors)} trials failed: {results.errors[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
