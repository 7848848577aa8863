"""The raw folder of a zoo of Ray Tune, with all that published ones have in them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.interchange.importing import Imported, import_zoo
from geozoo.interchange.sources.tune import TuneSource
from geozoo.nets import build_network
from tests.support.commands import geozoo
from tests.support.foreign import (
    CNN_S_WITH_DROPOUT,
    Foreign,
    flat,
    make_state,
    published_row,
    write_trial,
    write_tune,
)

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.interchange.keep import Keep


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    return write_tune(tmp_path / "theirs")


def take(path: Path, url: Path, keep: Keep = "epochs") -> Imported:
    return import_zoo(TuneSource(path), str(url), name="theirs", keep=keep)


def trials(foreign: Foreign) -> list[Path]:
    return sorted(foreign.path.glob("NN_*"))


def test_settings_become_columns_and_the_rest_is_kept(foreign: Foreign, tmp_path: Path) -> None:
    zoo = take(foreign.path, tmp_path / "zoo").zoo
    assert zoo.members["seed"].tolist() == [1, 2, 3]
    assert zoo.members["dropout"].tolist() == [0.0, 0.5, 0.0]
    assert zoo.members["activation"].tolist() == ["tanh"] * 3
    assert zoo.members["lr"].tolist() == [3e-4] * 3
    assert zoo.members["momentum"].isna().all()
    origin = zoo.header.imported
    assert origin is not None
    assert origin.config["model::o_dim"] == 4
    assert origin.config["training::checkpoint_dir"] is None
    assert zoo.header.network == {"name": "cnn_s", "channels": 1, "size": 28, "classes": 10}


def test_a_member_runs_as_the_network_that_was_saved(foreign: Foreign, tmp_path: Path) -> None:
    """Whatever the indices of its layers: the published class with dropout has others."""
    zoo = take(foreign.path, tmp_path / "zoo").zoo
    images = torch.randn(5, 1, 28, 28)
    for row in range(3):
        state = make_state(100 * row + 2)
        network = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").eval()
        network.load_state_dict(state)
        with torch.no_grad():
            torch.testing.assert_close(zoo.module(row, 2)(images), network(images), rtol=0, atol=0)


def test_what_was_not_evaluated_is_null(foreign: Foreign, tmp_path: Path) -> None:
    table = take(foreign.path, tmp_path / "zoo").zoo.metrics.set_index("epoch")
    assert table.loc[0, "running_train_accuracy"].isna().all()
    assert table.loc[0, "running_train_loss"].isna().all()
    expected = table.loc[1, "running_train_accuracy"] - table.loc[1, "test_accuracy"]
    np.testing.assert_allclose(table.loc[1, "running_generalization_gap"], expected)
    assert "hostname" not in table.columns
    assert "time_total_s" not in table.columns


def test_rows_are_matched_by_iteration_and_the_last_counts(tmp_path: Path) -> None:
    """Rows out of order, twice after a resume, cut short by a kill, and NaN."""
    states = {epoch: make_state(epoch) for epoch in (0, 1, 2)}
    rows = [published_row(epoch, {"seed": 1}, 0.1 * (epoch + 1)) for epoch in (2, 0, 1, 1)]
    rows[3]["test_acc"], rows[0]["test_loss"] = 0.77, math.nan
    write_trial(tmp_path / "zoo" / "trial", {"seed": 1}, states, rows)
    with (tmp_path / "zoo" / "trial" / "result.json").open("a") as file:
        file.write('{"training_iteration": 1, "test_acc": 0.5')
    table = take(tmp_path / "zoo", tmp_path / "ours").zoo.metrics.set_index("epoch")
    assert table["test_accuracy"].tolist() == pytest.approx([0.1, 0.77, 0.3])
    assert math.isnan(table["test_loss"][2])


def remove_states(foreign: Foreign) -> None:
    """One member lacks an epoch, one has an empty file for it, one has no state at all, one is an empty folder."""
    first, second, third, *_ = trials(foreign)
    (first / "checkpoint_000001" / "checkpoints").unlink()
    path = second / "checkpoint_2" / "checkpoints"
    path.write_bytes(path.read_bytes()[:-40])
    for checkpoint in third.glob("checkpoint_*"):
        (checkpoint / "checkpoints").unlink()
    (foreign.path / "NN_tune_trainable_c0371_00009_9_seed=10").mkdir()


def test_members_with_missing_states_are_left_out(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs", members=6)
    names = [path.name for path in trials(foreign)]
    remove_states(foreign)
    done = take(foreign.path, tmp_path / "zoo")
    assert list(done.zoo.members["source"]) == names[3:]
    assert done.zoo.checkpoints == (0, 1, 2)
    assert done.left_out["a state is missing"] == names[:2]
    assert done.left_out["no state"] == [names[2], "NN_tune_trainable_c0371_00009_9_seed=10"]
    origin = done.zoo.header.imported
    assert origin is not None
    assert origin.left_out == {"a state is missing": 2, "no state": 2}


def test_or_epochs_that_a_member_lacks(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs", members=6)
    names = [path.name for path in trials(foreign)]
    remove_states(foreign)
    done = take(foreign.path, tmp_path / "zoo", "members")
    assert list(done.zoo.members["source"]) == [*names[:2], *names[3:]]
    assert done.zoo.checkpoints == (0,)


def test_the_command_says_what_is_left_out(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs", members=6)
    remove_states(foreign)
    outcome = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo")
    assert "left out, a state is missing: 2 (NN_tune" in outcome.out
    assert "left out, no state: 2 (NN_tune" in outcome.out
    told = json.loads(geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--json").out)
    assert len(told["left_out"]["no state"]) == 2
    assert told["members"] == 3
    wrong = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--keep", "some")
    assert wrong.code == 2
    assert "'some' is neither epochs nor members" in wrong.complaint


def test_another_network_among_the_trials_is_left_out(foreign: Foreign, tmp_path: Path) -> None:
    state = make_state(5, CNN_S_WITH_DROPOUT)
    state["module_list.14.bias"] = torch.zeros(9)
    rows = [published_row(epoch, {"seed": 5}, 0.1) for epoch in (0, 1, 2)]
    write_trial(foreign.path / "NN_other", {"seed": 5}, dict.fromkeys((0, 1, 2), state), rows)
    done = take(foreign.path, tmp_path / "zoo")
    assert done.left_out == {"another network": ["NN_other"]}
    assert len(done.zoo.members) == 3


def test_trials_in_folders_of_folders(tmp_path: Path) -> None:
    for part in ("pretraining/a", "finetuning/a/b"):
        rows = [published_row(1, {"seed": 1}, 0.5)]
        write_trial(tmp_path / "zoo" / part, {"seed": 1}, {1: make_state(1)}, rows)
    zoo = take(tmp_path / "zoo", tmp_path / "ours").zoo
    assert list(zoo.members["source"]) == ["finetuning/a/b", "pretraining/a"]


def test_links_to_trials_are_followed_once(foreign: Foreign, tmp_path: Path) -> None:
    (tmp_path / "chosen").mkdir()
    for trial in trials(foreign)[:2]:
        (tmp_path / "chosen" / trial.name).symlink_to(trial)
    (tmp_path / "chosen" / "around").symlink_to(tmp_path / "chosen")
    assert len(take(tmp_path / "chosen", tmp_path / "ours").zoo.members) == 2


def test_a_newer_ray_counts_checkpoints_from_zero(tmp_path: Path) -> None:
    """Iterations from one: no checkpoint has the number of the last row."""
    for member in range(2):
        rows = [published_row(epoch, {"seed": member}, 0.1 * epoch) for epoch in (1, 2, 3)]
        states = {number: make_state(10 * member + number) for number in (0, 1, 2)}
        write_trial(tmp_path / "zoo" / f"trial_{member}", {"seed": member}, states, rows)
    zoo = take(tmp_path / "zoo", tmp_path / "ours").zoo
    assert zoo.checkpoints == (1, 2, 3)
    np.testing.assert_array_equal(zoo.states(1, 3)[0], flat(make_state(12)))
    assert zoo.read_metrics(["test_accuracy"], 3, 1)["test_accuracy"].tolist() == pytest.approx([0.3])


def test_an_older_ray_saves_before_the_first_row(tmp_path: Path) -> None:
    """Checkpoints 0 to 3 and rows 1 to 3: the numbers are iterations."""
    rows = [published_row(epoch, {"seed": 1}, 0.1 * epoch) for epoch in (1, 2, 3)]
    states = {number: make_state(number) for number in (0, 1, 2, 3)}
    write_trial(tmp_path / "zoo" / "trial", {"seed": 1}, states, rows)
    zoo = take(tmp_path / "zoo", tmp_path / "ours").zoo
    assert zoo.checkpoints == (0, 1, 2, 3)
    np.testing.assert_array_equal(zoo.states(0, 3)[0], flat(make_state(3)))
    accuracies = zoo.metrics["test_accuracy"].to_numpy()
    assert np.isnan(accuracies[0])
    np.testing.assert_allclose(accuracies[1:], [0.1, 0.2, 0.3])


def test_iterations_that_cannot_be_told(tmp_path: Path) -> None:
    rows = [published_row(epoch, {"seed": 1}, 0.1) for epoch in range(1, 11)]
    write_trial(tmp_path / "zoo" / "trial", {"seed": 1}, {number: make_state(number) for number in (0, 1)}, rows)
    refused = geozoo("import", "tune", tmp_path / "zoo", "--to", tmp_path / "ours")
    assert refused.code == 2
    assert "numbered up to 1 and the rows of results up to 10" in refused.complaint


def test_a_state_that_is_not_finite_is_flagged(tmp_path: Path) -> None:
    state = make_state(1)
    state["module_list.0.bias"][0] = math.nan
    rows = [published_row(1, {"seed": 1}, 0.1)]
    write_trial(tmp_path / "zoo" / "trial", {"seed": 1}, {1: state}, rows)
    zoo = take(tmp_path / "zoo", tmp_path / "ours").zoo
    assert zoo.metrics["finite"].tolist() == [False]


def test_float64_that_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    state = {name: tensor.double() for name, tensor in make_state(1).items()}
    rows = [published_row(1, {"seed": 1}, 0.1)]
    write_trial(tmp_path / "exact" / "trial", {"seed": 1}, {1: state}, rows)  # type: ignore[dict-item]
    np.testing.assert_array_equal(take(tmp_path / "exact", tmp_path / "one").zoo.states(0, 1)[0], flat(make_state(1)))
    state["module_list.0.bias"][0] = 0.1
    write_trial(tmp_path / "finer" / "trial", {"seed": 1}, {1: state}, rows)  # type: ignore[dict-item]
    refused = geozoo("import", "tune", tmp_path / "finer", "--to", tmp_path / "two")
    assert refused.code == 2
    assert "float32 cannot" in refused.complaint


@pytest.mark.parametrize("honest", [True, False])
def test_members_are_evaluated_again_on_the_images_beside_them(honest: bool, tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs")
    draw = torch.Generator().manual_seed(0)
    images, labels = torch.randn(40, 1, 28, 28, generator=draw), torch.randint(10, (40,), generator=draw)
    split = torch.utils.data.TensorDataset(images, labels)
    torch.save({"trainset": split, "valset": split, "testset": split, "dataset_seed": 42}, foreign.path / "dataset.pt")
    for number, trial in enumerate(trials(foreign)):
        network = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").eval()
        network.load_state_dict(make_state(100 * number + 2))
        with torch.no_grad():
            right = float((network(images).argmax(1) == labels).float().mean())
        rows: list[dict[str, Any]] = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
        rows[-1]["test_acc"] = right if honest else right + 0.2
        (trial / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--check", 2, "--json")
    assert outcome.code == (0 if honest else 1)
    checked = json.loads(outcome.out)["check"]
    assert len(checked) == 2
    assert all(one["agrees"] is honest for one in checked)


def test_a_check_needs_images(foreign: Foreign, tmp_path: Path) -> None:
    refused = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--check", 1)
    assert refused.code == 2
    assert "name their image set with --images" in refused.complaint
    refused = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--images-path", "x")
    assert "add --images NAME" in refused.complaint
    refused = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--images", "nosuch")
    assert refused.code == 2
    assert "nosuch" in refused.complaint


def test_trials_that_lack_results_or_settings_are_named(tmp_path: Path) -> None:
    """A last row that was cut, no results, results that are no rows, no settings, settings that are no object."""
    foreign = write_tune(tmp_path / "theirs", members=6)
    cut, none, list_of_rows, no_settings, listed, _ = trials(foreign)
    text = (cut / "result.json").read_text()
    (cut / "result.json").write_text(text[:-40])
    (none / "result.json").unlink()
    (list_of_rows / "result.json").write_text("[1]\n[2]\n")
    for trial in (no_settings, listed):
        rows = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
        bare = [{name: value for name, value in row.items() if name != "config"} for row in rows]
        (trial / "result.json").write_text("".join(json.dumps(row) + "\n" for row in bare))
    (no_settings / "params.json").unlink()
    (listed / "params.json").write_text("[1]")
    done = take(foreign.path, tmp_path / "zoo")
    assert len(done.zoo.members) == 6
    assert done.left_out == {
        "settings, which params.json lacks": [no_settings.name, listed.name],
        "metrics of a state, which result.json lacks": [cut.name, none.name, list_of_rows.name],
    }
    origin = done.zoo.header.imported
    assert origin is not None
    assert sorted(origin.left_out.values()) == [2, 3]
    told = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--name", "theirs").out
    assert f"left out, metrics of a state, which result.json lacks: 3 ({cut.name}, " in told


def test_a_single_trial_whose_last_row_was_cut(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs", members=1)
    path = trials(foreign)[0] / "result.json"
    path.write_text(path.read_text()[:-40])
    assert list(take(foreign.path, tmp_path / "zoo").left_out) == ["metrics of a state, which result.json lacks"]
