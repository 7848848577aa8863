"""What every engine must pass: subclass `EngineConformance` and give ``engine_name``.

The reference engine, which the others are measured against, subclasses the contract alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from geozoo.nets import ACTIVATIONS, INITIALISERS, build_network, derive_layout, unflatten
from geozoo.population import METRICS, Block, CohortJob, Snapshot, load_engine
from geozoo.recipe.space import OPTIMIZER_NAMES
from tests.support.population import MEAN, STD, cohort_job, hyperparameters, simulated_images

if TYPE_CHECKING:
    from geozoo.datasets import ImageSet

STEPS = 20
GENTLE_LR = {"sgd": 1e-4, "adam": 1e-4, "adamw": 1e-4, "rmsprop": 1e-5}
"""Small enough that rounding is not amplified by the dynamics themselves over the steps compared."""


def train(engine: str, job: CohortJob, images: ImageSet, start: Snapshot | None = None) -> list[Block]:
    trained = load_engine(engine).train(job, images, start)
    return [progress.block for progress in trained if progress.block is not None]


def snapshots(engine: str, job: CohortJob, images: ImageSet) -> list[Snapshot]:
    """What an engine offers at the end of every epoch."""
    trained = load_engine(engine).train(job, images)
    return [progress.snapshot() for progress in trained if progress.snapshot is not None]


def assert_going_on_changes_nothing(engine: str, job: CohortJob, images: ImageSet) -> None:
    """Every block after a snapshot, of weights and metrics, has the bits of the training that was never left."""
    undisturbed, taken = train(engine, job, images), snapshots(engine, job, images)
    assert [snapshot.epoch for snapshot in taken] == list(range(1, job.checkpoints[-1] + 1))
    for snapshot in taken:
        left = train(engine, job, images, snapshot)
        expected = [block for block in undisturbed if block.epoch > snapshot.epoch]
        assert [block.epoch for block in left] == [block.epoch for block in expected]
        for ours, theirs in zip(left, expected, strict=True):
            np.testing.assert_array_equal(ours.weights, theirs.weights)
            for name, values in theirs.metrics.items():
                np.testing.assert_array_equal(ours.metrics[name], values, err_msg=name)


def relative_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of any weight of any member, in units of the member's largest weight."""
    scale = np.abs(theirs).max(axis=-1, keepdims=True)
    return float((np.abs(ours.astype(np.float64) - theirs) / scale).max())


