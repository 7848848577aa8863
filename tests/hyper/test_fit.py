from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.errors import DamagedZooError, InputError, TrainingError
from geozoo.hyper.fit import check, prepare, train_model
from geozoo.hyper.trained import WEIGHTS_NAME, open_model
from geozoo.store import open_location, open_zoo, split_of
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from geozoo.weights.draws import RowDraws
from tests.support.experiments import TREE, experiment, first_epoch
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.hyper.experiment import HyperExperiment

TIMING = ("seconds", "data_wait")
DROPOUT = {**TREE["model"], "dropout": 0.2}
FLOAT64 = {"epochs": 1, "batch_size": 19, "precision": "float64"}
SANE = {"name": "sane", "width": 8, "blocks": 1, "heads": 2, "latent": 4, "window": 16}
SGD = {"name": "sgd", "lr": 1e-3}
"""Where the loss does not depend on a parameter (a key's bias, a bias before BatchNorm) its gradient is rounding noise,
which Adam would scale up to whole steps."""
SETTINGS: dict[str, dict[str, Any]] = {
    "encoder-decoder": {"augmentation": {"erase": 0.5, "add_noise": 0.1, "scale_noise": 0.1}, "optimizer": SGD},
    "behaviour": {
        "loss": {"behaviour": {"weight": 0.5, "images": 8, "states": 12}},
        "augmentation": {"target": "clean"},
        "optimizer": SGD,
    },
    "sane": {"model": SANE, "states": {"standardise": True}, "loss": {"structure": "plain"}},
}


def close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(torch.as_tensor(ours[name]), torch.as_tensor(value), rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("name", SETTINGS)
def test_workers_together_are_one_worker(digits_zoo: str, tmp_path: Path, name: str) -> None:
    """50 states in batches of 19, 19 and 12: three steps, with uneven shares and an uneven last batch."""
    chosen = experiment(digits_zoo, training=FLOAT64, **SETTINGS[name])
    steps = len(prepare(chosen, World()).job.train)
    assert steps == 3
    alone = first_epoch(World(), chosen)
    assert all(gradient.abs().max() > 0 for gradient in alone["gradients"].values())
    for size in (2, 4):
        for worker in on_workers(size, tmp_path / str(size), first_epoch, chosen):
            for part in ("terms", "gradients", "module"):
                close(worker[part], alone[part])


def curve(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in record.items() if name not in TIMING} for record in history]


class KilledError(Exception):
    pass


def test_a_killed_run_goes_on_as_if_nothing_had_been(digits_zoo: str, tmp_path: Path) -> None:
    chosen = experiment(digits_zoo, schedule={"name": "onecycle"}, model=DROPOUT, augmentation={"erase": 0.5})
    whole, parted = (open_location(tmp_path / name) for name in ("whole", "parted"))
    undisturbed = train_model(prepare(chosen, World()), World(), whole)

    def kill(record: dict[str, float]) -> None:
        if record["epoch"] == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train_model(prepare(chosen, World()), World(), parted, Watch(on_epoch=kill))
    with pytest.raises(InputError, match="no trained model"):
        open_model(parted.url)
    continued: list[dict[str, float]] = []
    ended = train_model(prepare(chosen, World()), World(), parted, Watch(on_epoch=continued.append))
    assert [record["epoch"] for record in continued] == [3]
    assert curve(ended.history) == curve(undisturbed.history)
    assert parted.read(WEIGHTS_NAME) == whole.read(WEIGHTS_NAME)


def test_other_settings_do_not_continue_a_run(digits_zoo: str, tmp_path: Path) -> None:
    location = open_location(tmp_path)
    train_model(prepare(experiment(digits_zoo, training={"epochs": 1}), World()), World(), location)
    with pytest.raises(InputError, match="other settings or another zoo"):
        train_model(prepare(experiment(digits_zoo, training={"epochs": 2}), World()), World(), location)


def test_what_is_saved_on_the_way_may_change(digits_zoo: str) -> None:
    plain, other = (
        prepare(experiment(digits_zoo, training=training), World()).job.identity
        for training in ({}, {"checkpoint_steps": 2, "keep_best": 3})
    )
    assert other == plain


def test_the_best_epoch_is_kept_and_training_stops_when_nothing_improves(digits_zoo: str, tmp_path: Path) -> None:
    chosen = experiment(digits_zoo, training={"epochs": 40, "patience": 2}, optimizer={"lr": 0.3})
    location = open_location(tmp_path)
    state = train_model(prepare(chosen, World()), World(), location)
    losses = [record["validation_loss"] for record in state.history]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 2 < 40
    model = open_model(location.url)
    assert model.card.best_epoch == best
    prepared = prepare(chosen, World())
    prepared.system.codec.load_state_dict(model.codec.state_dict())
    batch = next(prepared.job.validation.epoch(0))  # type: ignore[union-attr]
    prepared.system.eval()
    with torch.no_grad():
        again = prepared.system(batch, RowDraws.of(torch.Generator().manual_seed(0), batch.total))
    assert float(again["structure"]) == pytest.approx(state.history[best - 1]["validation_structure"], rel=0.05)


