"""Scores of predictions, with bootstrap intervals that resample members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
TAU_RESAMPLES_LARGE = 200
LARGE = 1000
LEVEL = 0.95

_PAIR_ROWS = 512
_Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval; ``None`` where it is not defined (a constant target, fewer than two members)."""

    value: float | None
    low: float | None
    high: float | None


def r2_score(target: np.ndarray, predicted: np.ndarray, member: np.ndarray, seed: int) -> Score:
    """Coefficient of determination: 1 - residual / total sum of squares about the mean of these states.

    Args:
        target: ``[states]``.
        predicted: ``[states]``.
        member: ``[states]`` integers; the states of one member are resampled together.
        seed: of the 1,000 bootstrap resamples of members; percentile interval.
    """
    groups, count = _groups(member)
    # Centred values keep the sums of squares exact enough to see that a resample is constant.
    target, predicted = target - target.mean(), predicted - target.mean()
    size, total, squares, residual = (
        np.bincount(groups, weights=column, minlength=count)
        for column in (np.ones_like(target), target, target**2, (target - predicted) ** 2)
    )

    def r2(draws: np.ndarray) -> np.ndarray:
        spread = draws @ squares - (draws @ total) ** 2 / (draws @ size)
        constant = spread <= 1e-12 * (draws @ squares)
        return np.where(constant, np.nan, 1 - draws @ residual / np.where(constant, 1.0, spread))

    return _bootstrap(r2, count, seed, RESAMPLES)


def accuracy_score(target: np.ndarray, predicted: np.ndarray, member: np.ndarray, seed: int) -> Score:
    """Share of states whose class is predicted; arguments as in ``r2_score``."""
    return mean_score(target == predicted, member, seed)


def mean_score(measured: np.ndarray, member: np.ndarray, seed: int) -> Score:
    """Mean of ``measured [states]``, not-a-number left out; ``member`` and ``seed`` as in ``r2_score``."""
    groups, count = _groups(member)
    known = np.isfinite(measured)
    size = np.bincount(groups, weights=known, minlength=count)
    total = np.bincount(groups, weights=np.where(known, measured, 0), minlength=count)

    def mean(draws: np.ndarray) -> np.ndarray:
        drawn = draws @ size
        values: np.ndarray = np.divide(draws @ total, drawn, out=np.full(len(draws), np.nan), where=drawn > 0)
        return values

    return _bootstrap(mean, count, seed, RESAMPLES)


def kendall_tau(target: np.ndarray, predicted: np.ndarray, member: np.ndarray, seed: int) -> Score:
    """Kendall's tau-b between target and prediction; arguments as in ``r2_score``.

    Concordance is summed once over the states of each pair of members; a resample is then a quadratic form in how often
    each member was drawn, which equals tau-b computed anew on the repeated states. Above 1,000 members, 200
    resamples instead of 1,000.
    """
    groups, count = _groups(member)
    order = np.argsort(groups, kind="stable")
    concordance, untied_target, untied_predicted = _pair_sums(target[order], predicted[order], groups[order], count)

    def tau(draws: np.ndarray) -> np.ndarray:
        pairs, left, right = (
            np.einsum("rm,rm->r", draws @ sums, draws) for sums in (concordance, untied_target, untied_predicted)
        )
        scale = np.sqrt(left * right)
        values: np.ndarray = np.divide(pairs, scale, out=np.full(len(draws), np.nan), where=scale > 0)
        return values

    return _bootstrap(tau, count, seed, RESAMPLES if count <= LARGE else TAU_RESAMPLES_LARGE)


def _pair_sums(
    target: np.ndarray, predicted: np.ndarray, groups: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums over the state pairs of every two members ``[count, count]``: concordance, untied target, untied prediction.

    ``groups`` is sorted. Rows of states are taken in blocks, so memory is bounded by block x states.
    """
    starts = np.searchsorted(groups, np.arange(count))
    sums = np.zeros((3, count, count))
    for begin in range(0, len(target), _PAIR_ROWS):
        rows = slice(begin, begin + _PAIR_ROWS)
        a = np.sign(target[rows, None] - target[None, :])
        b = np.sign(predicted[rows, None] - predicted[None, :])
        for sum_, signs in zip(sums, (a * b, np.abs(a), np.abs(b)), strict=True):
            np.add.at(sum_, groups[rows], np.add.reduceat(signs, starts, axis=1))
    return sums[0], sums[1], sums[2]


def _groups(member: np.ndarray) -> tuple[np.ndarray, int]:
    """Members numbered from zero, and how many there are."""
    unique, groups = np.unique(member, return_inverse=True)
    return groups, len(unique)


def _bootstrap(statistic: _Statistic, members: int, seed: int, resamples: int) -> Score:
    """Score all members once, then resample them; ``statistic`` maps draw counts ``[resamples, members]`` to values."""
    value = float(statistic(np.ones((1, members)))[0])
    if members < 2:
        return Score(_defined(value), None, None)
    draws = np.random.default_rng(seed).multinomial(members, np.full(members, 1 / members), size=resamples)
    values = statistic(draws.astype(np.float64))
    values = values[np.isfinite(values)]
    if not len(values):
        return Score(_defined(value), None, None)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Score(_defined(value), float(low), float(high))


def _defined(value: float) -> float | None:
    return value if np.isfinite(value) else None
