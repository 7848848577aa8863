"""A published zoo is the zoo it was made of, refuses to change, and shows every change made to it."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import zarr

import geozoo.store.shards
from geozoo.datasets import load_image_set
from geozoo.errors import DamagedZooError, InputError, NotCommittedError, StoreUnusableError
from geozoo.interchange.publishing.arrays import design_grid, encode_weights, shard_count
from geozoo.interchange.publishing.tables import write_metrics
from geozoo.populate import populate_here, prepare_zoo
from geozoo.store import collect_garbage, create_zoo, open_location, open_zoo, verify
from geozoo.store.manifest import ARRAY_FOLDER, MANIFEST_NAME, TREE_NAME, read_manifest
from geozoo.store.published_verify import verify_member
from geozoo.store.shards import Grid
from geozoo.store.split import split_of
from tests.support.commands import geozoo as run
from tests.support.published import OPTIONS, make_edition, publish_simulated
from tests.support.recipes import make_recipe
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort

if TYPE_CHECKING:
    from geozoo.store import Zoo


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return make_zoo(tmp_path_factory.mktemp("source"), members=23, cohorts=4, checkpoints=(0, 1, 2, 5, 7))[0]


@pytest.fixture(scope="module")
def published(source: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut into many small shards, so that every edge is there."""
    to = tmp_path_factory.mktemp("published") / "simulated" / "1.0.0"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geozoo.store.shards, "MAX_SHARD_BYTES", 300_000)
        publish_simulated(source, to)
    return to


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    import shutil

    return Path(shutil.copytree(published, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class TestTheSameZoo:
    def test_members_states_metrics_and_digest_are_those_of_the_source(self, source: Zoo, published: Path) -> None:
        zoo = open_zoo(published)
        assert zoo.digest() == source.digest()
        pd.testing.assert_frame_equal(zoo.members, source.members)
        pd.testing.assert_frame_equal(zoo.metrics, source.metrics)
        np.testing.assert_array_equal(zoo.weights[:], source.weights[:])
        assert zoo.weights.dtype == source.weights.dtype
        assert zoo.checkpoints == source.checkpoints
        assert zoo.layout == source.layout
        assert zoo.how() == source.how()
        assert len([name for name in contents(published) if name.startswith(f"{ARRAY_FOLDER}/c/")]) > 3

    def test_any_choice_of_states_and_metrics_is_the_same(self, source: Zoo, published: Path) -> None:
        zoo, draw = open_zoo(published), np.random.default_rng(0)
        for count in (1, 4, 90):
            members, epochs = draw.integers(23, size=count), draw.choice(source.checkpoints, count)
            np.testing.assert_array_equal(zoo.states(members, epochs), source.states(members, epochs))
        ids = list(draw.permutation(source.members["member"])[:5])
        wanted: dict[str, Any] = {"columns": ["test_loss", "running_train_loss"], "epochs": [0, 7], "members": ids}
        pd.testing.assert_frame_equal(zoo.read_metrics(**wanted), source.read_metrics(**wanted))
        with pytest.raises(InputError, match="there is no metric 'nothing' in this zoo"):
            zoo.read_metrics(["nothing"])
        for split in ("train", "validation", "test"):
            ours, theirs = zoo.torch_dataset(split), source.torch_dataset(split)
            assert len(ours) == len(theirs) > 0
            assert all(torch.equal(ours[at][0], theirs[at][0]) for at in range(len(ours)))
        state = source.state_dict(3, epoch=5)
        assert all(torch.equal(tensor, state[name]) for name, tensor in zoo.state_dict(3, epoch=5).items())
        assert zoo.module(ids[0], epoch=1).training is False

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    @pytest.mark.parametrize(("members", "checkpoints"), [(1, (0,)), (1, (0, 3)), (9, (4,)), (7, tuple(range(13)))])
    def test_any_shape_and_type(self, tmp_path: Path, dtype: Any, members: int, checkpoints: tuple[int, ...]) -> None:
        zoo, truth = make_zoo(tmp_path / "zoo", members=members, cohorts=1, checkpoints=checkpoints, dtype=dtype)
        publish_simulated(zoo, tmp_path / "published")
        there = open_zoo(tmp_path / "published")
        np.testing.assert_array_equal(there.weights[:], truth.weights)
        assert there.digest() == zoo.digest()
        assert verify(there.url, recompute_digest=True).clean

    def test_a_member_that_diverged_is_published_as_it_is(self, tmp_path: Path) -> None:
        """NaN weights and NaN metrics are values; a metric of training at epoch 0 is null."""
        from geozoo.store import Attempt
        from tests.support.zoos import make_metrics, make_weights

        zoo = create_zoo(tmp_path / "zoo", make_header((0, 1)), make_plan(3, 1))
        ids = list(zoo.plan_of("0-000")["member"])
        weights = make_weights(ids, zoo.checkpoints, zoo.header.num_parameters)
        weights[1, 1, 5:9] = np.nan
        attempt = Attempt.begin(zoo.location, zoo.header, zoo.plan_of("0-000"))
        for number, epoch in enumerate(zoo.checkpoints):
            metrics = make_metrics(ids, epoch)
            if epoch:
                metrics["test_loss"][1], metrics["running_train_loss"][1] = np.nan, np.inf
            attempt.append(epoch, weights[:, number], metrics)
        attempt.commit({})
        zoo = open_zoo(zoo.url)
        publish_simulated(zoo, tmp_path / "published")
        there = open_zoo(tmp_path / "published")
        np.testing.assert_array_equal(there.weights[:], weights)
        assert there.digest() == zoo.digest()
        assert verify(there.url, recompute_digest=True).clean
        table = pq.read_table(tmp_path / "published" / "metrics.parquet")
        assert table["running_train_loss"].null_count == 3
        assert table["test_loss"].null_count == 0

    def test_a_published_zoo_can_be_published_as_another_version(
        self, source: Zoo, published: Path, tmp_path: Path
    ) -> None:
        done = publish_simulated(open_zoo(published), tmp_path / "next", version="1.1.0")
        assert done.digest == source.digest()
        assert open_zoo(tmp_path / "next").how() == source.how()

    def test_the_split_by_member_is_a_column(self, source: Zoo, published: Path) -> None:
        table = pq.read_table(published / "members.parquet").to_pandas()
        assert list(table["member"]) == list(source.members["member"])
        assert list(table["split"]) == [split_of(member) for member in table["member"]]

    def test_memory_does_not_grow_with_the_zoo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three times as many weights, 12 MB more, in shards of 1 MiB."""
        monkeypatch.setattr(geozoo.store.shards, "MAX_SHARD_BYTES", 2**20)
        monkeypatch.setattr("geozoo.store.reader._SPAN_BYTES", 2**18)  # the buffer of each of up to eight threads
        peaks = []
        for members in (60, 60, 180):  # what libraries keep on their first use is not counted
            url = f"memory://{tmp_path.name}-{len(peaks)}"
            make_zoo(url, members=members, cohorts=members // 10, checkpoints=range(10), max_shard_bytes=2**20)
            zoo = open_zoo(url)
            tracemalloc.start()
            sizes = [len(data) for _, data in encode_weights(zoo, design_grid(zoo))]
            write_metrics(zoo, tmp_path / "metrics.parquet")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert sum(sizes) > zoo.weights.nbytes
        assert peaks[2] - peaks[1] < 3e6, peaks


@pytest.mark.parametrize("members", [1, 5, 64, 1000, 50_000])
@pytest.mark.parametrize("checkpoints", [1, 2, 51, 76])
@pytest.mark.parametrize("params", [1, 100, 2464, 11_000_000, 40_000_000])
def test_shards_are_few_and_chunks_serve_members_and_epochs_alike(members: int, checkpoints: int, params: int) -> None:
    grid = Grid.design_published((members, checkpoints, params), "float32")
    state = 4 * params
    assert all(shard % chunk == 0 for shard, chunk in zip(grid.shard, grid.chunk, strict=True))
    assert grid.chunk[0] * grid.chunk[1] * state <= max(state, 2**18)
    shard = grid.shard[0] * grid.shard[1] * state
    assert shard <= max(state, 64 * 2**20)
    total = members * checkpoints * state
    assert shard_count(grid) <= 2 + 4 * total / min(max(state, 32 * 2**20), total)
    if members >= 64 and checkpoints >= 51 and params == 2464:
        one_member = -(-checkpoints // grid.chunk[1]) * grid.chunk_bytes
        one_epoch = -(-members // grid.chunk[0]) * grid.chunk_bytes
        assert one_member <= 8 * checkpoints * state
        assert one_epoch <= 8 * members * state


class TestOneMemberAlone:
    def test_every_member_leads_to_the_root(self, source: Zoo, published: Path) -> None:
        manifest = read_manifest(open_location(published))
        assert manifest is not None
        for member in source.members["member"]:
            proof = verify_member(published, member)
            assert proof.root == manifest.root
            assert proof.digest == source.digests()[member]

    def test_it_verifies_by_hand_without_geozoo(self, published: Path) -> None:
        """From the description in the README, with zarr, pyarrow and hashlib."""
        zoo = json.loads((published / "zoo.json").read_text())
        group = zarr.open_group(published / "weights.zarr", mode="r")
        ids = list(pq.read_table(published / "members.parquet")["member"].to_pylist())
        member = ids[11]
        row = pq.read_table(published / "members.parquet", filters=[("member", "=", member)]).to_pylist()[0]
        metrics = pq.read_table(published / "metrics.parquet", filters=[("member", "=", member)]).to_pandas()
        weights = np.asarray(group["weights"][11])  # type: ignore[index]
        epochs = np.asarray(group["epoch"][:])  # type: ignore[index]
        names = sorted(set(metrics.columns) - {"member", "epoch"})
        not_hyperparameters = ("member", "cohort", "position", "plan", "split", "digest")
        about = {
            "dataset": zoo["dataset"]["fingerprint"],
            "dtype": "float32",
            "layout": zoo["layout"],
            "metrics": names,
            "member": member,
            "hyperparameters": {name: value for name, value in row.items() if name not in not_hyperparameters},
        }
        digest = hashlib.sha256(json.dumps(about, sort_keys=True, separators=(",", ":")).encode())
        for number, epoch in enumerate(epochs):
            values = metrics[metrics["epoch"] == epoch][names].to_numpy(dtype="<f8")
            digest.update(struct.pack("<q", epoch) + weights[number].astype("<f4").tobytes() + values.tobytes())
        assert digest.hexdigest() == row["digest"]
        node = hashlib.sha256(b"\x00" + member.encode() + b"\x00" + digest.digest()).digest()
        tree, start, length, at = (published / TREE_NAME).read_bytes(), 0, len(ids), sorted(ids).index(member)
        while length > 1:
            if at ^ 1 < length:
                beside = tree[32 * (start + (at ^ 1)) :][:32]
                node = hashlib.sha256(b"\x01" + (beside + node if at % 2 else node + beside)).digest()
            start, length, at = start + length, -(-length // 2), at // 2
        assert node.hex() == json.loads((published / MANIFEST_NAME).read_text())["root"]

    def test_it_reads_no_shard_but_those_that_hold_the_member(
        self, source: Zoo, published: Path, tmp_path: Path
    ) -> None:
        """Every shard but the member's is gone, and so is what the other documents say."""
        zoo, folder = open_zoo(published), tmp_path / "part"
        reads = {read.name for read in zoo.shard_reads(2, list(zoo.checkpoints))}
        needed = {*reads, "members.parquet", "metrics.parquet", "zoo.json", MANIFEST_NAME, TREE_NAME}
        for name in needed:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((published / name).read_bytes())
        assert len(reads) < len([name for name in contents(published) if name.startswith(f"{ARRAY_FOLDER}/c/")])
        assert verify_member(folder, source.members["member"][2]).member == source.members["member"][2]

    def test_a_changed_member_or_proof_does_not_lead_to_the_root(self, copy: Path) -> None:
        """The shard is rewritten with correct checksums, so that only the hash tree can tell."""
        array = zarr.open_array(copy / ARRAY_FOLDER, mode="r+")
        ids = list(open_zoo(copy).members["member"])
        array[5, 1, 7] = np.float32(0.125)
        with pytest.raises(DamagedZooError, match=f"member {ids[5]} .*does not lead to the root"):
            verify_member(copy, ids[5])
        assert verify_member(copy, ids[6]).member == ids[6]
        tree = bytearray((copy / TREE_NAME).read_bytes())
        tree[32 * (sorted(ids).index(ids[6]) ^ 1)] ^= 1
        (copy / TREE_NAME).write_bytes(bytes(tree))
        with pytest.raises(DamagedZooError, match="does not lead to the root"):
            verify_member(copy, ids[6])

    def test_misuse_is_told(self, source: Zoo, published: Path) -> None:
        assert "no member 'nobody'" in run("verify", published, "--member", "nobody").complaint
        assert "not a published zoo" in run("verify", source.url, "--member", "nobody").complaint
        done = run("verify", published, "--member", source.members["member"][0], "--json")
        assert json.loads(done.out)["digest"] == source.digests()[source.members["member"][0]]


class TestVerification:
    def test_a_published_zoo_is_clean(self, published: Path) -> None:
        report = verify(published, recompute_digest=True)
        assert report.clean
        assert report.objects == len(contents(published))

    def test_every_flipped_byte_is_seen(self, copy: Path) -> None:
        for name, data in contents(copy).items():
            for place in (0, len(data) // 2, len(data) - 1):
                changed = bytearray(data)
                changed[place] ^= 4
                (copy / name).write_bytes(bytes(changed))
                assert not verify(copy).clean, (name, place)
            (copy / name).write_bytes(data)
        assert verify(copy).clean

    def test_missing_and_surplus_objects_are_told_apart(self, copy: Path) -> None:
        (copy / "README.md").unlink()
        (copy / "note.txt").write_text("mine")
        report = verify(copy)
        assert [(finding.kind, finding.name) for finding in report.findings] == [
            ("damage", "README.md"),
            ("surplus", "note.txt"),
        ]
        assert run("verify", copy).code == 1

    def test_a_missing_manifest_is_told(self, copy: Path) -> None:
        (copy / MANIFEST_NAME).unlink()
        done = run("show", copy)
        assert done.code != 0
        assert f"{MANIFEST_NAME} is missing" in done.complaint
        assert [finding.sentence for finding in verify(copy).findings] == [f"{MANIFEST_NAME} is missing."]

    def test_damage_is_no_data(self, source: Zoo, copy: Path) -> None:
        shard = next(file for file in (copy / ARRAY_FOLDER / "c").rglob("0") if file.is_file())
        shard.write_bytes(bytes(shard.stat().st_size))
        with pytest.raises(DamagedZooError):
            _ = open_zoo(copy).weights[:]
        data = bytearray((copy / "metrics.parquet").read_bytes())
        data[len(data) // 3] ^= 4
        (copy / "metrics.parquet").write_bytes(bytes(data))
        with pytest.raises(DamagedZooError, match=r"metrics\.parquet"):
            _ = open_zoo(copy).metrics
        (copy / "members.parquet").write_bytes((copy / "metrics.parquet").read_bytes())
        with pytest.raises(DamagedZooError, match=r"members\.parquet"):
            open_zoo(copy)


class TestNeverOverwritten:
    def test_again_changes_nothing_and_another_version_is_refused(
        self, source: Zoo, copy: Path, tmp_path: Path
    ) -> None:
        before = contents(copy)
        assert publish_simulated(source, copy).sent == 0
        for other in ({"version": "1.0.1"}, {"title": "Another"}, {"license": "CC0-1.0"}, {"authors": ["B"]}):
            with pytest.raises(StoreUnusableError, match=r"version 1\.0\.0, which never changes"):
                publish_simulated(source, copy, **other)
        grown, _ = make_zoo(tmp_path / "other", members=5, cohorts=1)
        with pytest.raises(StoreUnusableError, match="which never changes"):
            publish_simulated(grown, copy)
        assert contents(copy) == before
        (copy / "README.md").write_text("changed")
        with pytest.raises(DamagedZooError, match="is not what was published"):
            publish_simulated(source, copy)

    def test_nothing_is_populated_or_collected_in_it(self, source: Zoo, copy: Path) -> None:
        before = contents(copy)
        for act in (
            lambda: collect_garbage(copy, force=True),
            lambda: create_zoo(copy, source.header, source.plans[0].table),
        ):
            with pytest.raises(StoreUnusableError, match="published zoo, which never changes"):
                act()
        assert run("gc", copy).code == 2
        assert contents(copy) == before

    def test_a_destination_that_is_not_empty_is_refused(self, source: Zoo, tmp_path: Path) -> None:
        (tmp_path / "photo.jpg").write_bytes(b"x")
        with pytest.raises(StoreUnusableError, match=r"not empty, it holds photo\.jpg"):
            publish_simulated(source, tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["photo.jpg"]

    @pytest.mark.parametrize("place", [".", "inside", ".."])
    def test_a_destination_that_overlaps_with_the_zoo_is_refused(self, tmp_path: Path, place: str) -> None:
        zoo, _ = make_zoo(tmp_path / "zoo", members=2, cohorts=1)
        before = contents(tmp_path)
        with pytest.raises(InputError, match="overlaps with the zoo"):
            publish_simulated(zoo, (tmp_path / "zoo" / place).resolve())
        assert contents(tmp_path) == before


class TestRefusals:
    def test_an_unfinished_zoo_is_refused(self, tmp_path: Path) -> None:
        zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan(6, 2))
        write_cohort(zoo, "0-000")
        with pytest.raises((InputError, NotCommittedError), match="3 of 6 members are not committed"):
            publish_simulated(open_zoo(zoo.url), tmp_path / "published")
        assert not (tmp_path / "published").exists()

    def test_a_damaged_zoo_is_refused(self, tmp_path: Path) -> None:
        zoo, _ = make_zoo(tmp_path / "zoo", members=6, cohorts=2)
        shard = next(file for file in (tmp_path / "zoo").rglob("0") if file.is_file())
        data = bytearray(shard.read_bytes())
        data[100] ^= 1
        shard.write_bytes(bytes(data))
        with pytest.raises(DamagedZooError, match="does not verify and is not published"):
            publish_simulated(zoo, tmp_path / "published")
        assert not (tmp_path / "published").exists()

    def test_a_zoo_whose_commit_tells_other_digests_is_never_committed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All objects are as committed, and yet a member is not what its digest says."""
        zoo, _ = make_zoo(tmp_path / "zoo", members=4, cohorts=1)
        digests = {**zoo.digests(), zoo.members["member"][2]: "ab" * 32}
        monkeypatch.setattr("geozoo.store.holdings.CommittedCohorts.digests", lambda self: digests)
        with pytest.raises(DamagedZooError, match=f"member {zoo.members['member'][2]} .* digest it was committed with"):
            publish_simulated(zoo, tmp_path / "published")
        assert not (tmp_path / "published" / MANIFEST_NAME).exists()
        with pytest.raises(StoreUnusableError, match="was not finished: run the same geozoo publish again"):
            open_zoo(tmp_path / "published")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--license", "WTFPL"), "'WTFPL' is not a licence"),
            (("--author", "Lovelace,"), "is not an author"),
            (("--author", "A, B, C"), "is not an author"),
            (("--version", "1.0"), "'1.0' is not a version"),
            (("--doi", "zenodo"), "'zenodo' is not a DOI"),
            (("--page", "example"), "'example' is not the address"),
            (("--title", "two\nlines"), "is no title"),
        ],
    )
    def test_bad_options_are_told_before_anything_is_written(
        self, source: Zoo, tmp_path: Path, options: tuple[str, ...], words: str
    ) -> None:
        done = run("publish", source.url, "--to", tmp_path / "published", *OPTIONS, *options)
        assert done.code == 2
        assert words in done.complaint
        assert not (tmp_path / "published").exists()

    def test_a_zoo_that_is_not_there(self, tmp_path: Path) -> None:
        done = run("publish", tmp_path / "nothing", "--to", tmp_path / "published", *OPTIONS)
        assert (done.code, "there is no zoo" in done.complaint) == (2, True)

    def test_a_licence_and_an_author_are_asked_for(self, source: Zoo, tmp_path: Path) -> None:
        assert run("publish", source.url, "--to", tmp_path / "published").code == 2
        with pytest.raises(InputError, match="needs an author"):
            make_edition(authors=[])


def test_the_command_publishes_the_card_and_prints_what_it_did(source: Zoo, tmp_path: Path) -> None:
    first = run("publish", source.url, "--to", tmp_path / "p", *OPTIONS, "--json")
    assert first.code == 0, first.err
    told = json.loads(first.out)
    assert told["digest"] == source.digest()
    assert told["objects"] == told["sent"] == len(contents(tmp_path / "p"))
    assert told["size"] == sum(map(len, contents(tmp_path / "p").values()))
    again = run("publish", source.url, "--to", tmp_path / "p", *OPTIONS)
    assert "were there already, verified" in again.out
    card = (tmp_path / "p" / "card.html").read_text()
    assert "open_zoo(&#39;p&#39;)" in card
    assert source.url not in "".join(data.decode("latin-1") for data in contents(tmp_path / "p").values())


def test_the_grid_is_that_of_the_manifest(source: Zoo, tmp_path: Path) -> None:
    publish_simulated(source, tmp_path / "p")
    manifest = read_manifest(open_location(tmp_path / "p"))
    assert manifest is not None
    assert manifest.weights == design_grid(source)


def test_a_zoo_of_best_epochs_keeps_its_history_and_digest(tmp_path: Path) -> None:
    source = tmp_path / "best"
    recipe = make_recipe(
        {"activation": "tanh", "init": "kaiming_uniform"},
        dataset={"name": "digits", "size": 28, "limits": {"train": 40}},
        training={"epochs": 3, "checkpoints": "best"},
        evaluation={"train": 20, "validation": 20, "test": 20},
    )
    images = load_image_set(recipe.dataset)
    assert populate_here(prepare_zoo(recipe, str(source), images), images, lambda work: None) == {}
    zoo = open_zoo(source)
    publish_simulated(zoo, tmp_path / "published")
    there = open_zoo(tmp_path / "published")
    assert there.digest() == zoo.digest()
    assert verify(there.url, recompute_digest=True).clean
    assert verify_member(there.url, there.members["member"][1]).root
    pd.testing.assert_frame_equal(there.read_history(), zoo.read_history())
    assert len(there.read_history()) == 3 * len(there.read_metrics()) == 6
    damaged = tmp_path / "published" / "history.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0")
    assert [finding.name for finding in verify(there.url).findings] == ["history.parquet"]
