"""Scores of decoders on simulated networks: against plain loops, and where the answer is known."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score as sklearn_r2

from geozoo.errors import InputError
from geozoo.hyper.decoding.decoded import DecodedEvaluation, HeldOut, Training, r2_of_weights
from geozoo.hyper.decoding.decoded_scores import over_seeds
from geozoo.hyper.networks import ACTIVATION_NAMES, Networks
from geozoo.nets import build_network, derive_layout, load_flat

NETWORKS = Networks("tetris_mlp", 1, 4, 4)
MODULES = {
    code: build_network("tetris_mlp", channels=1, size=4, classes=4, activation=name).eval()
    for code, name in enumerate(ACTIVATION_NAMES)
}
LAYOUT = derive_layout(MODULES[0])
MEMBERS, EPOCHS, IMAGES = 110, 2, 300


def predict(weights: np.ndarray, code: int, images: torch.Tensor) -> np.ndarray:
    """One network by itself."""
    load_flat(MODULES[code], torch.from_numpy(np.array(weights)), LAYOUT)
    with torch.no_grad():
        return MODULES[code](images).argmax(1).numpy()


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    """Two epochs of simulated members, in mixed order."""
    draw = np.random.default_rng(0)
    order = draw.permutation(MEMBERS * EPOCHS)
    codes = draw.integers(0, len(ACTIVATION_NAMES), MEMBERS)
    member, epoch = np.repeat(np.arange(MEMBERS), EPOCHS)[order], np.tile([1, 9], MEMBERS)[order]
    weights = draw.normal(size=(MEMBERS * EPOCHS, 100)).astype(np.float32)
    return HeldOut(weights, codes[member], member, epoch)


@pytest.fixture(scope="module")
def training() -> Training:
    draw = np.random.default_rng(1)
    weights = draw.normal(size=(40, 100)).astype(np.float32)
    return Training.of(weights, draw.integers(0, 6, 40), np.arange(40) % 17)


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randn(IMAGES, 1, 4, 4, generator=generator)
    return pixels, torch.randint(0, 4, (IMAGES,), generator=generator)


@pytest.fixture(scope="module")
def evaluation(held_out: HeldOut, training: Training, images: tuple[torch.Tensor, torch.Tensor]) -> DecodedEvaluation:
    return DecodedEvaluation(NETWORKS, LAYOUT, held_out, training, *images, seed=5)


@pytest.fixture(scope="module")
def noisy(held_out: HeldOut) -> np.ndarray:
    """What a fair decoder might give."""
    noise = np.random.default_rng(3).normal(size=held_out.weights.shape)
    return (held_out.weights + 0.4 * noise).astype(np.float32)


def test_the_identity_is_perfect(evaluation: DecodedEvaluation, held_out: HeldOut) -> None:
    scores = evaluation.score(held_out.weights)
    assert scores.r2 == 1
    assert set(scores.r2_by_tensor.values()) == {1}
    for score in (scores.agreement, scores.agreement_where_wrong, scores.identified_by_agreement):
        assert (score.value, score.low, score.high) == (1, 1, 1)
    assert scores.identified_by_logits.value == 1
    assert scores.accuracy == scores.original_accuracy
    assert scores.weight_diversity == scores.answer_diversity == 1
    assert (scores.candidates, scores.states, scores.images) == (100, MEMBERS * EPOCHS, IMAGES)


def test_one_network_for_everybody_is_recognised_as_such(evaluation: DecodedEvaluation, training: Training) -> None:
    scores = evaluation.baselines()["best training member"]
    assert scores.identified_by_agreement.value == pytest.approx(0.01, abs=0.01)
    assert scores.identified_by_logits.value == pytest.approx(0.01)
    assert scores.weight_distance == scores.disagreement == 0
    assert scores.weight_diversity == scores.answer_diversity == 0


def test_the_training_mean_explains_nothing(evaluation: DecodedEvaluation) -> None:
    scores = evaluation.baselines()["training mean"]
    assert scores.r2 == 0
    assert set(scores.r2_by_tensor.values()) == {0}
    assert scores.weight_distance == 0


def test_agreements_and_accuracies_equal_a_plain_loop(
    evaluation: DecodedEvaluation, held_out: HeldOut, noisy: np.ndarray, images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    pixels, labels = images[0], images[1].numpy()
    agreement, where_wrong, accuracy, original_accuracy = [], [], [], []
    for row, code in enumerate(held_out.activations):
        original, decoded = (predict(weights[row], code, pixels) for weights in (held_out.weights, noisy))
        wrong = [k for k in range(IMAGES) if original[k] != labels[k]]
        agreement.append(np.mean([original[k] == decoded[k] for k in range(IMAGES)]))
        where_wrong.append(np.mean([original[k] == decoded[k] for k in wrong]))
        accuracy.append(np.mean(decoded == labels))
        original_accuracy.append(np.mean(original == labels))
    scores = evaluation.score(noisy)
    assert 0.3 < np.mean(agreement) < 0.99
    assert scores.agreement.value == pytest.approx(np.mean(agreement))
    assert scores.agreement_where_wrong.value == pytest.approx(np.mean(where_wrong))
    assert scores.accuracy.value == pytest.approx(np.mean(accuracy))
    assert scores.original_accuracy.value == pytest.approx(np.mean(original_accuracy))


def test_identification_and_diversity_equal_a_plain_loop(
    evaluation: DecodedEvaluation, held_out: HeldOut, noisy: np.ndarray, images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    rows, seen = [], []
    for member in held_out.member:
        if member not in seen and len(seen) < 100:
            seen.append(member)
            rows.append(int(np.flatnonzero((held_out.member == member) & (held_out.epoch == 9))[0]))
    answers = {
        name: np.array([predict(weights[row], held_out.activations[row], images[0]) for row in rows])
        for name, weights in (("original", held_out.weights), ("decoded", noisy))
    }
    credit = []
    for own, given in enumerate(answers["decoded"]):
        agreements = [int((given == original).sum()) for original in answers["original"]]
        ties = agreements.count(max(agreements))
        credit.append(1 / ties if agreements[own] == max(agreements) else 0)
    pairs = list(combinations(range(100), 2))
    scores = evaluation.score(noisy)
    assert 0.1 < np.mean(credit) < 1
    assert scores.identified_by_agreement.value == pytest.approx(np.mean(credit))
    assert scores.disagreement == pytest.approx(
        np.mean([(answers["decoded"][a] != answers["decoded"][b]).mean() for a, b in pairs])
    )
    assert scores.weight_distance == pytest.approx(
        np.mean([np.linalg.norm(noisy[rows[a]].astype(float) - noisy[rows[b]]) for a, b in pairs])
    )
    assert scores.original_weight_distance == pytest.approx(
        np.mean([np.linalg.norm(held_out.weights[rows[a]].astype(float) - held_out.weights[rows[b]]) for a, b in pairs])
    )


def test_logits_tell_decoded_networks_apart_better_than_agreement(
    evaluation: DecodedEvaluation, noisy: np.ndarray
) -> None:
    scores = evaluation.score(noisy)
    assert scores.identified_by_agreement.value is not None
    assert scores.identified_by_logits.value is not None
    assert scores.identified_by_logits.value > scores.identified_by_agreement.value > 0.1


def test_random_pairs_are_of_other_members_as_good(
    evaluation: DecodedEvaluation, held_out: HeldOut, images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    partners = evaluation._partners()
    labels = images[1].numpy()
    accuracy = np.array(
        [
            (predict(weights, code, images[0]) == labels).mean()
            for weights, code in zip(held_out.weights, held_out.activations, strict=True)
        ]
    )
    for row, partner in enumerate(partners):
        others = held_out.member != held_out.member[row]
        assert others[partner]
        nearest = np.abs(accuracy - accuracy[row])[others].min()
        assert abs(accuracy[partner] - accuracy[row]) <= max(0.01, nearest) + 1e-12
    scores = evaluation.baselines()["another member as good"]
    again = evaluation.score(held_out.weights[partners], held_out.activations[partners])
    assert scores == again
    assert scores.identified_by_agreement.value == pytest.approx(0, abs=0.03)


def test_the_best_training_member_runs_with_its_own_activation(
    evaluation: DecodedEvaluation, training: Training, images: tuple[torch.Tensor, torch.Tensor], held_out: HeldOut
) -> None:
    right = predict(training.best, training.best_activation, images[0]) == images[1].numpy()
    assert evaluation.baselines()["best training member"].accuracy.value == pytest.approx(right.mean())
    whole = np.tile(training.mean, (len(held_out.weights), 1))
    baselines = evaluation.baselines(mean_embedding=training.best)
    assert baselines["training mean"] == evaluation.score(whole)
    constant = np.tile(training.best, (len(held_out.weights), 1))
    assert baselines["decoded mean embedding"] == evaluation.score(constant)


def test_training_states_give_their_mean_and_the_best() -> None:
    weights = np.random.default_rng(4).normal(size=(5, 100)).astype(np.float32)
    training = Training.of(weights, np.array([0, 1, 2, 3, 4]), np.array([0.1, 0.5, 0.9, 0.3, 0.2]))
    np.testing.assert_allclose(training.mean, [np.mean(column) for column in weights.T], rtol=1e-6, atol=1e-7)
    assert training.best_activation == 2
    assert (training.best == weights[2]).all()


def test_r2_equals_the_library_about_the_mean_of_these_states(held_out: HeldOut, noisy: np.ndarray) -> None:
    """About the mean of the scored states themselves, one weight at a time, it is the usual coefficient."""
    mean = held_out.weights.mean(axis=0, dtype=np.float64)
    whole, by_tensor = r2_of_weights(held_out.weights, noisy, mean, LAYOUT)
    originals, decoded = held_out.weights.astype(float), noisy.astype(float)
    assert whole == pytest.approx(sklearn_r2(originals - mean, decoded - mean, multioutput="variance_weighted"))
    for slot in LAYOUT:
        expected = sklearn_r2(originals[:, slot.span], decoded[:, slot.span], multioutput="variance_weighted")
        assert by_tensor[slot.name] == pytest.approx(expected)


def test_intervals_cover_the_true_agreement() -> None:
    """Members whose true agreement is known: 95 % intervals of 200 simulated zoos cover it in 90 to 99 %."""
    from geozoo.hyper.probing.scores import mean_score

    draw = np.random.default_rng(6)
    covered = 0
    for seed in range(200):
        of_member = draw.beta(8, 2, size=40)
        states = np.clip(np.repeat(of_member, 4) + draw.normal(0, 0.02, 160), 0, 1)
        score = mean_score(states, np.repeat(np.arange(40), 4), seed)
        assert score.low is not None
        assert score.high is not None
        covered += score.low <= 0.8 <= score.high
    assert 180 <= covered <= 198


def test_networks_that_answer_nothing_are_never_right_nor_like_another(
    evaluation: DecodedEvaluation, held_out: HeldOut
) -> None:
    scores = evaluation.score(np.full_like(held_out.weights, np.nan))
    assert scores.r2 is None
    assert scores.agreement.value == scores.accuracy.value == scores.agreement_where_wrong.value == 0
    assert scores.identified_by_agreement.value == scores.identified_by_logits.value == 0
    assert scores.weight_distance is None
    json.dumps(scores.to_dict(), allow_nan=False)


def test_one_broken_network_does_not_spoil_the_others(evaluation: DecodedEvaluation, held_out: HeldOut) -> None:
    weights = held_out.weights.copy()
    weights[held_out.candidates[7], 3] = np.inf
    scores = evaluation.score(weights)
    assert scores.identified_by_agreement.value == scores.identified_by_logits.value == pytest.approx(0.99)
    assert scores.agreement.value == pytest.approx(1 - 1 / (MEMBERS * EPOCHS))
    assert scores.weight_distance is None


def test_seeds_are_combined_by_mean_and_range(evaluation: DecodedEvaluation, held_out: HeldOut) -> None:
    noise = np.random.default_rng(7).normal(size=held_out.weights.shape).astype(np.float32)
    runs = [evaluation.score(held_out.weights + scale * noise) for scale in (0.1, 0.3, 0.2)]
    spread = over_seeds(runs)["agreement"]
    values = [run.agreement.value for run in runs]
    assert None not in values
    assert spread is not None
    assert spread == pytest.approx((sum(values) / 3, min(values), max(values)))
    broken = evaluation.score(np.full_like(held_out.weights, np.nan))
    assert over_seeds([*runs, broken])["r2"] is None


def test_scores_are_json_values(evaluation: DecodedEvaluation, noisy: np.ndarray) -> None:
    scores = evaluation.score(noisy)
    read = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert read["agreement"]["value"] == scores.agreement.value
    assert read["r2_by_tensor"] == dict(scores.r2_by_tensor)


def test_what_cannot_be_scored_is_refused(
    evaluation: DecodedEvaluation, training: Training, images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with pytest.raises(InputError, match=r"decoded weights of shape \(3, 100\) are not those"):
        evaluation.score(np.zeros((3, 100), dtype=np.float32))
    nobody = HeldOut(np.zeros((0, 100), dtype=np.float32), *(np.zeros(0, dtype=np.int64) for _ in range(3)))
    with pytest.raises(InputError, match="there are no held-out states"):
        DecodedEvaluation(NETWORKS, LAYOUT, nobody, training, *images)
