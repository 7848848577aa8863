import numpy as np
import pytest
import torch

from geozoo.hyper.analysis.similarity import (
    agreement_matrix,
    cka_matrix,
    compare_members,
    layer_outputs,
    mean_by_group,
    unit_gram,
    watched_layers,
)
from geozoo.nets import build_network
from tests.support.population import simulated_images
from tests.support.zoos import make_zoo


def closed_form(x, y):
    """||Y'X||² / (||X'X|| ||Y'Y||) of centred features, one entry at a time."""
    x, y = x - x.mean(0), y - y.mean(0)
    square = [sum(float(a[:, i] @ b[:, j]) ** 2 for i in range(a.shape[1]) for j in range(b.shape[1]))
              for a, b in ((y, x), (x, x), (y, y))]  # fmt: skip
    return square[0] / np.sqrt(square[1] * square[2])


def linear_cka(first, second):
    return float(cka_matrix([unit_gram(first), unit_gram(second)])[0, 1])


def activations(*widths, images=40):
    draw = np.random.default_rng(0)
    shared = draw.normal(size=(images, 3))
    return [shared @ draw.normal(size=(3, width)) + draw.normal(size=(images, width)) + 2 for width in widths]


def test_linear_cka_is_the_closed_form():
    x, y = activations(5, 9)
    assert linear_cka(x, y) == pytest.approx(closed_form(x, y), rel=1e-10)


@pytest.mark.filterwarnings("ignore")
def test_linear_cka_is_that_of_a_kept_library():
    ckatorch = pytest.importorskip("ckatorch")
    several = activations(5, 9, 60)
    matrix = cka_matrix([unit_gram(one) for one in several])
    for i, x in enumerate(several):
        for j, y in enumerate(several):
            expected = ckatorch.cka_base(torch.tensor(x), torch.tensor(y), kernel="linear", method="fro_norm")
            assert matrix[i, j] == pytest.approx(float(expected), rel=1e-8)


def test_rotation_scale_and_shift_do_not_matter():
    (x,) = activations(6)
    turned = x @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert linear_cka(x, 3 * turned - 7) == pytest.approx(1)


def test_a_dead_layer_has_no_similarity():
    (x,) = activations(6)
    assert np.isnan(linear_cka(x, np.ones((40, 4))))


def test_agreement_is_the_share_of_equal_predictions():
    assert agreement_matrix(np.array([[0, 1, 2, 2], [0, 1, 1, 1]])).tolist() == [[1, 0.5], [0.5, 1]]


def test_pairs_of_one_value_and_of_different_ones():
    similarity = np.array([[1, 0.9, 0.2], [0.9, 1, np.nan], [0.2, np.nan, 1]])
    assert mean_by_group(similarity, np.array(["a", "a", "b"])) == (0.9, 0.2)
    assert np.isnan(mean_by_group(similarity, np.array(["a", "a", "a"]))[1])


@pytest.mark.parametrize(("name", "size", "layers"), [("cnn_s", 28, 4), ("resnet18", 32, 6)])
def test_layers_that_are_watched(name, size, layers):
    module = build_network(name, channels=1, size=size, classes=10, activation="relu").eval()
    inputs = torch.randn(2, 1, size, size)
    outputs = layer_outputs(module, inputs)
    assert len(watched_layers(module)) == layers
    assert list(outputs) == [*(f"layer {number}" for number in range(1, layers + 1)), "logits"]
    assert torch.equal(outputs["logits"], module(inputs))
    assert not any(part._forward_hooks for part in module.modules())


def test_outputs_of_a_layer_are_those_of_the_steps_before_it():
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").eval()
    inputs = torch.randn(3, 1, 28, 28)
    first = torch.tanh(torch.max_pool2d(module.module_list[0](inputs), 2))
    assert torch.allclose(layer_outputs(module, inputs)["layer 1"], first)


def test_members_of_a_zoo_are_compared_pair_by_pair(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=4, cohorts=1)
    images = simulated_images(test=30)
    members = list(zoo.members["member"])
    found = compare_members(zoo, members, 2, images)
    inputs = torch.tensor((images.test.images / 255 - 0.4) / 0.3, dtype=torch.float32)
    outputs = [layer_outputs(zoo.module(member, 2), inputs) for member in members]
    x, y = (one["layer 2"].flatten(1).double().numpy() for one in (outputs[0], outputs[3]))
    assert found.cka["layer 2"][0, 3] == pytest.approx(linear_cka(x, y), rel=1e-4)
    same = (outputs[1]["logits"].argmax(1) == outputs[2]["logits"].argmax(1)).double().mean()
    assert found.agreement[1, 2] == pytest.approx(float(same))
    assert found.images == 30
