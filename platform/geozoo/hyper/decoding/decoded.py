"""How good decoded networks are: in weights, in what they answer, and as individuals.

High agreement alone says little: two good networks agree because both are right, and one good network for everybody
does well. So every figure stands beside that of trivial decoders, which know nothing of the original. Telling networks
apart is what identification measures, and it alone: networks that err alike agree where the original is wrong, and
networks that guess are diverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.decoding.answers import (
    Answers,
    agreement_matrix,
    identified,
    mean_of_pairs,
    same_answers,
    squared_distances,
)
from geozoo.hyper.decoding.decoded_scores import DecodedScores
from geozoo.hyper.probing.scores import Score, mean_score

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.hyper.networks import Networks
    from geozoo.nets import Layout

MAX_CANDIDATES = 100
"""Held-out members among which a decoded network is identified; by chance one in a hundred."""

EQUAL_ACCURACY = 0.01


@dataclass(frozen=True)
class HeldOut:
    """States to decode: ``weights [n, params]``, activation codes, and whose state of which epoch each is ``[n]``."""

    weights: np.ndarray
    activations: np.ndarray
    member: np.ndarray
    epoch: np.ndarray

    @cached_property
    def candidates(self) -> np.ndarray:
        """Rows of the latest state of each of the first 100 members, in order of appearance."""
        latest: dict[Any, int] = {}
        for row, member in enumerate(self.member.tolist()):
            if member not in latest or self.epoch[row] > self.epoch[latest[member]]:
                latest[member] = row
        return np.array(list(latest.values())[:MAX_CANDIDATES])


@dataclass(frozen=True)
class Training:
    """What the trivial decoders know of training states: their mean ``[params]``, and the best with its activation."""

    mean: np.ndarray
    best: np.ndarray
    best_activation: int

    @classmethod
    def of(cls, weights: np.ndarray, activations: np.ndarray, accuracy: np.ndarray) -> Self:
        """Of states ``[n, params]``, activation codes and accuracies ``[n]``; take validation accuracies."""
        best = int(np.argmax(accuracy))
        return cls(weights.mean(axis=0, dtype=np.float64).astype(weights.dtype), weights[best], int(activations[best]))


class DecodedEvaluation:
    """Held-out states, what their networks answer, and the scores of decoders on them.

    Args:
        networks: how members are called.
        layout: of their weights.
        held_out: the states; none of a member in ``training``.
        training: of the states that the decoder has learnt from.
        images: ``[images, channels, size, size]``, normalised, on the device where members are called; none that the
            decoder has learnt from (see `geozoo.hyper.query_images`).
        labels: int64 ``[images]``.
        seed: of bootstrap and random pairs.

    Raises:
        InputError: there are no held-out states.
    """

    def __init__(
        self,
        networks: Networks,
        layout: Layout,
        held_out: HeldOut,
        training: Training,
        images: Tensor,
        labels: Tensor,
        *,
        seed: int = 0,
    ) -> None:
        if not len(held_out.weights):
            raise InputError("there are no held-out states to decode: keep some members out of training.")
        self.networks, self.layout, self.held_out, self.training = networks, layout, held_out, training
        self.images, self.labels, self.seed = images, labels.cpu().numpy(), seed
        self._original = self._answers(held_out.weights, held_out.activations)
        self._right = self._original.predictions == self.labels

    def score(self, decoded: np.ndarray, activations: np.ndarray | None = None) -> DecodedScores:
        """Score decoded weights ``[n, params]``, rows as in the held-out states.

        ``activations`` are codes ``[n]``, by default those of the originals.

        Raises:
            InputError: another shape.
        """
        if decoded.shape != self.held_out.weights.shape:
            raise InputError(
                f"decoded weights of shape {decoded.shape} are not those of the held-out states: "
                f"pass {self.held_out.weights.shape}."
            )
        codes = self.held_out.activations if activations is None else activations
        return self._score(decoded, self._answers(decoded, codes))

    def baselines(self, mean_embedding: np.ndarray | None = None) -> dict[str, DecodedScores]:
        """Decoders that need no encoder, by name, and random pairs.

        The training mean, and the decoded mean embedding ``[params]`` where one is given, run with the activation of
        each original; the best training member with its own. In a random pair a state stands for one of another member
        whose accuracy differs by at most a point, or the nearest there is: what agreement means between equally
        good networks that have nothing to do with each other.
        """
        codes, training = self.held_out.activations, self.training
        rows = {"training mean": self._score_one(training.mean, codes)}
        if mean_embedding is not None:
            rows["decoded mean embedding"] = self._score_one(mean_embedding, codes)
        rows["best training member"] = self._score_one(training.best, np.full_like(codes, training.best_activation))
        if len(np.unique(self.held_out.member)) > 1:
            partner = self._partners()
            rows["another member as good"] = self.score(self.held_out.weights[partner], codes[partner])
        return rows

    def _answers(self, weights: np.ndarray, activations: np.ndarray) -> Answers:
        return Answers.of(self.networks, weights, activations, self.images, self.held_out.candidates)

    def _score_one(self, weights: np.ndarray, activations: np.ndarray) -> DecodedScores:
        answers = Answers.of_one(self.networks, weights, activations, self.images, self.held_out.candidates)
        return self._score(np.broadcast_to(weights, self.held_out.weights.shape), answers)

    def _partners(self) -> np.ndarray:
        """A row of another member for each state, as baselines says."""
        draw, accuracy = np.random.default_rng(self.seed), self._right.mean(axis=1)
        partners = []
        for member, own in zip(self.held_out.member, accuracy, strict=True):
            others = np.flatnonzero(self.held_out.member != member)
            apart = np.abs(accuracy[others] - own)
            partners.append(draw.choice(others[apart <= max(EQUAL_ACCURACY, apart.min())]))
        return np.array(partners)

    def _score(self, decoded: np.ndarray, answers: Answers) -> DecodedScores:
        held_out, original, rows = self.held_out, self._original, self.held_out.candidates
        same, wrong = same_answers(original.predictions, answers.predictions), ~self._right
        where_wrong = np.where(wrong.any(axis=1), (same & wrong).sum(axis=1) / np.maximum(wrong.sum(axis=1), 1), np.nan)
        alike = agreement_matrix(answers.predictions[rows], original.predictions[rows], self.networks.classes)
        r2, by_tensor = r2_of_weights(held_out.weights, decoded, self.training.mean, self.layout)
        return DecodedScores(
            r2=r2,
            r2_by_tensor=by_tensor,
            agreement=self._mean(same.mean(axis=1)),
            agreement_where_wrong=self._mean(where_wrong),
            accuracy=self._mean((answers.predictions == self.labels).mean(axis=1)),
            original_accuracy=self._mean(self._right.mean(axis=1)),
            identified_by_agreement=self._mean(identified(np.where(alike > 0, 1 - alike, np.inf)), rows),
            identified_by_logits=self._mean(identified(_logit_distances(answers, original)), rows),
            weight_distance=_weight_distance(decoded[rows]),
            original_weight_distance=_weight_distance(held_out.weights[rows]),
            disagreement=self._disagreement(answers),
            original_disagreement=self._disagreement(original),
            candidates=len(rows),
            states=len(decoded),
            images=len(self.images),
        )

    def _mean(self, values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> Score:
        return mean_score(values, self.held_out.member[rows], self.seed)

    def _disagreement(self, answers: Answers) -> float | None:
        own = answers.predictions[self.held_out.candidates]
        return mean_of_pairs(1 - agreement_matrix(own, own, self.networks.classes))


def r2_of_weights(
    original: np.ndarray, decoded: np.ndarray, mean: np.ndarray, layout: Layout
) -> tuple[float | None, dict[str, float | None]]:
    """R2 of decoded weights ``[n, params]`` relative to a mean ``[params]``, over all and by tensor, in float64.

    As published (Schuerholt et al., 2022): the mean is that of the training states, and predicting it gives 0.
    """
    errors, totals = np.zeros(len(layout)), np.zeros(len(layout))
    for number, slot in enumerate(layout):
        truth = original[:, slot.span].astype(np.float64)
        errors[number] = ((decoded[:, slot.span] - truth) ** 2).sum()
        totals[number] = ((mean[slot.span] - truth) ** 2).sum()
    by_tensor = {slot.name: _explained(errors[k], totals[k]) for k, slot in enumerate(layout)}
    return _explained(errors.sum(), totals.sum()), by_tensor


def _explained(error: float, total: float) -> float | None:
    return float(1 - error / total) if total > 0 and np.isfinite(error) else None


def _logit_distances(one: Answers, other: Answers) -> np.ndarray:
    return squared_distances(*(answers.logits.reshape(len(answers.logits), -1) for answers in (one, other)))


def _weight_distance(weights: np.ndarray) -> float | None:
    distance = mean_of_pairs(np.sqrt(squared_distances(weights, weights)))
    return distance if distance is not None and np.isfinite(distance) else None
