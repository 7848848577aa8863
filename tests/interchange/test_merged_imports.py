"""Imported zoos in merges, audits and diffs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geozoo.audit import prepare_audit
from geozoo.errors import InputError, ZooMismatchError
from geozoo.interchange.diff import diff_zoos
from geozoo.interchange.importing import import_zoo
from geozoo.interchange.merge import prepare_merge
from geozoo.interchange.registry import IMPORTERS
from geozoo.store import Merged, verify
from tests.interchange.test_importers import take
from tests.support.foreign import write_tune
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from pathlib import Path


def test_an_imported_zoo_is_compared_and_not_audited(tmp_path: Path) -> None:
    foreign = write_tune(tmp_path / "theirs")
    zoo = take(foreign, tmp_path / "zoo")
    assert diff_zoos(zoo, zoo).equal
    assert not diff_zoos(zoo, make_zoo(tmp_path / "ours")[0]).equal
    with pytest.raises(ZooMismatchError, match="was imported and no recipe says how it was trained"):
        prepare_audit(zoo, list(zoo.members["member"])[:1])


def test_imported_zoos_are_merged_with_their_own_origins(tmp_path: Path) -> None:
    foreign = [write_tune(tmp_path / name, members=count) for name, count in (("one", 3), ("other", 4))]
    for trial in list(foreign[1].path.glob("NN_*")):
        trial.rename(trial.with_name(trial.name.replace("c0371", "c0999")))
    one, other = (take(source, tmp_path / f"zoo{number}") for number, source in enumerate(foreign))
    merged = prepare_merge([one.url, other.url]).write(str(tmp_path / "merged"))
    assert isinstance(merged.header.origin, Merged)
    assert [source.origin["kind"] for source in merged.header.origin.sources if source.origin] == ["tune", "tune"]
    assert list(merged.members["source"]) == [*one.members["source"], *other.members["source"]]
    members = list(other.members["member"])
    assert np.array_equal(merged.states(members, 2), other.states(members, 2))
    report = verify(merged.url, recompute_digest=True)
    assert report.clean, report.findings
    with pytest.raises(ZooMismatchError, match="was imported and no recipe says how it was trained"):
        prepare_audit(merged, members)


def test_an_unfinished_import_is_to_be_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign, (other, _) = write_tune(tmp_path / "theirs"), make_zoo(tmp_path / "other")
    source = IMPORTERS["tune"].open(foreign.path)
    monkeypatch.setattr(source, "state", lambda member, epoch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        import_zoo(source, str(tmp_path / "zoo"), name="theirs")
    with pytest.raises(InputError, match="not committed: run its import again before it is merged"):
        prepare_merge([str(tmp_path / "zoo"), other.url])
