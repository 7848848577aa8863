"""What holds of every importer: what is imported is what was there, whatever happens on the way."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import geozoo as library
from geozoo.errors import InputError, ZooMismatchError
from geozoo.hyper.query_images import QueryImages, images_of
from geozoo.interchange import importing
from geozoo.interchange.importing import import_zoo
from geozoo.interchange.registry import IMPORTERS
from geozoo.populate import cohort_job
from geozoo.store import create_zoo, extend_zoo, open_zoo, verify
from tests.support.commands import geozoo, populate_digits
from tests.support.foreign import WRITERS, Foreign, Payload, write_files, write_tune
from tests.support.zoos import make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Zoo

KINDS = sorted(IMPORTERS)


@pytest.fixture(params=KINDS)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Foreign:
    return WRITERS[request.param](tmp_path / "theirs")


def take(foreign: Foreign, url: object) -> Zoo:
    return import_zoo(IMPORTERS[foreign.kind].open(foreign.path), str(url), name="theirs").zoo


def assert_same(zoo: Zoo, foreign: Foreign) -> None:
    """Every state and accuracy of the source, and no more."""
    of_source = dict(zip(zoo.members["source"], zoo.members["member"], strict=True))
    assert len(zoo.members) * len(zoo.checkpoints) == len(foreign.states)
    for (name, epoch), vector in foreign.states.items():
        np.testing.assert_array_equal(zoo.states(of_source[name], epoch)[0], vector)
    logged = zoo.metrics.set_index(["member", "epoch"])["test_accuracy"]
    for (name, epoch), accuracy in foreign.accuracies.items():
        assert logged[of_source[name], epoch] == pytest.approx(accuracy, abs=1e-12)


def test_there_is_a_writer_for_every_kind() -> None:
    assert set(WRITERS) == set(IMPORTERS)


def test_an_import_holds_what_was_there_and_verifies(foreign: Foreign, tmp_path: Path) -> None:
    zoo = take(foreign, tmp_path / "zoo")
    assert_same(zoo, foreign)
    report = verify(zoo.url, recompute_digest=True)
    assert report.clean, report.findings
    assert zoo.header.imported is not None
    assert zoo.header.imported.kind == foreign.kind
    state = zoo.state_dict(zoo.members["member"][0], zoo.checkpoints[-1])
    assert sum(tensor.numel() for tensor in state.values()) == zoo.header.num_parameters


def test_a_second_run_changes_nothing(foreign: Foreign, tmp_path: Path) -> None:
    first = take(foreign, tmp_path / "zoo")
    objects = {name: (tmp_path / "zoo" / name).stat().st_mtime_ns for name in first.location.list()}
    second = take(foreign, tmp_path / "zoo")
    assert {name: (tmp_path / "zoo" / name).stat().st_mtime_ns for name in second.location.list()} == objects
    assert second.digest() == first.digest()


def test_where_the_source_lies_does_not_matter(foreign: Foreign, tmp_path: Path) -> None:
    before = take(foreign, tmp_path / "one").digest()
    moved = tmp_path / "elsewhere" / foreign.path.name
    moved.parent.mkdir()
    foreign.path.rename(moved)
    assert take(Foreign(foreign.kind, moved), tmp_path / "two").digest() == before


def test_an_import_that_was_cut_off_is_finished(
    foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = take(foreign, tmp_path / "whole").digest()
    monkeypatch.setattr(importing, "MAX_COHORT", 1)
    source = IMPORTERS[foreign.kind].open(foreign.path)
    read, calls = source.state, 0

    def dying(member: str, epoch: int) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > len(foreign.states) // 2:
            raise KeyboardInterrupt
        return read(member, epoch)

    monkeypatch.setattr(source, "state", dying)
    with pytest.raises(KeyboardInterrupt):
        import_zoo(source, str(tmp_path / "zoo"), name="theirs")
    cut = open_zoo(tmp_path / "zoo")
    assert 0 < cut.members["committed"].sum() < len(cut.members)
    assert {one.kind for one in verify(cut.url).findings} == {"planned but uncommitted"}
    finished = take(foreign, tmp_path / "zoo")
    assert_same(finished, foreign)
    assert finished.digest() == whole


def test_a_damaged_import_is_found(foreign: Foreign, tmp_path: Path) -> None:
    zoo = take(foreign, tmp_path / "zoo")
    name = next(name for name in zoo.location.list() if "/c/" in name)
    data = bytearray((tmp_path / "zoo" / name).read_bytes())
    data[len(data) // 3] ^= 1
    (tmp_path / "zoo" / name).write_bytes(data)
    assert [finding.name for finding in verify(zoo.url).findings] == [name]


def test_commands_take_imported_zoos(foreign: Foreign, tmp_path: Path) -> None:
    url = tmp_path / "zoo"
    outcome = geozoo("import", foreign.kind, foreign.path, "--to", url)
    assert outcome.code == 0, outcome.err
    for command in (["show", url], ["verify", url, "--digest"], ["card", url, "-o", tmp_path / "card.html"]):
        outcome = geozoo(*command)
        assert outcome.code == 0, outcome.err
    assert "nan" not in geozoo("show", url).out
    assert "imported" in (tmp_path / "card.html").read_text()


def test_an_imported_zoo_is_not_trained_on(tmp_path: Path) -> None:
    zoo = take(write_tune(tmp_path / "theirs"), tmp_path / "zoo")
    refused = populate_digits(zoo.url, 2)
    assert refused.code == 2
    assert "was imported from 'tune_zoo_mnist_uniform' (tune) and not trained here" in refused.complaint
    assert verify(zoo.url).clean


@pytest.mark.parametrize("kind", ["tune", "hub"])
def test_pages_say_where_a_zoo_is_from(kind: str, tmp_path: Path) -> None:
    foreign = WRITERS[kind](tmp_path / "theirs")
    zoo = take(foreign, tmp_path / "zoo")
    shown = geozoo("show", zoo.url)
    assert "imported from" in shown.out
    assert foreign.path.name in shown.out
    assert "none" not in shown.out
    geozoo("card", zoo.url, "-o", tmp_path / "card.html")
    page = (tmp_path / "card.html").read_text()
    assert f"what was logged by {foreign.path.name} ({kind})" in page
    assert "training time" not in page


def test_the_images_of_an_imported_zoo_are_those_it_was_imported_with(tmp_path: Path) -> None:
    """So that what calls networks, such as the probe's outputs, can call these."""
    foreign = write_tune(tmp_path / "theirs")
    with pytest.raises(InputError, match="imported without its images"):
        images_of(take(foreign, tmp_path / "without"))
    outcome = geozoo("import", "tune", foreign.path, "--to", tmp_path / "with", "--images", "digits")
    assert outcome.code == 0, outcome.err
    zoo = open_zoo(tmp_path / "with")
    assert images_of(zoo).fingerprint == zoo.header.dataset["fingerprint"]
    assert zoo.module(0, 2)(QueryImages.of(images_of(zoo)).queries[:3]).shape == (3, 10)


