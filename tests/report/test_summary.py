import json

import pandas as pd
import pytest

from geozoo.report.summary import summarise
from geozoo.report.words import describe_bytes, describe_checkpoints, describe_last, describe_seconds, describe_values
from geozoo.store import create_zoo, open_zoo
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort


def test_a_finished_zoo(tmp_path):
    zoo, truth = make_zoo(tmp_path / "zoo", members=12, cohorts=3, checkpoints=(0, 1, 2))
    summary = summarise(zoo)
    final = truth.metrics.loc[truth.metrics["epoch"] == 2, "test_accuracy"]
    assert summary.final_accuracy["median"] == pytest.approx(final.median())
    assert summary.final_accuracy["highest"] == pytest.approx(final.max())
    assert (summary.members, summary.committed_members, summary.states) == (12, 12, 36)
    assert summary.complete
    assert summary.digest == zoo.digest()
    on_disk = sum(path.stat().st_size for path in (tmp_path / "zoo" / "cohorts").rglob("*") if path.is_file())
    assert summary.stored_bytes == on_disk
    assert set(summary.hyperparameters) == {"init", "init_std", "lr", "weight_decay", "dropout"}
    assert summary.constants["activation"] == "tanh"


def test_a_zoo_without_commits(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(members=12, cohorts=3))
    summary = summarise(zoo)
    assert (summary.committed_members, summary.states, summary.stored_bytes, summary.diverged) == (0, 0, 0, 0)
    assert summary.final_accuracy is summary.digest is None
    assert summary.uncommitted_cohorts == ("0-000", "0-001", "0-002")
    json.dumps(summary.to_dict(), allow_nan=False)


def test_a_half_finished_zoo(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(members=12, cohorts=3))
    write_cohort(zoo, "0-001")
    summary = summarise(open_zoo(tmp_path / "zoo"))
    assert summary.committed_members == 4
    assert summary.uncommitted_cohorts == ("0-000", "0-002")
    assert summary.digest is None
    assert summary.final_accuracy is not None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1e-4, 1e-3, 1e-4], "0.0001, 0.001"),
        (["sgd", "adam"], "adam, sgd"),
        (list(range(1, 11)), "1 to 10 (10 values)"),
        ([float("nan")], "none"),
    ],
)
def test_values_in_words(values, text):
    assert describe_values(pd.Series(values)) == text


def test_numbers_in_words():
    assert describe_checkpoints((0, 1, 2, 3), best=False) == "4 (epochs 0 to 3)"
    assert describe_checkpoints((0, 20, 86), best=False) == "3 (epochs 0, 20, 86)"
    assert describe_checkpoints((50,), best=False) == "1 (epochs 50)"
    assert describe_checkpoints((50,), best=True) == "1 (each member's best of 50 epochs, by validation accuracy)"
    assert [describe_last((0, 50), best=best) for best in (False, True)] == ["epoch 50", "the best epoch"]
    assert [describe_seconds(seconds) for seconds in (4.04, 90, 5400)] == ["4.0 s", "1.5 min", "1.5 h"]
    assert [describe_bytes(count) for count in (12, 1_500, 2_500_000_000)] == ["12 B", "1.5 kB", "2.5 GB"]


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        (None, ""),
        ({"default": "published", "source": "a paper"}, "published (source: a paper)"),
        (
            {"default": "ours", "fields": {"training": "published", "training.epochs": "inferred"}},
            "ours; published: training; inferred: training.epochs",
        ),
        ({"made by": "another tool"}, ""),
    ],
)
def test_where_a_recipe_comes_from_is_said(tmp_path, noted, said):
    header = make_header()
    recipe = header.recipe | ({} if noted is None else {"provenance": noted})
    zoo = create_zoo(tmp_path / "zoo", header.model_copy(update={"recipe": recipe}), make_plan(members=12, cohorts=3))
    assert summarise(zoo).provenance == said
