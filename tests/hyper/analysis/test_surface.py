import numpy as np
import pytest
import torch

from geozoo.hyper.analysis.evaluate import Evaluator
from geozoo.hyper.analysis.surface import (
    evaluate_plane,
    filter_normalised,
    random_surface,
    trajectory_plane,
    trajectory_surface,
)
from geozoo.hyper.networks import Networks
from geozoo.nets import build_network, derive_layout, flatten, load_flat, unflatten
from tests.support.population import simulated_images
from tests.support.zoos import make_layout


def bowl(weights):
    """Loss |w|², accuracy minus that."""
    square = (np.asarray(weights, dtype=np.float64) ** 2).sum(axis=1)
    return square, -square


def test_every_filter_of_a_direction_is_as_long_as_that_of_the_weights():
    layout = make_layout()
    weights = np.random.default_rng(0).normal(size=2464) * np.linspace(0.1, 3, 2464)
    direction = filter_normalised(weights, layout, np.random.default_rng(1))
    tensors = [unflatten(torch.tensor(vector), layout) for vector in (weights, direction)]
    for slot in layout:
        weight, moved = (each[slot.name] for each in tensors)
        if slot.role == "bias":
            assert not moved.any()
        else:
            for unit in range(slot.shape[0]):
                assert float(moved[unit].norm()) == pytest.approx(float(weight[unit].norm()), rel=1e-9)
                assert not torch.allclose(moved[unit], weight[unit])


def test_batch_norm_is_not_moved():
    module = build_network("resnet18", channels=3, size=32, classes=10, activation="relu")
    layout = derive_layout(module)
    direction = filter_normalised(flatten(module.state_dict(), layout).numpy(), layout, np.random.default_rng(0))
    moved = {slot.name for slot in layout if direction[slot.span].any()}
    assert moved == {slot.name for slot in layout if len(slot.shape) > 1}


def test_a_quadratic_loss_has_the_surface_of_its_closed_form():
    layout = make_layout({"0.weight": (2, 3), "0.bias": (2,)})
    weights = np.random.default_rng(0).normal(size=8)
    found = random_surface(weights, layout, bowl, seed=3, steps=5)
    generator = np.random.default_rng(3)
    first, second = (filter_normalised(weights, layout, generator) for _ in range(2))
    for row, y in enumerate(found.y):
        for column, x in enumerate(found.x):
            expected = np.sum((weights + x * first + y * second) ** 2)
            assert found.loss[row, column] == pytest.approx(expected, rel=1e-5)
    assert found.loss[2, 2] == pytest.approx(np.sum(weights**2), rel=1e-5)
    assert (found.x[0], found.x[-1]) == (-1, 1)


def test_the_plane_of_a_flat_trajectory_holds_all_of_it():
    draw = np.random.default_rng(0)
    frame = np.linalg.qr(draw.normal(size=(8, 2)))[0].T
    path = np.array([[4.0, 0.0], [3.0, 1.0], [1.0, 1.5], [0.0, 0.0]])
    layout = make_layout({"0.weight": (2, 3), "0.bias": (2,)})
    trajectory = 5 + path @ frame
    plane, places, explained = trajectory_plane(trajectory, layout)
    assert np.allclose(plane @ plane.T, np.eye(2))
    assert np.allclose(trajectory[-1] + places @ plane, trajectory)
    assert np.allclose(places[-1], 0)
    assert sum(explained) == pytest.approx(1)
    assert explained[0] > explained[1]


def test_the_surface_of_a_trajectory_covers_it_and_agrees_with_it():
    draw = np.random.default_rng(1)
    frame = np.linalg.qr(draw.normal(size=(8, 2)))[0].T
    trajectory = np.array([[4.0, 0.0], [3.0, 1.0], [1.0, 1.5], [0.0, 0.0]]) @ frame
    layout = make_layout({"0.weight": (2, 3), "0.bias": (2,)})
    found = trajectory_surface(trajectory, layout, bowl, steps=9)
    assert (found.path.min(axis=0) > [found.x[0], found.y[0]]).all()
    assert (found.path.max(axis=0) < [found.x[-1], found.y[-1]]).all()
    x, y = np.meshgrid(found.x, found.y)
    assert np.allclose(found.loss, x**2 + y**2, atol=1e-5)


def test_running_statistics_are_not_moved_by_a_trajectory():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    layout = derive_layout(module)
    states = np.random.default_rng(0).normal(size=(4, layout[-1].offset + 2))
    plane, _, _ = trajectory_plane(states, layout)
    for slot in layout:
        assert np.any(plane[:, slot.span]) == (slot.role != "buffer")


@pytest.mark.parametrize(("split", "count"), [("train", 60), ("test", 32)])
def test_an_evaluator_agrees_with_a_plain_loop(split, count):
    images = simulated_images(train=60, test=32)
    network = {"name": "cnn_s", "channels": 1, "size": 28, "classes": 10}
    module = build_network(**network, activation="tanh").eval()
    layout = derive_layout(module)
    centre = flatten(module.state_dict(), layout).numpy()
    plane = np.random.default_rng(0).normal(size=(2, 2464))
    axis = np.linspace(-0.2, 0.2, 3)
    evaluate = Evaluator(Networks(**network), images, images=count).on(split, "tanh")
    loss, accuracy = evaluate_plane(centre, plane, axis, axis, evaluate)
    part = getattr(images, split)
    inputs = torch.tensor((part.images / 255 - 0.4) / 0.3, dtype=torch.float32)
    for row in range(3):
        for column in range(3):
            moved = centre + axis[column] * plane[0] + axis[row] * plane[1]
            load_flat(module, torch.tensor(moved, dtype=torch.float32), layout)
            with torch.no_grad():
                logits = module(inputs)
            labels = torch.tensor(part.labels)
            assert loss[row, column] == pytest.approx(
                float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-4
            )
            assert accuracy[row, column] == pytest.approx(float((logits.argmax(1) == labels).double().mean()))
