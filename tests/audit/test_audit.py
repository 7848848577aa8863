"""Audits: every engine's members come out again, altered ones do not, and other conditions are allowed for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.audit import prepare_audit
from geozoo.datasets import load_image_set
from geozoo.errors import InputError, ZooMismatchError
from geozoo.interchange.merge import prepare_merge
from geozoo.populate import cohort_job, populate_here, prepare_zoo
from geozoo.population import load_engine
from geozoo.population.how import describe_run
from geozoo.store import Attempt, Merged, create_zoo, open_zoo, verify
from tests.support.forged import claim, forge
from tests.support.recipes import make_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.audit import MemberOutcome
    from geozoo.recipe import Recipe
    from geozoo.store import Zoo

SMALL: dict[str, Any] = {
    "dataset": {"name": "digits", "limits": {"train": 200, "validation": 100, "test": 60}},
    "training": {"epochs": 2},
    "evaluation": {"train": 80},
}
GRID = {"activation": "relu", "init": "kaiming_uniform", "lr": [1e-3, 3e-3], "dropout": [0.0, 0.2]}
COMPANY = 5
"""Members of the one cohort: an odd number makes stacked arithmetic round otherwise than it does for one member."""


def small_recipe(**more: Any) -> Recipe:
    population = {"grid": {"optimizer": "adam", **GRID}, "seeds": {"count": 2}, "members": COMPANY}
    return make_recipe(**{**SMALL, "population": population, **more})


def populated(url: str, recipe: Recipe, engine: str) -> Zoo:
    images = load_image_set(recipe.dataset)
    zoo = prepare_zoo(recipe, url, images, engine=engine)
    assert populate_here(zoo, images, lambda work: None, threads=1) == {}
    return open_zoo(url)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return populated(str(tmp_path_factory.mktemp("zoos") / "original"), small_recipe(), "lanes")


@pytest.fixture
def url(original: Zoo, tmp_path: Path) -> str:
    """A copy to alter."""
    return str(shutil.copytree(original.url, tmp_path / "zoo"))


def audited(url: str, members: list[str] | None = None, **options: Any) -> dict[str, MemberOutcome]:
    zoo = open_zoo(url)
    audit = prepare_audit(zoo, members or list(zoo.members["member"]), **options)
    return {outcome.member: outcome for outcome in audit.run()}


def row_of(url: str, member: str) -> tuple[str, int]:
    """Cohort and position."""
    row = open_zoo(url).members.set_index("member").loc[member]
    return str(row["cohort"]), int(row["position"])


@pytest.mark.parametrize("engine", ["reference", "torch", "lanes"])
def test_members_come_out_bit_for_bit_without_their_cohort(engine: str, tmp_path: Path) -> None:
    zoo = populated(str(tmp_path / "zoo"), small_recipe(), engine)
    some = list(zoo.members["member"])[:1]
    (outcome,) = audited(zoo.url, some).values()
    assert (outcome.compared, outcome.verdict, outcome.first_difference) == ("bits", "identical", None)
    assert (outcome.largest_difference, outcome.distance, outcome.agreement) == (0.0, 0.0, 1.0)


def test_progress_counts_every_image_presented(original: Zoo) -> None:
    audit = prepare_audit(original, list(original.members["member"])[:2])
    seen: list[int] = []
    assert len(list(audit.run(seen.append))) == 2
    assert sum(seen) == audit.samples == 2 * 2 * 200


def test_half_precision_zoos_are_compared_as_stored(tmp_path: Path) -> None:
    zoo = populated(str(tmp_path / "zoo"), small_recipe(store={"dtype": "float16"}), "lanes")
    assert {outcome.verdict for outcome in audited(zoo.url).values()} == {"identical"}
    claim(zoo.url, cpu="another")
    assert {outcome.verdict for outcome in audited(zoo.url).values()} == {"within tolerance"}


BEST = {"training": {"epochs": 3, "checkpoints": "best"}}


class TestBestEpochs:
    def test_zoos_that_keep_them_are_audited_by_them(self, tmp_path: Path) -> None:
        zoo = populated(str(tmp_path / "zoo"), small_recipe(**BEST), "lanes")
        assert {outcome.verdict for outcome in audited(zoo.url).values()} == {"identical"}
        claim(zoo.url, cpu="another")
        assert {outcome.verdict for outcome in audited(zoo.url).values()} == {"within tolerance"}

    def test_a_polished_epoch_of_the_history_is_caught(self, tmp_path: Path) -> None:
        zoo = populated(str(tmp_path / "zoo"), small_recipe(**BEST), "lanes")
        (cohort,) = zoo.members["cohort"].unique()
        images = load_image_set(small_recipe().dataset)
        forged = create_zoo(tmp_path / "forged", zoo.header, zoo.plans[0].table)
        attempt = Attempt.begin(forged.location, forged.header, forged.plan_of(cohort))
        for progress in load_engine("lanes").train(cohort_job(forged, cohort), images):
            if (block := progress.block) is not None:
                block.metrics["test_loss"][1] -= 0.1 * (block.epoch == 1)
                attempt.append(block.epoch, block.weights, block.metrics)
        attempt.commit(describe_run("lanes", wall_s=1.0))
        assert verify(forged.url, recompute_digest=True).clean
        members = list(forged.plan_of(cohort)["member"])
        outcomes = audited(forged.url)
        assert [member for member in members if outcomes[member].verdict == "differs"] == [members[1]]
        assert (outcomes[members[1]].first_difference, "test_loss" in outcomes[members[1]].reason) == (1, True)


class TestAltered:
    def test_weights_with_all_checksums_made_anew_pass_verify_and_are_caught(self, url: str) -> None:
        members = list(open_zoo(url).members["member"])
        cohort, position = row_of(url, members[2])

        def change(epoch: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
            if epoch == 2:
                weights[position, 7] = np.nextafter(weights[position, 7], np.float32(np.inf))

        forge(url, cohort, change)
        assert verify(url, recompute_digest=True).clean
        outcomes = audited(url)
        assert {member for member, one in outcomes.items() if one.verdict != "identical"} == {members[2]}
        caught = outcomes[members[2]]
        assert (caught.verdict, caught.first_difference) == ("differs", 2)
        assert 0 < caught.largest_difference < 1e-6
        assert caught.agreement == 1.0
        assert {one.verdict for one in audited(url, members[:1]).values()} == {"identical"}
        assert {one.verdict for one in audited(url, [members[2]]).values()} == {"differs"}

    def test_an_audit_of_the_first_epochs_sees_only_them(self, url: str) -> None:
        member = open_zoo(url).members["member"][1]
        cohort, position = row_of(url, member)

        def change(epoch: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
            if epoch == 2:
                weights[position] *= 1.5

        forge(url, cohort, change)
        assert audited(url, [member], epochs=1)[member].verdict == "identical"
        assert audited(url, [member], epochs=2)[member].verdict == "differs"

    @pytest.mark.parametrize("conditions", ["bits", "tolerance"])
    def test_a_polished_metric_is_caught(self, url: str, conditions: str) -> None:
        member = open_zoo(url).members["member"][0]
        cohort, position = row_of(url, member)

        def change(epoch: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
            metrics["test_accuracy"][position] += 0.1

        forge(url, cohort, change)
        if conditions == "tolerance":
            claim(url, cpu="another")
        outcome = audited(url, [member])[member]
        assert (outcome.compared, outcome.verdict, outcome.first_difference) == (conditions, "differs", 0)
        assert "test_accuracy" in outcome.reason

    def test_another_seed_under_a_members_name_is_caught(self, original: Zoo, tmp_path: Path) -> None:
        plan = original.plans[0].table
        honest = list(plan["member"][1:])
        forged = plan.assign(seed=[9, *plan["seed"][1:]])
        zoo = create_zoo(tmp_path / "zoo", original.header, forged)
        images = load_image_set(small_recipe().dataset)
        assert populate_here(zoo, images, lambda work: None, threads=1) == {}
        outcomes = audited(zoo.url)
        first = outcomes[plan["member"][0]]
        assert (first.verdict, first.first_difference) == ("differs", None)
        assert "recipe, hyper-parameters and seed" in first.reason
        assert {outcomes[member].verdict for member in honest} == {"identical"}


class TestOtherConditions:
    @pytest.mark.parametrize(
        "how", [{"cpu": "another"}, {"gpu": "one"}, {"versions": {"torch": "1.0"}}, {"engine": "reference"}]
    )
    def test_they_are_named(self, url: str, how: dict[str, Any]) -> None:
        claim(url, **how)
        zoo = open_zoo(url)
        (cohort,) = prepare_audit(zoo, list(zoo.members["member"])).cohorts
        assert any(next(iter(how)) in other or "torch 1.0" in other for other in cohort.others)

    def test_those_of_an_earlier_attempt_count(self, url: str) -> None:
        claim(url, before={**describe_run("lanes", wall_s=0), "cpu": "of the first attempt"})
        zoo = open_zoo(url)
        (cohort,) = prepare_audit(zoo, list(zoo.members["member"])).cohorts
        assert [other.partition(" there")[0] for other in cohort.others] == ["cpu of the first attempt"]

    def test_python_alone_decides_no_bits(self, url: str) -> None:
        versions = describe_run("lanes", wall_s=0)["versions"]
        claim(url, versions={**versions, "python": "3.0"})
        zoo = open_zoo(url)
        assert prepare_audit(zoo, list(zoo.members["member"])).cohorts[0].others == ()

    def test_training_by_another_engine_is_within_tolerance(self, original: Zoo, tmp_path: Path) -> None:
        zoo = create_zoo(tmp_path / "zoo", original.header, original.plans[0].table)
        images = load_image_set(small_recipe().dataset)
        (cohort,) = zoo.members["cohort"].unique()
        attempt = Attempt.begin(zoo.location, zoo.header, zoo.plan_of(cohort))
        for progress in load_engine("torch").train(cohort_job(zoo, cohort), images):
            if progress.block is not None:
                attempt.append(progress.block.epoch, progress.block.weights, progress.block.metrics)
        attempt.commit(describe_run("torch", wall_s=1.0))
        outcomes = audited(zoo.url).values()
        assert {outcome.verdict for outcome in outcomes} == {"within tolerance"}
        assert all(0 < outcome.distance < 0.2 and outcome.agreement > 0.9 for outcome in outcomes)

    @pytest.mark.parametrize(
        ("epoch", "factor", "verdict"),
        [(0, 1 + 1e-4, "differs"), (1, 1 + 1e-7, "within tolerance"), (2, 1.5, "differs"), (2, 0.0, "differs")],
    )
    def test_what_is_caught_is_what_rounding_does_not_do(
        self, url: str, epoch: int, factor: float, verdict: str
    ) -> None:
        member = open_zoo(url).members["member"][3]
        cohort, position = row_of(url, member)

        def change(number: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
            if number == epoch:
                weights[position] *= np.float32(factor)

        forge(url, cohort, change)
        claim(url, cpu="another")
        outcome = audited(url, [member])[member]
        assert (outcome.compared, outcome.verdict) == ("tolerance", verdict)
        assert outcome.first_difference == (epoch if verdict == "differs" else None)

    def test_another_members_states_and_metrics_are_caught(self, url: str) -> None:
        members = list(open_zoo(url).members["member"])
        (cohort, mine), (_, other) = row_of(url, members[0]), row_of(url, members[1])

        def change(epoch: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
            weights[mine] = weights[other]
            for values in metrics.values():
                values[mine] = values[other]

        forge(url, cohort, change)
        claim(url, cpu="another")
        outcomes = audited(url)
        assert outcomes[members[0]].verdict == "differs"
        assert {outcomes[member].verdict for member in members[1:]} == {"within tolerance"}

    def test_a_member_that_is_not_finite_is_no_error(self, url: str) -> None:
        member = open_zoo(url).members["member"][0]
        cohort, position = row_of(url, member)

        def change(epoch: int, weights: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
            if epoch == 2:
                weights[position], metrics["finite"][position] = np.nan, False

        forge(url, cohort, change)
        assert audited(url, [member])[member].reason.startswith("its weights are not")
        claim(url, cpu="another")
        outcome = audited(url, [member])[member]
        assert (outcome.verdict, outcome.first_difference) == ("differs", 2)


class TestRefused:
    def test_other_images(self, original: Zoo, tmp_path: Path) -> None:
        dataset = {**original.header.dataset, "fingerprint": "sha256:other"}
        zoo = create_zoo(
            tmp_path / "zoo", original.header.model_copy(update={"dataset": dataset}), original.plans[0].table
        )
        images = load_image_set(small_recipe().dataset)
        assert populate_here(zoo, images, lambda work: None, threads=1) == {}
        with pytest.raises(ZooMismatchError, match="was trained on sha256:other: name the files"):
            audited(zoo.url)

    def test_members_that_are_not_there(self, original: Zoo, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="there is no member 'nobody'"):
            audited(original.url, ["nobody"])
        zoo = create_zoo(tmp_path / "zoo", original.header, original.plans[0].table)
        with pytest.raises(InputError, match="is planned but not committed"):
            audited(zoo.url)

    def test_no_checkpoint(self, original: Zoo) -> None:
        with pytest.raises(InputError, match="within -1 epochs: its first is 0"):
            audited(original.url, epochs=-1)


class TestMerged:
    def test_members_are_audited_by_the_recipe_of_their_own_zoo(self, original: Zoo, tmp_path: Path) -> None:
        other = small_recipe(training={"epochs": 2, "checkpoints": [0, 1, 2]}, evaluation={"train": 60})
        second = populated(str(tmp_path / "second"), other, "reference")
        merged = prepare_merge([original.url, second.url]).write(str(tmp_path / "merged"))
        outcomes = audited(merged.url)
        assert len(outcomes) == 2 * COMPANY
        assert {outcome.verdict for outcome in outcomes.values()} == {"identical"}

    def test_imported_members_are_refused(self, original: Zoo, tmp_path: Path) -> None:
        second = populated(str(tmp_path / "second"), small_recipe(evaluation={"train": 60}), "lanes")
        merger = prepare_merge([original.url, second.url])
        assert isinstance(merger.header.origin, Merged)
        first, last = merger.header.origin.sources
        sources = (first, last.model_copy(update={"origin": {"kind": "elsewhere"}}))
        header = merger.header.model_copy(update={"origin": Merged(sources=sources)})
        merged = replace(merger, header=header).write(str(tmp_path / "merged"))
        mine, theirs = (list(part["member"])[:1] for _, part in merged.members.groupby("zoo", sort=False))
        assert audited(merged.url, mine)[mine[0]].verdict == "identical"
        with pytest.raises(ZooMismatchError, match="was imported and no recipe says how it was trained"):
            audited(merged.url, theirs)
