"""Nothing in a file of other people runs: it is refused with a sentence, or never opened."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.errors import UnsafeFileError
from geozoo.interchange.exports.tune import trial_name
from geozoo.interchange.importing import import_zoo
from geozoo.interchange.registry import IMPORTERS
from geozoo.interchange.restricted import load_tensors
from geozoo.store import open_zoo
from tests.support.commands import geozoo
from tests.support.foreign import WRITERS, Foreign, Payload, make_state, published_class, write_hub, write_tune

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.store import Zoo

HOWS = ("system", "eval", "exec")


def spoil_tune(foreign: Foreign, payload: Payload) -> None:
    path = sorted(foreign.path.glob("NN_*/checkpoint_*/checkpoints"))[0]
    torch.save({**make_state(0), "hook": payload}, path)


def spoil_pt(foreign: Foreign, payload: Payload) -> None:
    with published_class() as cls:
        loaded = torch.load(foreign.path, weights_only=False)
        loaded["trainset"].properties["model::nlin"][1] = payload
        assert isinstance(loaded["trainset"], cls)
        torch.save(loaded, foreign.path)


def spoil_unterthiner(foreign: Foreign, payload: Payload) -> None:
    rows = np.load(foreign.path / "weights.npy").astype(object)
    rows[0, 0] = payload
    np.save(foreign.path / "weights.npy", rows, allow_pickle=True)


def spoil_files(foreign: Foreign, payload: Payload) -> None:
    torch.save({"state_dict": make_state(0), "callbacks": [payload]}, next(foreign.path.glob("*.pt")))


def spoil_hub(foreign: Foreign, payload: Payload) -> None:
    path = foreign.path / "checkpoint-0" / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(payload, protocol=2))


SPOILERS: dict[str, Callable[[Foreign, Payload], None]] = {
    "tune": spoil_tune,
    "pt": spoil_pt,
    "unterthiner": spoil_unterthiner,
    "files": spoil_files,
    "hub": spoil_hub,
}


def test_the_payload_would_run(tmp_path: Path) -> None:
    """Loaded without restriction it does: else the tests below prove nothing."""
    for how in HOWS:
        marker = tmp_path / how
        torch.save({"a": Payload(marker, how)}, tmp_path / "file")
        torch.load(tmp_path / "file", weights_only=False)
        assert marker.exists()


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", sorted(IMPORTERS))
def test_a_planted_object_is_refused_and_does_not_run(kind: str, how: str, tmp_path: Path) -> None:
    foreign, marker = WRITERS[kind](tmp_path / "theirs"), tmp_path / "ran"
    SPOILERS[kind](foreign, Payload(marker, how))
    refused = geozoo("import", kind, foreign.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "could run code" in refused.complaint
    assert "trust" in refused.complaint
    assert not marker.exists()
    assert not (tmp_path / "zoo" / "zoo.json").exists()


@pytest.mark.parametrize("name", ["params.pkl", "checkpoint_000000/optimizer", "../tuner.pkl"])
def test_what_is_not_needed_is_never_opened(name: str, tmp_path: Path) -> None:
    foreign, marker = write_tune(tmp_path / "theirs", members=1), tmp_path / "ran"
    trial = next(foreign.path.glob("NN_*"))
    (trial / name).write_bytes(pickle.dumps(Payload(marker)))
    assert geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo").code == 0
    assert not marker.exists()


def test_a_planted_image_set_is_refused(tmp_path: Path) -> None:
    foreign, marker = write_tune(tmp_path / "theirs", members=1), tmp_path / "ran"
    torch.save({"testset": Payload(marker, "eval")}, foreign.path / "dataset.pt")
    refused = geozoo("import", "tune", foreign.path, "--to", tmp_path / "zoo", "--check", 1)
    assert refused.code == 2
    assert "could run code" in refused.complaint
    assert not marker.exists()


class Looks:
    """Pickles as a call of something whose name looks like what is allowed."""

    def __init__(self, module: str, name: str, argument: Any) -> None:
        self.module, self.name, self.argument = module, name, argument

    def write(self, path: Path) -> None:
        argument = pickle.dumps((self.argument,), protocol=2)[2:-1]
        path.write_bytes(b"\x80\x02c" + f"{self.module}\n{self.name}\n".encode() + argument + b"R.")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("torch._utils", "__builtins__"),
        ("torch.serialization", "os.system"),
        ("collections", "os.system"),
        ("checkpoints_to_datasets.dataset_base", "os.system"),
        ("checkpoints_to_datasets.dataset_base", "eval"),
        ("pathlib", "os.system"),
        ("numpy.core.multiarray", "fromstring"),
        ("numpy.testing._private.utils", "runstring"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.jit._script", "RecursiveScriptModule"),
    ],
)
def test_names_that_look_allowed(module: str, name: str, tmp_path: Path) -> None:
    """In the older format of torch.save: a magic number, a version, facts of the machine, then the object."""
    marker = tmp_path / "ran"
    Looks(module, name, f"open({str(marker)!r}, 'w')").write(tmp_path / "object")
    start = b"".join(
        pickle.dumps(part, protocol=2)
        for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    )
    path = tmp_path / "file"
    path.write_bytes(start + (tmp_path / "object").read_bytes() + pickle.dumps([], protocol=2))
    with pytest.raises(UnsafeFileError, match="could run code"):
        load_tensors(path, ["checkpoints_to_datasets.dataset_base.ModelDatasetBase"])
    assert not marker.exists()


def test_a_numpy_scalar_of_objects_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Scalar:
        def __reduce__(self) -> Any:
            inner = pickle.dumps(Payload(marker), protocol=2)
            return np._core.multiarray.scalar, (np.dtype("O"), inner)

    torch.save({"test_acc": Scalar()}, tmp_path / "file")
    for inert in ([], ["some.Class"]):
        with pytest.raises(UnsafeFileError):
            load_tensors(tmp_path / "file", inert)
    assert not marker.exists()


@pytest.mark.parametrize("named", ["../secret.safetensors", "/etc/hostname", "link.safetensors"])
def test_an_index_leads_nowhere_else(named: str, tmp_path: Path) -> None:
    foreign = write_hub(tmp_path / "theirs")
    place = foreign.path / "checkpoint-1"
    shutil.copy(place / "model-00001.safetensors", foreign.path / "secret.safetensors")
    (place / "link.safetensors").symlink_to(foreign.path / "secret.safetensors")
    index = place / "model.safetensors.index.json"
    weights = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": {**weights, next(iter(weights)): named}}))
    refused = geozoo("import", "hub", foreign.path, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "leads out of" in refused.complaint


def imported(foreign: Foreign, url: Path) -> Zoo:
    return import_zoo(IMPORTERS[foreign.kind].open(foreign.path), str(url), name="theirs").zoo


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "a/../../escaped", "..", "a\\..\\b"])
def test_an_export_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    zoo = imported(write_tune(tmp_path / "theirs", members=1), tmp_path / "zoo")
    row = {**zoo.members.iloc[0].to_dict(), "source": name}
    chosen = Path(trial_name(zoo, row, 0))
    assert len(chosen.parts) == 1
    assert chosen.name.startswith("NN_tune_trainable_")


def test_accounts_and_keys_are_not_passed_on(tmp_path: Path) -> None:
    zoo = imported(write_tune(tmp_path / "theirs"), tmp_path / "zoo")
    assert b"do not pass on" not in b"".join(path.read_bytes() for path in (tmp_path / "zoo").rglob("*.json"))
    assert "do not pass on" not in open_zoo(zoo.url).members.to_csv()


@pytest.mark.parametrize("kind", ["pt", "files"])
def test_a_raw_pickle_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    """A newer protocol, which torch warns of by itself."""
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / "state.pt"
    path.write_bytes(pickle.dumps({"weight": Payload(tmp_path / "ran")}, protocol=4))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        refused = geozoo("import", kind, path if kind == "pt" else path.parent, "--to", tmp_path / "zoo")
    assert refused.code == 2
    assert "could run code" in refused.complaint
    assert not [one for one in warned if "pickle" in str(one.message)]
    assert not (tmp_path / "ran").exists()
