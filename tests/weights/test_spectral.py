import contextlib
import io
import warnings

import numpy as np
import pytest
import torch

from geozoo.nets import build_network, derive_layout, flatten
from geozoo.weights import spectral
from geozoo.weights.spectral import MEASURES, fit_power_law, pooled_eigenvalues, spectral_measures
from tests.support.zoos import make_layout

THEIRS = {
    "log norm": "log_norm",
    "log spectral norm": "log_spectral_norm",
    "stable rank": "stable_rank",
    "entropy": "entropy",
    "alpha": "alpha",
    "alpha distance": "D",
    "alpha weighted": "alpha_weighted",
    "log alpha norm": "log_alpha_norm",
}


def by_weightwatcher(module):
    """WeightWatcher's details of every layer, columns by name; it prints, draws and warns along the way."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import weightwatcher

        return weightwatcher.WeightWatcher(model=module).analyze(conv2d_norm=False)


@pytest.mark.parametrize("initialise", [torch.nn.init.xavier_uniform_, torch.nn.init.orthogonal_])
def test_measures_are_weightwatchers(initialise):
    """Kernels and matrices with spectra of 10 to 150 eigenvalues: both ways to fit an exponent."""
    torch.manual_seed(0)
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").eval()
    for parameter in module.parameters():
        if parameter.ndim > 1:
            initialise(parameter.data)
            parameter.data *= torch.rand(len(parameter)).reshape(-1, *[1] * (parameter.ndim - 1)) + 0.5
    layout = derive_layout(module)
    ours, names = spectral_measures(flatten(module.state_dict(), layout)[None].numpy(), layout)
    theirs = by_weightwatcher(module)
    matrices = [slot.name for slot in layout if slot.role == "weight"]
    assert len(theirs) == len(matrices) == 5
    for measure, column in THEIRS.items():
        found = [ours[0, names.index(f"{name} {measure}")] for name in matrices]
        np.testing.assert_allclose(found, theirs[column].to_numpy(float), rtol=2e-5, atol=1e-6, err_msg=measure)


def test_measures_of_known_singular_values():
    """A matrix with eigenvalues 9, 4 and 1, turned by two rotations."""
    draw = np.random.default_rng(0)
    left, right = (np.linalg.qr(draw.normal(size=(size, size)))[0] for size in (3, 5))
    matrix = left @ np.hstack([np.diag([3.0, 2.0, 1.0]), np.zeros((3, 2))]) @ right
    features, names = spectral_measures(matrix.reshape(1, -1), make_layout({"0.weight": (3, 5)}))
    shares = np.array([9, 4, 1]) / 14
    alpha = 1 + 2 / np.log(9 * 4)
    expected = {
        "log norm": np.log10(14),
        "log spectral norm": np.log10(9),
        "stable rank": 14 / 9,
        "entropy": -np.sum(shares * np.log(shares)) / np.log(3),
        "log condition": np.log10(3),
        "alpha": alpha,
        "alpha weighted": alpha * np.log10(9),
        "log alpha norm": np.log10(9**alpha + 4**alpha + 1),
    }
    for measure, value in expected.items():
        assert features[0, names.index(f"0.weight {measure}")] == pytest.approx(value, rel=1e-12)


def test_the_norms_are_numpys():
    draw = np.random.default_rng(1)
    matrices = draw.normal(size=(4, 6, 9))
    features, names = spectral_measures(matrices.reshape(4, -1), make_layout({"0.weight": (6, 9)}))
    for measure, order in (("log norm", "fro"), ("log spectral norm", 2)):
        expected = 2 * np.log10(np.linalg.norm(matrices, ord=order, axis=(1, 2)))
        np.testing.assert_allclose(features[:, names.index(f"0.weight {measure}")], expected, rtol=1e-10)
    np.testing.assert_allclose(
        features[:, names.index("0.weight log condition")], np.log10(np.linalg.cond(matrices)), rtol=1e-8
    )


def test_the_slices_of_a_kernel_are_pooled():
    kernels = np.random.default_rng(2).normal(size=(3, 4, 2, 3, 3))
    for kernel, found in zip(kernels, pooled_eigenvalues(kernels), strict=True):
        slices = [kernel[:, :, row, column] for row in range(3) for column in range(3)]
        expected = np.concatenate([np.linalg.eigvalsh(matrix.T @ matrix) for matrix in slices])
        np.testing.assert_allclose(found, np.sort(expected), rtol=1e-10)


def test_the_exponent_of_a_power_law_is_found():
    """Drawn by the inverse of the distribution function; the estimate's standard error is (alpha - 1) / sqrt(n)."""
    uniform = np.random.default_rng(3).uniform(size=(20, 400))
    drawn = np.sort((1 - uniform) ** (-1 / 1.5), axis=1)
    alpha, distance = fit_power_law(drawn)
    assert np.median(alpha) == pytest.approx(2.5, abs=0.1)
    assert (distance < 0.08).all()


def test_rows_and_chunks_do_not_mix(monkeypatch):
    layout = make_layout()
    weights = np.random.default_rng(4).normal(size=(7, layout[-1].offset + layout[-1].size)).astype(np.float32)
    weights[:, layout[0].span] *= np.arange(7)[:, None]
    whole = spectral_measures(weights, layout)[0]
    monkeypatch.setattr(spectral, "_CHUNK_SCALARS", 2 * 1200)
    np.testing.assert_allclose(spectral_measures(weights, layout)[0], whole, rtol=1e-12)
    for row in (0, 6):
        np.testing.assert_allclose(spectral_measures(weights[row : row + 1], layout)[0], whole[row : row + 1])


def test_zeros_and_single_eigenvalues_are_finite_and_a_nan_is_not():
    layout = make_layout({"0.weight": (3, 4), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)})
    weights = np.zeros((3, 19), np.float32)
    weights[1:] = np.random.default_rng(5).normal(size=(2, 19))
    weights[2, 0] = np.nan
    features, names = spectral_measures(weights, layout)
    assert features.shape == (3, 2 * len(MEASURES))
    assert np.isfinite(features[:2]).all()
    assert np.isnan(features[2]).all()
    assert features[1, names.index("2.weight stable rank")] == pytest.approx(1)
    assert features[1, names.index("2.weight alpha")] == features[1, names.index("2.weight entropy")] == 0
