"""``geozoo train`` and ``geozoo export`` for experiments of kind ssl, in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import timm
import yaml
from safetensors import safe_open

from geozoo.ssl.fit import run_experiment
from geozoo.ssl.trained import open_views
from geozoo.training.loop import Watch
from tests.ssl.test_fit import experiment
from tests.support.chips import make_chips
from tests.support.commands import geozoo

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.training.distributed import World


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_chips(tmp_path_factory.mktemp("little")).url


def interrupted(chosen: Any, url: str, world: World, watch: Watch) -> None:
    """Train, but be interrupted after the first epoch."""

    def on_epoch(record: dict[str, float]) -> None:
        watch.on_epoch(record)
        raise KeyboardInterrupt

    run_experiment(chosen, url, world, Watch(on_epoch))


def test_encoders_are_trained_in_two_goes_and_exported(
    chips: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOZOO_RUNS", str(tmp_path / "runs"))
    file = tmp_path / "little.yaml"
    file.write_text(yaml.safe_dump(experiment(chips).model_dump(mode="json")))
    command = ("train", file, "--local", "--json", "--to")
    with monkeypatch.context() as patch:
        patch.setattr("geozoo.ssl.fit.run_experiment", interrupted)
        stopped = geozoo(*command, tmp_path / "model")
    assert stopped.code == 130
    assert "run the same command again to go on from the last checkpoint" in stopped.err.splitlines()[-1]
    ended, whole = geozoo(*command, tmp_path / "model"), geozoo(*command, tmp_path / "whole")
    assert ended.code == 0, ended.err
    assert "epoch 2/2: loss" in ended.err
    assert "epoch 1/2: loss" not in ended.err
    found = json.loads(ended.out)
    model, other = open_views(found["url"]), open_views(json.loads(whole.out)["url"])
    history = model.card.history
    assert found["epochs"] == len(history) == 2
    assert found["kept"] == history[model.card.best_epoch - 1]
    losses = [[record["loss"] for record in one.card.history] for one in (model, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)

    output = tmp_path / "optical.safetensors"
    exported = geozoo("export", "encoder", found["url"], "--view", "optical", "-o", output, "--json")
    assert exported.code == 0, exported.err
    facts = json.loads(exported.out)
    assert facts["bands"] == ["B02", "B04", "B08"]
    with safe_open(output, "pt") as opened:
        made = timm.create_model(facts["network"], in_chans=3, num_classes=0, **facts["options"])
        made.load_state_dict({key: opened.get_tensor(key) for key in opened.keys()})  # noqa: SIM118
    unknown = geozoo("export", "encoder", found["url"], "--view", "thermal", "-o", output)
    assert unknown.code == 2
    assert "thermal" in unknown.complaint