class EngineContract:
    """The contract of `geozoo.population.Engine`."""

    engine_name: str

    def test_a_member_does_not_depend_on_its_cohort(self) -> None:
        images = simulated_images(train=STEPS * 10)
        rates = (0.0, 0.1, 0.2, 0.3)
        members = [hyperparameters(dropout=rate, lr=1e-3 * (1 + rate)) for rate in rates]
        others = [hyperparameters(dropout=0.5, lr=3e-3, init="uniform"), members[2], hyperparameters(init="normal")]
        together = train(self.engine_name, cohort_job(images, members, seeds=[11, 12, 13, 14]), images)[-1].weights[2]
        elsewhere = train(self.engine_name, cohort_job(images, others, seeds=[21, 13, 23]), images)[-1].weights[1]
        alone = train(self.engine_name, cohort_job(images, [members[2]], seeds=[13]), images)[-1].weights[0]
        assert relative_difference(elsewhere, together) < 1e-6
        assert relative_difference(alone, together) < 1e-6

    @pytest.mark.parametrize("precision", ["float32", "float64"])
    def test_a_diverged_member_is_flagged_frozen_and_alone_in_it(self, precision: str) -> None:
        images = simulated_images(train=60)
        calm = [hyperparameters(optimizer="sgd", dropout=0.1, lr=1e-3), hyperparameters(optimizer="sgd", lr=2e-3)]
        wild = hyperparameters(optimizer="sgd", lr={"float32": 1e38, "float64": 1e300}[precision])
        job = cohort_job(images, [calm[0], wild, calm[1]], seeds=[1, 2, 3], epochs=3, precision=precision)
        blocks = train(self.engine_name, job, images)
        quiet = train(self.engine_name, cohort_job(images, calm, seeds=[1, 3], epochs=3, precision=precision), images)
        assert [list(block.metrics["finite"]) for block in blocks] == [[True] * 3] + [[True, False, True]] * 3
        for block, undisturbed in zip(blocks, quiet, strict=True):
            assert relative_difference(block.weights[[0, 2]], undisturbed.weights) < 1e-5
        np.testing.assert_array_equal(blocks[1].weights[1], blocks[3].weights[1])
        assert np.isnan(blocks[2].metrics["test_loss"][1])
        assert blocks[2].metrics["test_accuracy"][1] == 0

    def test_blocks_are_the_checkpoints_and_start_from_the_initial_weights(self) -> None:
        images = simulated_images(train=30)
        job = replace(cohort_job(images, [hyperparameters()] * 3, epochs=3), checkpoints=(0, 2, 3))
        blocks = train(self.engine_name, job, images)
        assert [block.epoch for block in blocks] == [0, 2, 3]
        assert all(block.weights.shape == job.initial.shape for block in blocks)
        assert all(block.weights.dtype == np.float32 for block in blocks)
        np.testing.assert_array_equal(blocks[0].weights, job.initial)
        assert not np.shares_memory(blocks[1].weights, blocks[2].weights)
        late = replace(job, checkpoints=(3,))
        np.testing.assert_array_equal(train(self.engine_name, late, images)[0].weights, blocks[2].weights)

    def test_progress_counts_every_image_presented(self) -> None:
        images = simulated_images(train=25)
        job = cohort_job(images, [hyperparameters()] * 2, epochs=2)
        samples = sum(progress.samples for progress in load_engine(self.engine_name).train(job, images))
        assert samples == 2 * 2 * 25

    def test_metrics_are_what_the_stored_weights_give(self) -> None:
        """Loss and accuracy against scikit-learn on the outputs of the plain network with the block's weights."""
        images = simulated_images(train=80)
        job = cohort_job(images, [hyperparameters(dropout=0.5), hyperparameters(lr=1e-2)], epochs=2)
        block = train(self.engine_name, job, images)[-1]
        module = build_network(**job.network).double().eval()
        layout = derive_layout(module)
        for row, weights in enumerate(block.weights):
            module.load_state_dict(unflatten(torch.from_numpy(weights).double(), layout))
            for split in ("train", "validation", "test"):
                part = getattr(images, split)
                inputs = (torch.tensor(np.array(part.images)).double() / 255 - MEAN) / STD
                shares = module(inputs).softmax(-1).detach().numpy()
                loss = log_loss(part.labels, shares, labels=range(10))
                accuracy = accuracy_score(part.labels, shares.argmax(1))
                assert block.metrics[f"{split}_loss"][row] == pytest.approx(loss, rel=1e-5)
                assert block.metrics[f"{split}_accuracy"][row] == pytest.approx(accuracy)
        gap = block.metrics["train_accuracy"] - block.metrics["test_accuracy"]
        np.testing.assert_allclose(block.metrics["generalization_gap"], gap)

    def test_running_metrics_are_absent_at_the_initialisation_and_differ_with_dropout(self) -> None:
        images = simulated_images(train=80)
        blocks = train(self.engine_name, cohort_job(images, [hyperparameters(dropout=0.6)], epochs=1), images)
        assert set(blocks[0].metrics) == set(METRICS)
        assert np.isnan(blocks[0].metrics["running_train_loss"][0])
        assert np.isfinite(blocks[1].metrics["running_train_loss"][0])
        assert blocks[1].metrics["running_train_loss"][0] > blocks[1].metrics["train_loss"][0]

    @pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
    def test_going_on_from_a_snapshot_is_the_training_that_was_never_left(self, optimizer: str) -> None:
        """A member that diverges and one that does from the start among them; the job is left as it was."""
        images = simulated_images(train=25)
        calm = [hyperparameters(optimizer=optimizer, dropout=rate, weight_decay=1e-3) for rate in (0.0, 0.3)]
        wild = [hyperparameters(optimizer=optimizer, lr=1e38 if optimizer == "sgd" else 1e30, momentum=0.0), calm[0]]
        job = cohort_job(images, [*calm, *wild], epochs=3, precision="float32")
        job.initial[3, 0] = np.nan
        assert_going_on_changes_nothing(self.engine_name, replace(job, checkpoints=(0, 2, 3)), images)