def test_a_loss_that_is_not_finite_ends_the_run_with_a_sentence(digits_zoo: str) -> None:
    chosen = experiment(digits_zoo, optimizer={"name": "sgd", "lr": 1e30}, loss={"contrast": 0.0})
    with pytest.raises(TrainingError, match=r"the training loss of epoch 1 is (nan|inf): lower optimizer.lr"):
        train_model(prepare(chosen, World()), World(), open_location("memory://diverging"))


def test_a_behavioural_term_needs_whole_networks(digits_zoo: str) -> None:
    """The network has 48 tokens: windows of 16 leave two thirds of what is decoded at zero."""
    asked = {"model": SANE, "loss": {"behaviour": {"weight": 0.5, "images": 8}}}
    chosen = experiment(digits_zoo, **asked)
    for begin in (check, lambda chosen: prepare(chosen, World())):
        with pytest.raises(InputError, match=r"loss\.behaviour runs decoded networks, .* raise model\.window"):
            begin(chosen)
    whole = experiment(digits_zoo, **{**asked, "model": {**SANE, "window": 48}})
    check(whole)
    prepared = prepare(whole, World())
    assert not prepared.system.codec.model.trains_on_windows()


def test_members_of_the_split_are_trained_and_validated_on(digits_zoo: str) -> None:
    prepared = prepare(experiment(digits_zoo), World())
    members = open_zoo(digits_zoo).members["member"]
    for part, (states,) in (("train", prepared.train), ("validation", prepared.validation)):
        assert set(states.selection.members) == {member for member in members if split_of(member) == part}
    (validated,) = prepared.job.validation.sources  # type: ignore[union-attr]
    assert validated is prepared.validation[0]


def terms_of(chosen: HyperExperiment, *, training: bool) -> dict[str, float]:
    """The terms of the first validation batch, for the weights that training starts from."""
    prepared = prepare(chosen, World())
    batch = next(prepared.job.validation.epoch(0))  # type: ignore[union-attr]
    prepared.system.train(training)
    with torch.no_grad():
        terms = prepared.system(batch, RowDraws.of(torch.Generator().manual_seed(0), batch.total))
    return {name: float(term) for name, term in terms.items()}


def test_validation_views_are_permuted_and_nothing_else(digits_zoo: str) -> None:
    plain = {"permute": True, "target": "clean"}
    noisy = {**plain, "erase": 0.9, "add_noise": 1.0, "scale_noise": 1.0}
    for training in (False, True):
        quiet, disturbed = (
            terms_of(experiment(digits_zoo, augmentation=one), training=training) for one in (plain, noisy)
        )
        assert (quiet == disturbed) == (not training)


@pytest.mark.parametrize("target", ["view", "clean"])
def test_the_target_is_the_view_or_the_clean_state(digits_zoo: str, target: str) -> None:
    chosen = experiment(
        digits_zoo,
        augmentation={"permute": False, "add_noise": 0.5, "target": target},
        loss={"contrast": 0.0, "structure": "plain"},
    )
    prepared = prepare(chosen, World())
    batch = next(iter(prepared.job.train.epoch(0)))
    passed: list[tuple[torch.Tensor, torch.Tensor]] = []
    prepared.system.codec.model.register_forward_hook(
        lambda model, seen, made: passed.append((seen[0], made.predicted))
    )
    terms = prepared.system.train()(batch, RowDraws.of(torch.Generator().manual_seed(0), batch.total))
    ((view, predicted),) = passed
    assert (view - batch.weights).std() == pytest.approx(0.5, rel=0.05)
    wanted = view if target == "view" else batch.weights
    torch.testing.assert_close(terms["structure"], (predicted - wanted).square().mean())


def test_an_experiment_without_a_zoo_says_how_to_name_one(digits_zoo: str) -> None:
    with pytest.raises(InputError, match="add --set zoo=URL"):
        check(experiment(digits_zoo).model_copy(update={"zoo": ()}))


def test_a_trained_model_is_read_back_as_it_was(digits_zoo: str, tmp_path: Path) -> None:
    chosen, location = experiment(digits_zoo, training={"epochs": 1}), open_location(tmp_path)
    prepared = prepare(chosen, World())
    train_model(prepared, World(), location)
    zoo, model = open_zoo(digits_zoo), open_model(location.url)
    weights = zoo.weights[:, -1]
    codec = prepared.system.codec.eval()
    with torch.no_grad():
        latent = codec.encode(torch.from_numpy(weights))
        assert np.array_equal(model.embed(weights), latent.numpy())
        assert np.array_equal(model.reconstruct(weights), codec.decode(latent).numpy())
        center = codec.decode(latent.mean(0, keepdim=True))[0].numpy()
    np.testing.assert_allclose(model.decode_mean(weights), center, atol=1e-6)
    assert model.train_members == {m for m in zoo.members["member"] if split_of(m) == "train"}
    assert model.zoo_of(zoo.layout) == 0
    with pytest.raises(InputError, match="cannot read networks of"):
        model.zoo_of(zoo.layout[:2])


def test_damaged_weights_of_a_model_are_reported(digits_zoo: str, tmp_path: Path) -> None:
    location = open_location(tmp_path)
    train_model(prepare(experiment(digits_zoo, training={"epochs": 1}), World()), World(), location)
    location.write(WEIGHTS_NAME, location.read(WEIGHTS_NAME)[:-40])
    with pytest.raises(DamagedZooError, match="train it again"):
        open_model(location.url)
