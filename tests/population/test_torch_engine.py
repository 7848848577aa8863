"""What the torch engine does beyond the conformance class: schedules, augmentation, BatchNorm, autocast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geozoo.nets import build_network
from geozoo.population import CohortJob, load_engine, torch_engine
from geozoo.population.packs import PackSizes
from geozoo.population.single import trains_alone
from geozoo.recipe.space import OPTIMIZER_NAMES
from tests.support.engine_conformance import (
    GENTLE_LR,
    assert_going_on_changes_nothing,
    relative_difference,
    snapshots,
    train,
)
from tests.support.population import cohort_job, hyperparameters, simulated_images

IMAGES = simulated_images(train=60)
COLOURED = simulated_images(train=24, test=10, channels=3, size=16)


def resnet_job(epochs: int = 1, precision: str = "float64", lrs: tuple[float, ...] = (0.01, 0.02)) -> CohortJob:
    members = [
        hyperparameters(activation="relu", optimizer="sgd", lr=lr, weight_decay=5e-4, batch_size=8) for lr in lrs
    ]
    return cohort_job(COLOURED, members, network="resnet18", epochs=epochs, precision=precision)


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_one_cycle_agrees_with_torchs_scheduler(optimizer: str) -> None:
    members = [hyperparameters(optimizer=optimizer, lr=20 * GENTLE_LR[optimizer] * scale) for scale in (1, 2)]
    job = replace(cohort_job(IMAGES, members, epochs=3), schedule="onecycle")
    ours, theirs = train("torch", job, IMAGES), train("reference", job, IMAGES)
    constant = train("reference", replace(job, schedule="constant"), IMAGES)
    for block, expected, other in zip(ours[1:], theirs[1:], constant[1:], strict=True):
        assert relative_difference(block.weights, expected.weights) < 1e-6
        assert relative_difference(other.weights, expected.weights) > 1e-4


def test_a_schedule_is_as_long_as_the_training_not_as_the_checkpoints() -> None:
    job = replace(cohort_job(IMAGES, [hyperparameters(lr=1e-3)], epochs=4), schedule="onecycle")
    cut = replace(job, checkpoints=(0, 1))
    for engine in ("torch", "reference"):
        whole, half = train(engine, job, IMAGES)[1], train(engine, cut, IMAGES)[1]
        np.testing.assert_array_equal(half.weights, whole.weights)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_augmented_training_agrees_with_reference(dropout: float) -> None:
    members = [hyperparameters(lr=1e-4, dropout=dropout), hyperparameters(lr=2e-4)]
    job = replace(cohort_job(IMAGES, members, epochs=2), augmentation="crop_flip")
    ours, theirs = train("torch", job, IMAGES)[-1], train("reference", job, IMAGES)[-1]
    plain = train("reference", replace(job, augmentation="none"), IMAGES)[-1]
    assert relative_difference(ours.weights, theirs.weights) < 1e-6
    assert relative_difference(plain.weights, theirs.weights) > 1e-4


def test_a_network_with_batch_norm_agrees_with_reference_in_all_it_has() -> None:
    job = replace(resnet_job(epochs=2), schedule="onecycle", augmentation="crop_flip")
    ours, theirs = train("torch", job, COLOURED), train("reference", job, COLOURED)
    for block, expected in zip(ours, theirs, strict=True):
        assert relative_difference(block.weights, expected.weights) < 1e-6
        for name, values in expected.metrics.items():
            np.testing.assert_allclose(block.metrics[name], values, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("schedule", ["constant", "onecycle"])
@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_batch_norm_and_schedules_go_on_where_they_were_left(engine: str, schedule: str) -> None:
    job = replace(resnet_job(epochs=2, precision="float32"), schedule=schedule, augmentation="crop_flip")
    assert_going_on_changes_nothing(engine, job, COLOURED)
    (first, _) = snapshots(engine, job, COLOURED)
    assert first.members[0]["module.bn1.num_batches_tracked"] == 3


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_optimisers_go_on_along_the_cycle(engine: str, optimizer: str) -> None:
    members = [hyperparameters(optimizer=optimizer, lr=20 * GENTLE_LR[optimizer] * scale) for scale in (1, 2)]
    job = cohort_job(IMAGES, members, epochs=3, precision="float32")
    assert_going_on_changes_nothing(engine, replace(job, schedule="onecycle"), IMAGES)


def test_a_cohort_goes_on_in_other_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many members are stacked depends on the memory that is free, which another process finds otherwise."""
    job = replace(cohort_job(IMAGES, [hyperparameters()] * 3, epochs=2), schedule="onecycle")
    together, snapshot = train("torch", job, IMAGES)[-1], snapshots("torch", job, IMAGES)[0]
    monkeypatch.setattr(torch_engine, "sizes_on_cpu", lambda members: PackSizes(1, 100))
    apart = train("torch", job, IMAGES, snapshot)[-1]
    assert relative_difference(apart.weights, together.weights) < 1e-12


def test_a_diverged_single_member_is_frozen_and_flagged() -> None:
    blocks = train("torch", resnet_job(epochs=2, precision="float32", lrs=(0.01, 1e30)), COLOURED)
    assert [list(block.metrics["finite"]) for block in blocks] == [[True, True], [True, False], [True, False]]
    np.testing.assert_array_equal(blocks[1].weights[1], blocks[2].weights[1])
    assert np.isnan(blocks[2].metrics["running_train_loss"][1])


@pytest.mark.parametrize(
    ("network", "size", "alone"), [("cnn_s", 28, False), ("cnn_l", 32, False), ("resnet18", 32, True)]
)
def test_small_networks_are_stacked_and_batch_norm_is_alone(network: str, size: int, alone: bool) -> None:
    assert trains_alone(build_network(network, channels=3, size=size, classes=10, activation="relu")) == alone


def test_a_large_network_trains_alone() -> None:
    assert trains_alone(torch.nn.Linear(1000, 1001))
    assert not trains_alone(torch.nn.Linear(1000, 999))


@pytest.mark.parametrize("network", ["cnn_s", "resnet18"])
def test_autocast_rounds_the_network_and_not_the_weights(network: str) -> None:
    """One step of plain SGD: bfloat16 keeps some digits of the gradient, and weights stay float32."""
    images = IMAGES if network == "cnn_s" else COLOURED
    one = hyperparameters(activation="relu", optimizer="sgd", momentum=0, lr=1e-2, batch_size=60)
    job = cohort_job(images, [one, one], network=network, precision="float32")
    exact, rounded = train("torch", job, images)[-1], train("torch", replace(job, precision="bfloat16"), images)[-1]
    reference = train("reference", replace(job, precision="bfloat16"), images)[-1]
    steps = [block.weights - job.initial for block in (exact, rounded, reference)]
    for ours, theirs in (steps[:2], steps[1:]):
        assert (ours * theirs).sum() / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.99
    assert not np.array_equal(steps[0], steps[1])
    assert rounded.metrics["test_loss"] == pytest.approx(exact.metrics["test_loss"], rel=0.05)
    assert len(np.unique(rounded.weights.view(np.uint32) & 0xFFFF)) > 1000


def test_tf32_is_allowed_where_it_is_asked_for_and_put_back() -> None:
    def settings() -> tuple[bool, bool, int]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.get_num_threads()

    before = settings()
    job = cohort_job(IMAGES, [hyperparameters()], precision="float32")
    for precision, allowed in (("float32", False), ("tf32", True)):
        for _ in load_engine("torch").train(replace(job, precision=precision), IMAGES):
            assert settings() == (allowed, allowed, 1)
    assert settings() == before