class EngineConformance(EngineContract):
    """The contract, and agreement with the reference engine."""

    @pytest.mark.parametrize("batch_size", [10, 7])
    @pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
    @pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
    def test_float64_agrees_with_reference_after_20_steps(
        self, optimizer: str, activation: str, batch_size: int
    ) -> None:
        images = simulated_images(train=STEPS * batch_size)
        members = [
            hyperparameters(
                activation=activation,
                init=init,
                init_std=0.1,
                optimizer=optimizer,
                lr=GENTLE_LR[optimizer] * (1 + index % 3),
                weight_decay=(0.0, 1e-3)[index // 2 % 2],
                momentum=(0.0, 0.9, 0.5)[index % 3],
                dropout=(0.0, 0.3)[(index + batch_size) % 2],
                batch_size=batch_size,
            )
            for index, init in enumerate(INITIALISERS)
        ]
        job = replace(cohort_job(images, members), checkpoints=(1,))
        ours, theirs = train(self.engine_name, job, images)[-1], train("reference", job, images)[-1]
        assert not np.allclose(theirs.weights, job.initial, rtol=1e-5, atol=0)
        assert relative_difference(ours.weights, theirs.weights) < 1e-6
        for name in METRICS:
            np.testing.assert_allclose(ours.metrics[name], theirs.metrics[name], rtol=1e-6, atol=1e-9, err_msg=name)

    @pytest.mark.parametrize(
        ("network", "channels", "size", "classes"),
        [("cnn_s", 3, 28, 10), ("cnn_l", 3, 32, 10), ("unterthiner", 1, 28, 10), ("tetris_mlp", 1, 4, 4)],
    )
    def test_every_network_agrees_with_reference(self, network: str, channels: int, size: int, classes: int) -> None:
        images = simulated_images(train=STEPS * 8, channels=channels, size=size, classes=classes)
        members = [hyperparameters(dropout=rate, batch_size=8, lr=1e-4) for rate in (0.0, 0.4)]
        job = cohort_job(images, members, network=network)
        ours, theirs = train(self.engine_name, job, images)[-1], train("reference", job, images)[-1]
        assert relative_difference(ours.weights, theirs.weights) < 1e-6

    def test_float32_gradient_agrees_with_reference(self) -> None:
        """Plain SGD with a learning rate of one: the update is the gradient."""
        images = simulated_images(train=10)
        members = [hyperparameters(optimizer="sgd", momentum=0, lr=1, dropout=rate) for rate in (0.0, 0.2, 0.5)]
        job = cohort_job(images, members, precision="float32")
        ours, theirs = (
            job.initial - train(engine, job, images)[-1].weights for engine in (self.engine_name, "reference")
        )
        assert relative_difference(ours, theirs) < 1e-5

    @pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
    def test_float32_update_agrees_with_reference(self, optimizer: str) -> None:
        images = simulated_images(train=10)
        members = [
            hyperparameters(optimizer=optimizer, lr=GENTLE_LR[optimizer], weight_decay=1e-3, dropout=rate)
            for rate in (0.0, 0.2, 0.5)
        ]
        job = cohort_job(images, members, precision="float32")
        ours, theirs = train(self.engine_name, job, images)[-1], train("reference", job, images)[-1]
        assert relative_difference(ours.weights, theirs.weights) < 1e-5
