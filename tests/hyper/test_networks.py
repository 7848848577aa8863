"""Many networks at once against `torch.func` and plain modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from geozoo.errors import InputError
from geozoo.hyper.networks import ACTIVATION_NAMES, Networks, activation_codes
from geozoo.nets import NETWORKS, NetworkRecord, build_network, derive_layout, load_flat, num_parameters, unflatten

PLAIN = [
    Networks("cnn_s", 1, 28, 10),
    Networks("cnn_s", 3, 28, 7),
    Networks("cnn_l", 3, 32, 10),
    Networks("unterthiner", 1, 19, 10),
    Networks("tetris_mlp", 1, 4, 4),
]


def module_of(networks: Networks, activation: str) -> nn.Module:
    """The network as a user builds it, with dropout, in evaluation mode."""
    shape = {"channels": networks.channels, "size": networks.size, "classes": networks.classes}
    return build_network(networks.name, **shape, activation=activation, dropout=0.5).double().eval()


def simulated(networks: Networks, members: int, images: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Weights, images and gradients of logits, random numbers."""
    generator = torch.Generator().manual_seed(7)
    params = num_parameters(derive_layout(module_of(networks, "relu")))
    weights = 0.3 * torch.randn(members, params, generator=generator, dtype=torch.float64)
    pixels = torch.randn(images, networks.channels, networks.size, networks.size, generator=generator).double()
    gradients = torch.randn(members, images, networks.classes, generator=generator, dtype=torch.float64)
    return weights.to(dtype), pixels.to(dtype), gradients.to(dtype)


def differentiated(logits: Tensor, weights: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
    return logits.detach(), torch.autograd.grad(logits, weights, gradients)[0]


def by_vmap(networks: Networks, activation: str, weights: Tensor, images: Tensor) -> Tensor:
    module = module_of(networks, activation)
    layout = derive_layout(module)
    return vmap(lambda row: functional_call(module, unflatten(row, layout), (images,)))(weights)


def assert_close(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], tolerance: float) -> None:
    """To a tolerance relative to the largest number of each."""
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * b.abs().max().item())


CASES = [
    *((PLAIN[0], name) for name in ACTIVATION_NAMES),
    *((one, name) for one in PLAIN[1:] for name in ("relu", "gelu")),
]


@pytest.mark.parametrize(("networks", "activation"), CASES, ids=str)
def test_logits_and_gradients_equal_vmap(networks: Networks, activation: str) -> None:
    """More images than one pass takes, and a rest."""
    weights, images, gradients = simulated(networks, members=2, images=21)
    weights.requires_grad_()
    theirs = differentiated(by_vmap(networks, activation, weights, images), weights, gradients)
    ours = differentiated(networks.logits(weights, [activation] * 2, images), weights, gradients)
    assert_close(ours, theirs, 1e-11)


@pytest.mark.parametrize("networks", PLAIN, ids=str)
def test_in_float32_they_agree_to_its_precision(networks: Networks) -> None:
    weights, images, gradients = simulated(networks, members=2, images=5)
    weights.requires_grad_()
    theirs = differentiated(by_vmap(networks, "gelu", weights, images), weights, gradients)
    small = weights.detach().float().requires_grad_()
    ours = differentiated(networks.logits(small, ["gelu"] * 2, images.float()), small, gradients.float())
    assert_close(tuple(one.double() for one in ours), theirs, 1e-5)


def test_mixed_activations_come_back_in_order_with_their_gradients() -> None:
    networks = PLAIN[0]
    names = ["tanh", "relu", "tanh", "gelu", "sigmoid", "relu", "leakyrelu", "silu"]
    weights, images, gradients = simulated(networks, members=len(names), images=3)
    weights.requires_grad_()
    theirs = torch.cat([by_vmap(networks, name, weights[n : n + 1], images) for n, name in enumerate(names)])
    expected = differentiated(theirs, weights, gradients)
    for given in (names, activation_codes(names), activation_codes(names).numpy(), activation_codes(names).tolist()):
        assert_close(differentiated(networks.logits(weights, given, images), weights, gradients), expected, 1e-11)


