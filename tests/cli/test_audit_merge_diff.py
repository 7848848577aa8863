"""``geozoo audit``, ``merge`` and ``diff``: exit codes, what they print, and how they refuse."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from geozoo.store import open_zoo, verify
from tests.support.commands import geozoo, populate_digits
from tests.support.forged import forge

if TYPE_CHECKING:
    from pathlib import Path

HALVES = {name: ("--set", f"population.grid.activation={name}") for name in ("tanh", "relu")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zoos of tanh and relu members, and one of both."""
    folder = tmp_path_factory.mktemp("zoos")
    for name, options in HALVES.items():
        assert populate_digits(folder / name, 4, *options).code == 0
    return folder


def forged(original: Path, url: Path) -> str:
    """A copy with one member altered, whose id is returned; all its checksums fit."""
    shutil.copytree(original, url)
    cohort = open_zoo(url).members["cohort"][0]

    def change(epoch: int, weights: Any, metrics: dict[str, Any]) -> None:
        weights[0, 0] += 1e-3

    forge(url, cohort, change)
    return str(open_zoo(url).plan_of(cohort)["member"][0])


def test_a_sound_zoo_passes(folder: Path) -> None:
    outcome = geozoo("audit", folder / "tanh", "--retrain", 2, "--seed", 5)
    assert outcome.code == 0
    assert "drawn with --seed 5" in outcome.err
    *members, summary, chance = outcome.out.splitlines()
    assert [line.split(": ")[1].partition(";")[0] for line in members] == ["identical", "identical"]
    assert summary.endswith("none of 2 members differ from their retraining")
    assert chance == "chance that 2 members drawn of 4 hold an altered one: 1 altered 50.0%"
    assert geozoo("audit", folder / "tanh", "--retrain", 2, "--seed", 5).out == outcome.out


def test_a_forged_member_passes_verify_and_fails_the_audit(folder: Path, tmp_path: Path) -> None:
    member = forged(folder / "tanh", tmp_path / "zoo")
    assert verify(tmp_path / "zoo", recompute_digest=True).clean
    outcome = geozoo("audit", tmp_path / "zoo", "--retrain", 4, "--json")
    assert outcome.code == 1
    report = json.loads(outcome.out)
    assert not report["clean"]
    assert {one["member"]: one["verdict"] for one in report["members"]} == {
        other: "differs" if other == member else "identical" for other in open_zoo(tmp_path / "zoo").members["member"]
    }
    assert report["chances"] == [{"altered": 1, "chance": 1.0}]
    named = geozoo("audit", tmp_path / "zoo", "--members", member)
    assert named.code == 1
    assert f"member {member}: differs from epoch 0 on: its weights are not those of the retraining" in named.out
    assert "chance" not in named.out
    other = next(other for other in open_zoo(tmp_path / "zoo").members["member"] if other != member)
    assert geozoo("audit", tmp_path / "zoo", "--members", other).code == 0
    told = geozoo("diff", folder / "tanh", tmp_path / "zoo")
    assert told.code == 1
    assert f"member {member}: its weights differ by up to 0.001, at epoch" in told.out
    assert told.out.splitlines()[-1] == "different"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "give either --retrain K"),
        (("--retrain", 1, "--members", "a"), "give either --retrain K"),
        (("--retrain", 5), "5 members cannot be drawn from 4 committed ones"),
        (("--members", "nobody"), "there is no member 'nobody'"),
        (("--members", ","), "no member of"),
        (("--members", "a", "--seed", 3), "goes with --retrain"),
        (("--retrain", 1, "--epochs", -1), "no checkpoint of"),
        (("--retrain", 1, "--data", "somewhere"), "needs no files but path is 'somewhere'"),
    ],
)
def test_audits_are_refused_in_one_sentence(folder: Path, options: tuple[object, ...], complaint: str) -> None:
    outcome = geozoo("audit", folder / "tanh", *options)
    assert outcome.code == 2
    assert complaint in outcome.complaint


def test_merged_halves_are_the_whole(folder: Path, tmp_path: Path) -> None:
    assert populate_digits(tmp_path / "whole", 8).code == 0
    whole = open_zoo(tmp_path / "whole")
    outcome = geozoo("merge", folder / "tanh", folder / "relu", "--to", tmp_path / "both", "--json")
    assert outcome.code == 0
    told = json.loads(outcome.out)
    both = open_zoo(tmp_path / "both")
    assert list(told["members"].values()) == [4, 4]
    common = set(whole.members["member"]) & set(both.members["member"])
    assert common
    diff = json.loads(geozoo("diff", tmp_path / "whole", tmp_path / "both", "--json").out)
    assert (diff["common"], diff["differing"], diff["fields"], diff["shared"]) == (len(common), [], [], [])
    assert geozoo("verify", tmp_path / "both", "--digest").code == 0
    assert geozoo("show", tmp_path / "both").code == 0
    assert geozoo("card", tmp_path / "both", "-o", tmp_path / "card.html").code == 0
    again = geozoo("merge", folder / "tanh", folder / "relu", "--to", tmp_path / "both")
    assert again.code == 0
    assert again.out.splitlines()[-1] == f"digest {told['digest']}"


def test_merges_are_refused_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    for words, complaint in (
        ([folder / "tanh"], "two or more zoos"),
        ([folder / "tanh", folder / "tanh"], "a zoo holds a member once"),
        ([folder / "tanh", tmp_path / "nowhere"], "there is no zoo at"),
    ):
        outcome = geozoo("merge", *words, "--to", tmp_path / "both")
        assert outcome.code == 2
        assert complaint in outcome.complaint
    assert not (tmp_path / "both").exists()


def test_a_merged_zoo_is_not_populated_further(folder: Path, tmp_path: Path) -> None:
    assert geozoo("merge", folder / "tanh", folder / "relu", "--to", tmp_path / "both").code == 0
    outcome = populate_digits(tmp_path / "both", 8)
    assert outcome.code == 2
    assert "was merged from digits_cnn-" in outcome.complaint


def test_equal_zoos_exit_0_and_a_missing_one_2(folder: Path, tmp_path: Path) -> None:
    same = geozoo("diff", folder / "tanh", folder / "tanh")
    assert (same.code, same.out.splitlines()[-1]) == (0, "equal")
    other = geozoo("diff", folder / "tanh", folder / "relu")
    assert other.code == 1
    assert "recipe: population.grid.activation is ['tanh'] in A and ['relu'] in B" in other.out
    assert "members: 0 common, 0 of them differ; 4 only in A, 4 only in B" in other.out
    assert geozoo("diff", folder / "tanh", tmp_path / "nowhere").code == 2


def test_published_zoos_are_audited_and_compared_and_not_merged(folder: Path, tmp_path: Path) -> None:
    options = ("--license", "CC-BY-4.0", "--author", "A. Author")
    assert geozoo("publish", folder / "tanh", "--to", tmp_path / "published", *options).code == 0
    assert geozoo("audit", tmp_path / "published", "--retrain", 2).code == 0
    assert geozoo("diff", folder / "tanh", tmp_path / "published").code == 0
    refused = geozoo("merge", tmp_path / "published", folder / "relu", "--to", tmp_path / "both")
    assert refused.code == 2
    assert "is a published zoo" in refused.complaint
