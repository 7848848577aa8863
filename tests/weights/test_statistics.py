import numpy as np
import pytest

from geozoo.nets import build_network
from geozoo.nets.layout import TensorSlot, derive_layout, num_parameters
from geozoo.weights import statistics
from geozoo.weights.statistics import layer_statistics
from tests.support.zoos import make_layout


def plain_statistics(vector, layout):
    """The same seven numbers by a plain loop over tensors."""
    numbers = []
    for slot in layout:
        if slot.role == "buffer":
            continue
        values = [float(value) for value in vector[slot.offset : slot.offset + slot.size]]
        numbers += [np.mean(values), np.var(values), *(np.percentile(values, q) for q in (1, 25, 50, 75, 99))]
    return numbers


def test_statistics_are_those_of_a_plain_loop():
    layout = make_layout({"0.weight": (3, 4), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)})
    weights = np.random.default_rng(0).normal(size=(5, num_parameters(layout))).astype(np.float32)
    features, names = layer_statistics(weights, layout)
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, [plain_statistics(row, layout) for row in weights], rtol=1e-12, atol=1e-15)
    assert names[:2] == ["0.weight mean", "0.weight variance"]
    assert names[-1] == "2.bias percentile 99"


@pytest.mark.parametrize(("network", "channels", "size", "width"), [("cnn_s", 1, 28, 70)])
def test_the_published_cnn_has_seventy_statistics(network, channels, size, width):
    layout = derive_layout(build_network(network, channels=channels, size=size, classes=10, activation="tanh"))
    features, names = layer_statistics(np.zeros((2, num_parameters(layout)), np.float32), layout)
    assert features.shape == (2, width)
    assert len(set(names)) == width


def test_buffers_are_left_out():
    layout = (
        *make_layout({"0.weight": (2, 2)}),
        TensorSlot(name="1.running_mean", kind="batchnorm2d", role="buffer", shape=(2,), offset=4),
    )
    assert layer_statistics(np.zeros((1, 6)), layout)[0].shape == (1, 7)


def test_chunks_do_not_change_the_result(monkeypatch):
    layout = make_layout()
    weights = np.random.default_rng(1).normal(size=(23, num_parameters(layout))).astype(np.float32)
    whole = layer_statistics(weights, layout)[0]
    monkeypatch.setattr(statistics, "_CHUNK_SCALARS", 5 * max(slot.size for slot in layout))
    np.testing.assert_array_equal(layer_statistics(weights, layout)[0], whole)
