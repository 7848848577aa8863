"""One row of a table: one way to learn from one labelled subset, at each of its rates."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict

from geozoo.ssl.downstream.experiment import FROZEN, NEED_MODEL, Method
from geozoo.ssl.downstream.fit import count_updates, fit_heads, score_heads
from geozoo.ssl.downstream.heads import Encoders, make_head
from geozoo.ssl.downstream.metrics import ClassCounts, Score
from geozoo.ssl.downstream.statistics import fit_statistics
from geozoo.ssl.downstream.subsets import balancing_copies, labelled_subset
from geozoo.ssl.knn import knn_predict
from geozoo.ssl.split import chip_labels
from geozoo.training.draws import derived_seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from geozoo.ssl.downstream.bench import Bench
    from geozoo.ssl.downstream.data import LabelledChips
    from geozoo.ssl.downstream.experiment import LabelsExperiment


class Row(BaseModel):
    """Which row: its ``id`` names it in the results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    fraction: float
    seed: int

    @property
    def id(self) -> str:
        """As ``scratch-0.01-3``."""
        return f"{self.method}-{self.fraction:g}-{self.seed}"


class Candidate(BaseModel):
    """One setting of a row: its ``rate`` (or strength, or number of neighbours) and what it scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float
    validation: Score
    test: Score


class RowResult(BaseModel):
    """What a row gave: every candidate, so that the choice can be seen.

    Attributes:
        row: which.
        labels: chips it learned from.
        updates: steps of the optimiser; 0 where there is none.
        candidates: in the order of the settings.
        seconds: it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: Row
    labels: int
    updates: int
    candidates: tuple[Candidate, ...]
    seconds: float

    @property
    def chosen(self) -> Candidate:
        """The candidate with the best validation score, the first of equals."""
        return max(self.candidates, key=lambda candidate: candidate.validation.main)


def run_row(bench: Bench, row: Row) -> RowResult:
    """Learn, choose nothing, score every candidate on validation and test."""
    started = time.perf_counter()
    experiment, train = bench.experiment, read_labelled(bench, row)
    updates = 0
    if row.method == "statistics":
        found = fit_statistics(train, bench.validation, bench.test, experiment.augmentation)
        candidates = [Candidate(rate=rate, validation=one, test=other) for rate, one, other in found]
    elif row.method == "knn":
        candidates = list(_knn(bench, row, train))
    else:
        updates = count_updates(experiment.fit, len(train.places))
        candidates = list(_trained(bench, row, train))
    seconds = time.perf_counter() - started
    return RowResult(row=row, labels=len(train), updates=updates, candidates=tuple(candidates), seconds=seconds)


def read_labelled(bench: Bench, row: Row) -> LabelledChips:
    """The chips that a row learns from."""
    train, task, majority = bench.parts.train, bench.experiment.task, chip_labels(bench.chips)
    labels = majority[train] if task == "single" else train * 0
    known = labels >= 0
    chosen = labelled_subset(train[known], labels[known], row.fraction, row.seed)
    data = bench.read(chosen)
    return replace(data, copies=balancing_copies(majority[chosen])) if bench.experiment.fit.balance else data


def learn(bench: Bench, row: Row, train: LabelledChips, rates: Sequence[float]) -> tuple[Encoders, list[nn.Module]]:
    """Train a head at each rate on one frozen encoder, or a whole network at one rate; the same row learns the same."""
    experiment, frozen = bench.experiment, row.method in FROZEN
    views = bench.new_views(row.seed, trained=row.method in NEED_MODEL)
    encoders = Encoders(views, frozen=frozen, pixels=experiment.task == "segmentation").to(bench.device)
    torch.manual_seed(derived_seed(row.seed, "heads"))
    first = make_head(views, experiment.task, bench.classes, bench.size, frozen=frozen)
    heads = [copy.deepcopy(first).to(bench.device) for _ in rates]
    fit_heads(encoders, heads, rates, train, experiment.fit, experiment.augmentation, row.seed, bench.device)
    return encoders, heads


def rate_groups(experiment: LabelsExperiment, method: Method) -> list[tuple[float, ...]]:
    """Rates that are learned at together: all on one frozen encoder, else one after the other."""
    if method in FROZEN:
        return [experiment.fit.probe_rates]
    return [(rate,) for rate in experiment.fit.learning_rates]


def _trained(bench: Bench, row: Row, train: LabelledChips) -> Iterator[Candidate]:
    for rates in rate_groups(bench.experiment, row.method):
        encoders, heads = learn(bench, row, train, rates)
        scores = [
            score_heads(encoders, heads, part, bench.experiment.augmentation, bench.device)
            for part in (bench.validation, bench.test)
        ]
        for rate, validation, test in zip(rates, *scores, strict=True):
            yield Candidate(rate=rate, validation=validation, test=test)


def _knn(bench: Bench, row: Row, train: LabelledChips) -> Iterator[Candidate]:
    """Nearest neighbours among the labelled chips, 1, 5 and 20 of them."""
    encoders = Encoders(bench.new_views(row.seed, trained=True), frozen=True).eval().to(bench.device)
    (bank, labels), *scored = (bench.embed(encoders, part) for part in (train, bench.validation, bench.test))
    for neighbours in (1, 5, 20):
        scores = []
        for vectors, truth in scored:
            predicted = knn_predict(bank, labels, vectors, neighbours)
            counts = ClassCounts(bench.classes)
            counts.add(torch.nn.functional.one_hot(predicted, bench.classes).float(), truth)
            scores.append(counts.score())
        yield Candidate(rate=neighbours, validation=scores[0], test=scores[1])
