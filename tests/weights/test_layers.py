"""States by layer: shapes, the way back, and what the axes mean."""

import pytest
import torch
from nfn.common import WeightSpaceFeatures, network_spec_from_wsfeat, state_dict_to_tensors
from torch.nn import functional as F
from torch.utils.data import DataLoader

from geozoo.errors import InputError, NetworkError
from geozoo.nets import build_network, derive_layout, num_parameters, unflatten
from geozoo.weights.forms import Collate
from geozoo.weights.layers import from_layers, to_layers
from geozoo.weights.wiring import Wiring, network_wiring
from tests.support.zoos import make_zoo

PLAIN = [("cnn_s", 1, 28, 10), ("cnn_s", 3, 28, 10), ("cnn_l", 3, 32, 10), ("unterthiner", 1, 28, 10)]
PLAIN.append(("tetris_mlp", 1, 4, 4))


def wiring(name: str, channels: int, size: int, classes: int) -> Wiring:
    return network_wiring(name, channels=channels, size=size, classes=classes)


def draw(layout, n: int, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(n, num_parameters(layout), generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("network", PLAIN)
def test_the_way_back_is_exact(network):
    wired = wiring(*network)
    states = draw(wired.layout, 3)
    assert torch.equal(from_layers(to_layers(states, wired), wired), states)


def test_layers_are_those_of_the_state_dict_as_nfn_reads_it():
    module = build_network("unterthiner", channels=1, size=28, classes=10, activation="relu")
    states = draw(derive_layout(module), 1)
    wanted = state_dict_to_tensors(
        {name: tensor[0] for name, tensor in unflatten(states, derive_layout(module)).items()}
    )
    layers = to_layers(states, wiring("unterthiner", 1, 28, 10))
    for ours, theirs in zip((*layers.weights, *layers.biases), (*wanted[0], *wanted[1]), strict=True):
        assert torch.equal(ours[0], theirs)


def test_a_dense_layer_after_a_flatten_has_its_map_as_spatial_axes():
    """In a network with one image, the dense layer is a convolution over the whole map of the layer before."""
    wired = wiring("cnn_s", 1, 28, 10)
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation="relu").double()
    layout = derive_layout(module)
    states = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])[None]
    layers = to_layers(states, wired)
    stack = module.module_list
    maps = torch.randn(5, 4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    as_convolution = F.conv2d(maps, layers.weights[3][0, 0], layers.biases[3][0, 0]).flatten(1)
    torch.testing.assert_close(as_convolution, stack.get_submodule("9")(maps.flatten(1)), rtol=1e-12, atol=1e-12)
    assert [tuple(weight.shape[1:]) for weight in layers.weights] == [
        (1, 8, 1, 5, 5),
        (1, 6, 8, 5, 5),
        (1, 4, 6, 2, 2),
        (1, 20, 4, 3, 3),
        (1, 10, 20),
    ]
    assert num_parameters(layout) == states.shape[1]


def test_nfn_takes_the_layers_and_counts_every_weight():
    wired = wiring("cnn_s", 1, 28, 10)
    spec = network_spec_from_wsfeat(WeightSpaceFeatures(*to_layers(draw(wired.layout, 2), wired)), set_all_dims=True)
    assert spec.get_num_params() == num_parameters(wired.layout) == 2464
    assert spec.get_io() == (1, 10)


def test_missing_biases_are_zeros():
    wired = wiring("tetris_mlp", 1, 4, 4)
    layers = to_layers(draw(wired.layout, 2), wired)
    assert [tuple(bias.shape) for bias in layers.biases] == [(2, 1, 5), (2, 1, 4)]
    assert not any(bias.any() for bias in layers.biases)


def test_gradients_flow_to_the_flat_vector():
    wired = wiring("cnn_s", 1, 28, 10)
    states = draw(wired.layout, 2).requires_grad_()
    layers = to_layers(states, wired)
    sum(part.square().sum() for part in (*layers.weights, *layers.biases)).backward()
    torch.testing.assert_close(states.grad, 2 * states.detach())


def test_a_network_that_is_no_row_of_layers():
    wired = wiring("resnet18", 3, 32, 10)
    with pytest.raises(NetworkError, match="8 residual connections and 20 BatchNorm layers"):
        to_layers(torch.zeros(1, num_parameters(wired.layout)), wired)


def test_a_loader_hands_out_layers(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=20)
    wired = wiring("cnn_s", 1, 28, 10)
    data = zoo.torch_dataset("train")
    flat = [torch.cat(parts) for parts in zip(*DataLoader(data, 8), strict=True)]
    batches = list(DataLoader(data, 8, collate_fn=Collate("layers", wired)))
    assert torch.equal(torch.cat([from_layers(layers, wired) for layers, _ in batches]), flat[0])
    assert torch.equal(torch.cat([target for _, target in batches]), flat[1])


def test_an_unknown_form():
    with pytest.raises(InputError, match="no form 'matrix' of states: take one of layers, graph"):
        Collate("matrix", wiring("cnn_s", 1, 28, 10))  # type: ignore[arg-type]