def test_the_gradient_reaches_what_made_the_weights() -> None:
    """Through views that are not contiguous, as a decoder hands them over, and an expanded gradient."""
    networks = PLAIN[4]
    weights, images, _ = simulated(networks, members=4, images=9)
    seeds = [weights.T.clone().requires_grad_() for _ in range(2)]
    networks.logits(seeds[0].T, ["tanh"] * 4, images).sum().backward()
    by_vmap(networks, "tanh", seeds[1].T, images).sum().backward()
    assert seeds[0].grad is not None
    assert seeds[1].grad is not None
    assert_close((seeds[0].grad,), (seeds[1].grad,), 1e-11)


def test_a_member_depends_neither_on_its_company_nor_on_threads() -> None:
    networks = PLAIN[0]
    weights, images, gradients = simulated(networks, members=5, images=17, dtype=torch.float32)
    weights.requires_grad_()
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(differentiated(networks.logits(weights, ["silu"] * 5, images), weights, gradients))
    finally:
        torch.set_num_threads(before)
    alone = networks.logits(weights[3:4], ["silu"], images).detach()
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(alone[0], results[0][0][3])


def test_networks_with_running_statistics_equal_the_module_itself() -> None:
    networks = Networks("resnet18", 3, 16, 4)
    modules = [module_of(networks, name) for name in ("relu", "gelu")]
    layout = derive_layout(modules[0])
    weights = torch.randn(2, num_parameters(layout), generator=torch.Generator().manual_seed(3)).double() * 0.05
    for slot in layout:
        if slot.name.endswith("running_var"):
            weights[:, slot.span] = weights[:, slot.span].abs() + 0.5
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(4)).double()
    weights.requires_grad_()
    logits = networks.logits(weights, ["relu", "gelu"], images)
    gradient = torch.autograd.grad(logits.square().sum(), weights)[0]
    for row, module in enumerate(modules):
        load_flat(module, weights[row].detach(), layout)
        expected = module(images)
        expected.square().sum().backward()
        torch.testing.assert_close(logits[row], expected)
        for slot in layout:
            if slot.role != "buffer":
                grad = module.get_parameter(slot.name).grad
                assert grad is not None
                torch.testing.assert_close(gradient[row, slot.span], grad.flatten())
            else:
                assert (gradient[row, slot.span] == 0).all()


def test_a_layer_without_compiled_code_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(shape: object, make_dropout: object) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(50, 3))

    monkeypatch.setitem(NETWORKS, "padded", NetworkRecord(name="padded", summary="", build=build))
    networks = Networks("padded", 1, 5, 3)
    weights, images, gradients = simulated(networks, members=2, images=4)
    weights.requires_grad_()
    theirs = differentiated(by_vmap(networks, "tanh", weights, images), weights, gradients)
    assert_close(differentiated(networks.logits(weights, ["tanh"] * 2, images), weights, gradients), theirs, 1e-12)


def test_nobody_answers_with_nothing() -> None:
    for networks in (PLAIN[0], Networks("resnet18", 3, 16, 4)):
        params = num_parameters(derive_layout(module_of(networks, "relu")))
        images = torch.zeros(2, networks.channels, networks.size, networks.size)
        assert networks.logits(torch.zeros(0, params), [], images).shape == (0, 2, networks.classes)
    assert PLAIN[0].logits(torch.zeros(2, 2464), ["relu", "tanh"], torch.zeros(0, 1, 28, 28)).shape == (2, 0, 10)


@pytest.mark.parametrize(
    ("weights", "activations", "images", "said"),
    [
        (torch.zeros(2, 2463), ["relu"] * 2, torch.zeros(1, 1, 28, 28), r"pass \[2, 2464\]"),
        (torch.zeros(2, 2464), ["relu"], torch.zeros(1, 1, 28, 28), r"do not fit 1 activations"),
        (torch.zeros(1, 2464), ["step"], torch.zeros(1, 1, 28, 28), "there is no activation 'step'"),
        (torch.zeros(1, 2464), [6], torch.zeros(1, 1, 28, 28), "there is no activation 6"),
        (torch.zeros(1, 2464), ["relu"], torch.zeros(1, 1, 27, 28), r"pass \[q, 1, 28, 28\] of torch.float32 on cpu"),
        (torch.zeros(1, 2464), ["relu"], torch.zeros(1, 1, 28, 28).double(), "of torch.float64 on cpu do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(weights: Tensor, activations: list[str], images: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PLAIN[0].logits(weights, activations, images)
