"""States as graphs: a graph computes what its network computes, and hidden nodes are interchangeable."""

from collections import defaultdict

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from geozoo.errors import NetworkError
from geozoo.nets import build_network, derive_layout, flatten, num_parameters
from geozoo.weights.forms import Collate
from geozoo.weights.graph import CONVOLUTION, DENSE, RESIDUAL, from_graph, to_graph
from geozoo.weights.wiring import network_wiring, wiring_of
from tests.support.zoos import make_zoo


class Residual(nn.Module):
    """BatchNorm, an identity connection, one through a convolution, and a dense layer with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv1, self.norm1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.down = nn.Conv2d(4, 6, 1)
        self.dense = nn.Linear(6, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm0(self.stem(images)))
        x = torch.relu(self.norm1(self.conv1(x)) + x)
        x = torch.relu(self.norm2(self.conv2(x)) + self.down(x))
        return self.dense(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def run_graph(graph, images, *, kernels, activations, normed=(), same=False) -> torch.Tensor:
    """Compute a network node by node: messages along edges, then bias, BatchNorm, residuals and the activation.

    Args:
        graph: of one state; every node comes after those it reads.
        images: ``[n, channels, height, width]``.
        kernels: of every layer, the size of the kernel to cut out of the padded edge.
        activations: by layer.
        normed: layers with BatchNorm, whose variance gets its epsilon.
        same: whether maps keep their size.
    """
    side = round(graph.edge_attr.shape[1] ** 0.5)
    values = dict(enumerate(images.unbind(1)))
    incoming = defaultdict(list)
    for edge, (source, target) in enumerate(graph.edge_index.T.tolist()):
        incoming[target].append((edge, source))
    for node in range(images.shape[1], len(graph.x)):
        layer = int(graph.node_layer[node])
        size = kernels[layer]
        low = (side - size) // 2
        total, skipped = 0.0, 0.0
        for edge, source in incoming[node]:
            kernel = graph.edge_attr[edge].reshape(side, side)
            if graph.edge_type[edge] == RESIDUAL:
                skipped = skipped + kernel[side // 2, side // 2] * values[source]
                continue
            cut = kernel[low : low + size, low : low + size]
            assert kernel.abs().sum() == pytest.approx(float(cut.abs().sum()))
            padding = size // 2 if same else 0
            total = total + F.conv2d(values[source][:, None], cut[None, None], padding=padding)[:, 0]
        total = total + graph.x[node, 0]
        if layer in normed:
            _, scale, shift, mean, variance = graph.x[node]
            total = (total - mean) / (variance + 1e-5) ** 0.5 * scale + shift
        else:
            assert graph.x[node, 1:].tolist() == [1.0, 0.0, 0.0, 1.0][: graph.x.shape[1] - 1]
        values[node] = activations.get(layer, lambda maps: maps)(total + skipped)
    return torch.stack([values[node] for node in values if graph.node_layer[node] == graph.node_layer.max()], 1)


def state_of(module: nn.Module) -> torch.Tensor:
    return flatten(module.state_dict(), derive_layout(module))[None]


def test_the_graph_of_cnn_s_computes_what_the_network_does():
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").double()
    images = torch.randn(2, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    graph = to_graph(state_of(module), network_wiring("cnn_s", channels=1, size=28, classes=10))

    def pooled(maps: torch.Tensor) -> torch.Tensor:
        return torch.tanh(F.max_pool2d(maps, 2))

    activations = {1: pooled, 2: pooled, 3: torch.tanh, 4: torch.tanh}
    computed = run_graph(graph, images, kernels=[0, 5, 5, 2, 3, 1], activations=activations)
    torch.testing.assert_close(computed.flatten(1), module(images), rtol=1e-9, atol=1e-9)
    assert graph.edge_attr.shape == (8 + 48 + 24 + 80 + 200, 25)
    assert torch.bincount(graph.edge_type).tolist() == [80, 280]
    assert (graph.edge_type == CONVOLUTION).tolist() == (graph.edge_layer <= 3).tolist()
    assert (graph.edge_type == DENSE).any()


def test_the_graph_of_a_residual_network_computes_what_the_network_does():
    torch.manual_seed(0)
    module = Residual().double()
    for _ in range(3):
        module(torch.randn(8, 2, 6, 6, dtype=torch.float64) + 1)
    for norm in (module.norm0, module.norm1, module.norm2):
        nn.init.normal_(norm.weight, 1.0, 0.3)
        nn.init.normal_(norm.bias)
    module.eval()
    images = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    wiring = wiring_of(module, (2, 6, 6))
    graph = to_graph(state_of(module), wiring)

    # Groups: 1 stem, 2 conv1 (+ stem), 3 conv2, 4 down (+ conv2), 5 dense; the sums pass the activation.
    assert wiring.skips == ((1, 2), (3, 4))
    assert [layer.reads for layer in wiring.layers] == [0, 1, 2, 2, 4]

    def pooled(maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(maps).mean((-2, -1), keepdim=True)

    activations = {1: torch.relu, 2: torch.relu, 4: pooled}
    computed = run_graph(
        graph, images, kernels=[0, 3, 3, 3, 1, 1], activations=activations, normed=(1, 2, 3), same=True
    )
    torch.testing.assert_close(computed.flatten(1), module(images), rtol=1e-9, atol=1e-9)
    assert torch.equal(from_graph(graph, wiring), state_of(module))


@pytest.mark.parametrize(
    ("name", "channels", "size", "classes"),
    [("cnn_s", 3, 28, 10), ("cnn_l", 3, 32, 10), ("unterthiner", 1, 28, 10), ("tetris_mlp", 1, 4, 4)],
)
def test_the_way_back_is_exact(name, channels, size, classes):
    wiring = network_wiring(name, channels=channels, size=size, classes=classes)
    states = torch.randn(3, num_parameters(wiring.layout), generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_graph(to_graph(states, wiring), wiring), states)


def test_resnet18_has_every_residual_connection_and_every_weight_once():
    wiring = network_wiring("resnet18", channels=3, size=32, classes=10)
    states = torch.randn(1, num_parameters(wiring.layout), generator=torch.Generator().manual_seed(0))
    graph = to_graph(states, wiring)
    assert torch.equal(from_graph(graph, wiring), states)
    assert int((graph.edge_type == RESIDUAL).sum()) == 2 * (64 + 128 + 256 + 512)
    assert graph.x.shape == (3 + 5 * 64 + 5 * 128 + 5 * 256 + 5 * 512 + 10, 5)


def test_a_batch_is_the_disjoint_union_of_its_states():
    wiring = network_wiring("tetris_mlp", channels=1, size=4, classes=4)
    states = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    whole = to_graph(states, wiring)
    for number in range(3):
        one = to_graph(states[number : number + 1], wiring)
        nodes, edges = whole.batch == number, whole.batch[whole.edge_index[1]] == number
        assert torch.equal(whole.x[nodes], one.x)
        assert torch.equal(whole.edge_index[:, edges] - number * int(nodes.sum()), one.edge_index)
        assert torch.equal(whole.edge_attr[edges], one.edge_attr)
        assert torch.equal(whole.edge_layer[edges], one.edge_layer)


def test_permuting_hidden_units_renumbers_nodes():
    """Two dense layers with weights ``[5, 16]`` and ``[4, 5]``: unit ``u`` becomes the one that was ``order[u]``."""
    wiring = network_wiring("tetris_mlp", channels=1, size=4, classes=4)
    state = torch.randn(1, 100, generator=torch.Generator().manual_seed(0))
    order = [3, 0, 4, 1, 2]
    permuted = state.clone()
    for unit, old in enumerate(order):
        for pixel in range(16):
            permuted[0, unit * 16 + pixel] = state[0, old * 16 + pixel]
        for label in range(4):
            permuted[0, 80 + label * 5 + unit] = state[0, 80 + label * 5 + old]
    rename = list(range(25))
    for unit, old in enumerate(order):
        rename[16 + unit] = 16 + old

    def edges(graph, names):
        pairs = [(names[source], names[target]) for source, target in graph.edge_index.T.tolist()]
        return dict(zip(pairs, graph.edge_attr[:, 0].tolist(), strict=True))

    assert edges(to_graph(permuted, wiring), rename) == edges(to_graph(state, wiring), range(25))


def test_a_loader_hands_out_graphs(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=20)
    wiring = network_wiring("cnn_s", channels=1, size=28, classes=10)
    data = zoo.torch_dataset("train")
    graphs, targets = next(iter(DataLoader(data, 8, collate_fn=Collate("graph", wiring))))
    flat, wanted = next(iter(DataLoader(data, 8)))
    assert torch.equal(from_graph(graphs, wiring), flat)
    assert torch.equal(targets, wanted)
    assert graphs.batch.bincount().tolist() == [49] * 8


class Grouped(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(16, 2))


class Normalised(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))


class Glued(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.conv(images), images], 1)


@pytest.mark.parametrize(
    ("module", "step"),
    [(Grouped(), "0"), (Normalised(), "2"), (nn.Sequential(nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4)), "1")],
)
def test_what_cannot_be_wired_is_named(module, step):
    with pytest.raises(NetworkError, match=f"step '{step}' of the network cannot be wired"):
        wiring_of(module, (4, 4, 4))


def test_channels_that_are_put_together_cannot_be_wired():
    with pytest.raises(NetworkError, match="cannot be wired"):
        wiring_of(Glued(), (4, 4, 4))


def test_wiring_leaves_the_network_as_it_was():
    module = Residual()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    wiring_of(module, (2, 6, 6))
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