def test_members_are_not_added_to_an_imported_zoo(tmp_path: Path) -> None:
    zoo = take(write_tune(tmp_path / "theirs"), tmp_path / "zoo")
    with pytest.raises(ZooMismatchError, match="cannot extend it"):
        extend_zoo(zoo.url, make_plan(number=1))
    with pytest.raises(ZooMismatchError, match="cannot train it"):
        cohort_job(zoo, "0-000")


def test_an_interrupted_command_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = write_tune(tmp_path / "theirs")

    def interrupted(self: object, member: str, epoch: int) -> np.ndarray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("geozoo.interchange.sources.tune.TuneSource.state", interrupted)
        outcome = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo")
    assert outcome.code == 130
    assert "run the same command again" in outcome.complaint
    assert "run geozoo import again" in geozoo("show", tmp_path / "zoo").out.replace("\n", " ").replace("  ", "")
    assert geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo").code == 0


def test_another_source_is_refused_where_a_zoo_is(tmp_path: Path) -> None:
    take(write_tune(tmp_path / "theirs"), tmp_path / "zoo")
    other = write_files(tmp_path / "others")
    refused = geozoo("import", "files", other.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "was made from something else" in refused.complaint


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_is_not_there(kind: str, tmp_path: Path) -> None:
    refused = geozoo("import", kind, tmp_path / "nowhere", "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "nowhere" in refused.complaint
    (tmp_path / "empty").mkdir()
    refused = geozoo("import", kind, tmp_path / "empty", "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert not (tmp_path / "zoo" / "zoo.json").exists()


def test_an_imported_zoo_is_published(foreign: Foreign, tmp_path: Path) -> None:
    zoo = take(foreign, tmp_path / "zoo")
    outcome = geozoo("publish", zoo.url, "--to", tmp_path / "public", "--license", "CC-BY-4.0", "--author", "A. Nother")
    assert outcome.code == 0, outcome.err
    report = verify(tmp_path / "public", recompute_digest=True)
    assert report.clean, report.findings
    public = open_zoo(tmp_path / "public")
    assert public.digest() == zoo.digest()
    assert_same(public, foreign)


def test_memory_holds_one_cohort_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_COHORT", 2)
    zoo = take(write_tune(tmp_path / "theirs", members=5), tmp_path / "zoo")
    assert zoo.members["cohort"].value_counts().max() == 2
    assert zoo.members["cohort"].nunique() == 3


def test_the_library_opens_it(tmp_path: Path) -> None:
    take(write_tune(tmp_path / "theirs"), tmp_path / "zoo")
    zoo = library.open_zoo(tmp_path / "zoo")
    assert zoo.weights[:, -1].shape == (3, 2464)
    assert len(zoo.torch_dataset("train", target="test_accuracy")) > 0


def test_an_unknown_image_set_is_named_in_one_sentence(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs")
    refused = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--images", "nosuch")
    assert refused.code == 2
    assert refused.complaint.startswith("geozoo: --images 'nosuch' is no image set: choose one of ")


def test_a_zoo_and_its_source_lie_apart(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs")
    before = sorted(tmp_path.rglob("*"))
    for target in (foreign.path, foreign.path / "inner", foreign.path.parent):
        refused = geozoo("import", "tune", foreign.path, "--to", target)
        assert refused.code == 2
        assert "overlaps with the source" in refused.complaint
    assert sorted(tmp_path.rglob("*")) == before


CHANGES = {
    "tune": ("NN_*/result.json", b"0.", b"1."),
    "pt": ("*.pt", b"", b""),
    "unterthiner": ("layout.csv", b"sequential", b"Sequential"),
    "files": ("table.csv", b"0.3", b"0.4"),
    "hub": ("*/config.json", b"tiny", b"Tiny"),
}


def test_a_source_that_has_changed_is_refused(foreign: Foreign, tmp_path: Path) -> None:
    """Also where the files keep their size, as a corrected table does."""
    before = take(foreign, tmp_path / "zoo").digest()
    pattern, old, new = CHANGES[foreign.kind]
    path = foreign.path if foreign.path.is_file() else sorted(foreign.path.glob(pattern))[0]
    content = path.read_bytes()
    if foreign.path.is_file():
        torch.save({"trainset": {"data_in": [torch.zeros(3)], "paths": ["a"], "epochs": [1]}}, path)
    else:
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
    refused = geozoo("import", foreign.kind, foreign.path, "--to", tmp_path / "zoo", "--name", "theirs")
    assert refused.code == 2
    assert "has changed since its import" in refused.complaint
    path.write_bytes(content)
    assert take(foreign, tmp_path / "zoo").digest() == before


def test_a_state_of_another_training_is_told_by_its_checksums(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs")
    take(foreign, tmp_path / "zoo")
    path = next(foreign.path.glob("NN_*/checkpoint_000002/checkpoints"))
    size = path.stat().st_size
    torch.save({name: tensor + 1 for name, tensor in torch.load(path, weights_only=True).items()}, path)
    path.write_bytes(path.read_bytes().ljust(size, b"\0")[:size])
    with pytest.raises(ZooMismatchError, match="has changed since its import"):
        take(foreign, tmp_path / "zoo")


def test_a_trial_that_is_gone_after_a_refusal(tmp_path: Path) -> None:
    """A refused import leaves its plan; without the trial that was at fault the source is another one."""
    foreign = write_tune(tmp_path / "theirs")
    trial = sorted(foreign.path.glob("NN_*"))[0]
    torch.save({"state": Payload(tmp_path / "ran")}, trial / "checkpoint_000002" / "checkpoints")
    assert geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo").code == 2
    assert (tmp_path / "zoo" / "zoo.json").exists()
    shutil.rmtree(trial)
    refused = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "has changed since its import" in refused.complaint
    assert geozoo("import", "tune", foreign.path, "--to", tmp_path / "other").code == 0


def test_an_import_without_a_fingerprint_stands(foreign: Foreign, tmp_path: Path) -> None:
    """As imports were before there were any: its header keeps its bytes, and it is gone on with."""
    header = take(foreign, tmp_path / "made").header
    assert header.imported is not None
    assert header.imported.fingerprint is not None
    before = header.model_copy(update={"origin": header.imported.model_copy(update={"fingerprint": None})})
    assert "fingerprint" not in before.model_dump(mode="json")["origin"]
    create_zoo(tmp_path / "zoo", before, open_zoo(tmp_path / "made").plans[0].table)
    zoo = take(foreign, tmp_path / "zoo")
    assert_same(zoo, foreign)
    assert zoo.header.imported is not None
    assert zoo.header.imported.fingerprint is None
