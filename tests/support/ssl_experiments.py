"""The experiments on Earth observation as their files say, but narrow and short."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from geozoo.recipe.load import read_kind

FOLDER = Path(__file__).parents[2] / "experiments" / "ssl"
EXPERIMENTS = sorted(path for path in FOLDER.glob("*.yaml") if read_kind(path) in ("ssl", "labels"))
PRETRAINED = {
    "simclr_rgb_labels": "simclr_rgb",
    "dual_simclr_labels": "dual_simclr",
    "mma_labels": "mma",
    "d_swin_labels": "d_swin",
    "d_swin_segmentation": "d_swin",
    "dual_labels_modern": "dual_simclr_modern",
    "eurosat_labels": "eurosat_simclr",
}
"""Experiments on labels that start from trained encoders, and the experiment that trains them."""
SIZE = 32
"""Side of a chip."""
CROP = 24
SHORT = (
    *("split.validation=0.25", "training.epochs=1", "training.batch_size=2"),
    *("fit.epochs=null", "fit.updates=3", "fit.batch_size=4"),
)


@cache
def tree_of(name: str) -> dict[str, Any]:
    """What a file says; numbers such as 1.0e-3 have a dot, which plain YAML reads as numbers."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return found


def narrow(encoder: dict[str, Any]) -> dict[str, Any]:
    """The same encoder with a few channels."""
    options = {
        "resnet18": {"channels": [8, 8, 8, 8]},
        "vgg_maps": {"dim": 8},
        "swin_tiny_patch4_window7_224": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 3},
    }
    return {**encoder, "options": {**encoder.get("options", {}), **options[encoder["name"]]}}


def smaller(name: str) -> list[str]:
    """Overrides with which an experiment takes three steps in no time, all else as it is."""
    tree = tree_of(name)
    views = {view: narrow(settings["encoder"]) for view, settings in tree.get("views", {}).items()}
    found = [f"views.{view}.encoder={encoder}" for view, encoder in views.items()]
    found += [one for one in SHORT if one.partition(".")[0] in tree]
    if tree["split"]["by"] == "random":
        found.append("split.test=0.25")
    if "crop" in tree.get("augmentation", {}):
        found.append(f"augmentation.crop={CROP}")
    return found
