"""Merging: the union of members with equal bits, from copied bytes, resumable, and refused where zoos differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest

from geozoo.errors import DamagedZooError, InputError, StoreLostError, ZooMismatchError
from geozoo.interchange.merge import prepare_merge
from geozoo.store import create_zoo, extend_zoo, open_location, open_zoo, verify
from geozoo.store.backends import MemoryBackend
from geozoo.store.digest import zoo_digest
from tests.support.commands import geozoo as run
from tests.support.urls import url
from tests.support.zoos import make_header, make_layout, make_plan, make_zoo, write_cohort

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Zoo

__all__ = ["url"]


def memory() -> str:
    return f"memory://{uuid4().hex}"


def pair(**options: Any) -> tuple[Zoo, Zoo]:
    return make_zoo(memory(), seed=1, **options)[0], make_zoo(memory(), seed=2, members=7, cohorts=2)[0]


def content(zoo_url: str) -> dict[str, bytes]:
    location = open_location(zoo_url)
    return {name: location.read(name) for name in location.list()}


def merge(*zoos: Zoo, to: str | None = None) -> Zoo:
    return prepare_merge([zoo.url for zoo in zoos]).write(to or memory())


def test_members_are_the_union_and_weights_and_metrics_equal_bit_for_bit(url: str) -> None:
    one, other = pair(max_shard_bytes=40_000)
    merged = merge(one, other, to=url)
    assert list(merged.members["member"]) == [
        member
        for zoo in (one, other)
        for cohort in sorted(set(zoo.members["cohort"]))
        for member in zoo.plan_of(cohort)["member"]
    ]
    for zoo in (one, other):
        members = list(zoo.members["member"])
        for epoch in zoo.checkpoints:
            theirs, ours = zoo.states(members, epoch), merged.states(members, epoch)
            assert np.array_equal(theirs.view(np.uint32), ours.view(np.uint32))
        assert zoo.read_metrics(members=members).equals(merged.read_metrics(members=members))
        columns = ["seed", "lr", "init", "dropout", "batch_size"]
        left, right = (table.members.set_index("member").loc[members, columns] for table in (zoo, merged))
        assert left.equals(right)
    assert verify(url, recompute_digest=True).clean


def test_the_digest_is_that_of_the_union() -> None:
    one, other = pair()
    digests = {
        key: value for zoo in (one, other) for commit in zoo.commits().values() for key, value in commit.digests.items()
    }
    assert merge(one, other).digest() == zoo_digest(digests)


def test_objects_are_copied_byte_by_byte_and_sources_are_not_touched() -> None:
    one, other = pair()
    before = [content(zoo.url) for zoo in (one, other)]
    merged = content(merge(one, other).url)
    assert [content(zoo.url) for zoo in (one, other)] == before
    copied = Counter(data for name, data in merged.items() if name.startswith("cohorts/"))
    assert copied == Counter(data for source in before for name, data in source.items() if name.startswith("cohorts/"))


def test_the_header_tells_the_sources_and_what_recipes_have_in_common() -> None:
    one, _ = make_zoo(memory(), seed=1)
    header = make_header(name="second")
    recipe = {**header.recipe, "training": {"epochs": 2, "lr": 9e-3}}
    other = create_zoo(memory(), header.model_copy(update={"recipe": recipe, "engine": "lanes"}), make_plan(seed=2))
    for cohort in other.members["cohort"].unique():
        write_cohort(other, cohort)
    other = open_zoo(other.url)
    merged = merge(one, other)
    stored = json.loads(content(merged.url)["zoo.json"])
    assert stored["version"] == 2
    assert stored["origin"]["kind"] == "merged"
    assert [source["digest"] for source in stored["origin"]["sources"]] == [one.digest(), other.digest()]
    assert [source["recipe"] for source in stored["origin"]["sources"]] == [one.header.recipe, recipe]
    assert stored["recipe"] == {"network": {"name": "cnn_s"}, "training": {"epochs": 2}}
    assert (stored["name"], stored["engine"]) == ("simulated+second", "reference+lanes")
    assert merged.members["zoo"].value_counts().to_dict() == {"simulated": 12, "second": 12}
    assert set(merged.members.loc[merged.members["zoo"] == "second", "member"]) == set(other.members["member"])
    assert {commit.how["merged_from"]["zoo"] for commit in merged.commits().values()} == {"simulated", "second"}


def test_zoos_that_are_populated_are_written_as_before() -> None:
    stored = json.loads(content(make_zoo(memory())[0].url)["zoo.json"])
    assert stored["version"] == 1
    assert "origin" not in stored


def test_a_merged_zoo_is_merged_by_its_own_sources() -> None:
    one, other = pair()
    third, _ = make_zoo(memory(), seed=3, members=4, cohorts=1)
    twice, once = merge(merge(one, other), third), merge(one, other, third)
    assert twice.header == once.header
    assert twice.digest() == once.digest()
    names = [f"simulated-{zoo.digest()[:8]}" for zoo in (one, other, third)]
    assert list(once.members["zoo"].unique()) == names


def test_an_extended_zoo_is_merged_whole() -> None:
    one, other = pair()
    extend_zoo(one.url, make_plan(6, 2, seed=1, number=1))
    with pytest.raises(InputError, match=r"6 of 18 members of .* are planned and not committed"):
        prepare_merge([one.url, other.url])
    longer = open_zoo(one.url)
    for cohort in ("1-000", "1-001"):
        write_cohort(longer, cohort)
    merged = merge(open_zoo(one.url), other)
    assert len(merged.members) == 25
    assert verify(merged.url, recompute_digest=True).clean


def test_an_interrupted_merge_is_finished_by_the_same_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair()
    target, merger, write, left = memory(), prepare_merge([one.url, other.url]), MemoryBackend.write, [7]

    def failing(self: MemoryBackend, name: str, data: bytes) -> None:
        if name.startswith("cohorts/"):
            left[0] -= 1
            if left[0] < 0:
                raise OSError("the disk is full")
        write(self, name, data)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryBackend, "write", failing)
        with pytest.raises(StoreLostError, match="the disk is full"):
            merger.write(target)
    begun = open_zoo(target)
    assert 0 < begun.members["committed"].sum() < len(begun.members)
    before = content(target)
    finished = merger.write(target)
    assert finished.digest() == merge(one, other).digest()
    assert verify(target, recompute_digest=True).clean
    committed = {name for name in before if name.startswith("commits/")}
    assert committed
    assert {name: before[name] for name in committed} == {name: content(target)[name] for name in committed}
    again = merger.write(target)
    assert content(again.url) == content(finished.url)


class TestRefused:
    @pytest.mark.parametrize(
        ("changed", "clause"),
        [
            ({"dtype": "float16"}, "stored type float32 against float16"),
            ({"precision": "float64"}, "precision float32 against float64"),
            ({"checkpoints": (0, 1)}, r"checkpoints \[0, 1, 2\] against \[0, 1\]"),
            ({"dataset": {**make_header().dataset, "fingerprint": "other"}}, "images .* against other"),
            ({"recipe": {"network": {"name": "other"}}}, "network .*cnn_s.* against .*other"),
            (
                {"layout": make_layout({"module_list.0.weight": (8, 1, 3, 3), "module_list.0.bias": (8,)})},
                r"tensor 0 is module_list.0.weight \[8, 1, 5, 5\] against module_list.0.weight \[8, 1, 3, 3\]",
            ),
            ({"layout": make_layout()[:-2]}, "10 tensors against 8"),
        ],
    )
    def test_the_first_difference_is_named(self, changed: dict[str, Any], clause: str) -> None:
        one, _ = make_zoo(memory(), seed=1)
        other = create_zoo(memory(), make_header().model_copy(update=changed), make_plan(seed=2))
        for cohort in other.members["cohort"].unique():
            write_cohort(other, cohort)
        with pytest.raises(InputError, match=f"{other.url} cannot be joined to {one.url}: {clause}"):
            prepare_merge([one.url, other.url])

    def test_a_member_of_both(self) -> None:
        one, other = make_zoo(memory(), seed=1)[0], make_zoo(memory(), seed=1, members=3)[0]
        member = other.members["member"][0]
        with pytest.raises(InputError, match=f"member {member} is in {one.url} and in {other.url}"):
            prepare_merge([one.url, other.url])

    def test_fewer_than_two(self) -> None:
        with pytest.raises(InputError, match="two or more zoos and got 1"):
            prepare_merge([make_zoo(memory())[0].url])

    def test_a_target_that_is_a_source_or_another_zoo(self) -> None:
        one, other = pair()
        before = content(one.url)
        with pytest.raises(InputError, match="overlaps with the source"):
            merge(one, other, to=one.url)
        assert content(one.url) == before
        third, _ = make_zoo(memory(), seed=3)
        with pytest.raises(ZooMismatchError, match="was made from something else"):
            merge(one, other, to=third.url)

    def test_more_members_or_training(self) -> None:
        merged = merge(*pair())
        with pytest.raises(ZooMismatchError, match=r"was merged from .* and not trained here"):
            extend_zoo(merged.url, make_plan(3, 1, number=1))


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_damaged_sources_are_not_copied(damage: str, tmp_path: Path) -> None:
    one, _ = make_zoo(tmp_path / "one", seed=1)
    other, _ = make_zoo(tmp_path / "other", seed=2)
    shard = sorted((tmp_path / "other").glob("cohorts/0-001-*/weights.zarr/c/0/0/0"))[0]
    if damage == "missing":
        shard.unlink()
    else:
        data = bytearray(shard.read_bytes())
        data[100] ^= 1
        shard.write_bytes(data)
    merger = prepare_merge([one.url, other.url])
    with pytest.raises(DamagedZooError, match=f"{shard.name}.*{tmp_path / 'other'}.*merge again"):
        merger.write(str(tmp_path / "merged"))
    begun = open_zoo(tmp_path / "merged")
    assert list(begun.members.loc[~begun.members["committed"], "cohort"].unique()) == ["0-004", "0-005"]


@pytest.mark.parametrize("place", ["one", "one/sub", "other/../one/sub", "link/sub", "."])
def test_a_target_in_a_source_or_around_it_is_refused_before_anything_is_written(tmp_path: Path, place: str) -> None:
    make_zoo(tmp_path / "one", seed=1)
    make_zoo(tmp_path / "other", seed=2, members=7, cohorts=2)
    (tmp_path / "link").symlink_to("one")
    before = content(str(tmp_path))
    done = run("merge", tmp_path / "one", tmp_path / "other", "--to", tmp_path / place)
    assert done.code == 2
    assert "overlaps with the source" in done.complaint
    assert "are copied" not in done.out
    assert content(str(tmp_path)) == before
