"""What the batch size of pre-training costs and brings: ``python experiments/ssl/batch_sizes.py CHIPS WORK``.

``CHIPS`` is a chip store of EuroSAT RGB, ``WORK`` a folder for models and rows; the same command goes on after a stop,
and begins the size anew that was under way. For every batch size ``eurosat_simclr`` is trained for ten epochs, its
learning rate in proportion to the square root of the batch, and a linear probe learns from 2 % and 10 % of the labels.
Written to ``results/eurosat_batch_sizes.json``: the device, and of every size the peak memory (of tensors on a GPU, of
the training process without one), seconds, and both scores over five seeds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent
RESULT = FOLDER / "results" / "eurosat_batch_sizes.json"
SIZES = (32, 64, 128, 256, 512, 1024)
EPOCHS = 10
RATE, AT = 2e-3, 256
"""The learning rate of ``eurosat_simclr.yaml`` and the batch size it is for."""


def main(chips: str, work: Path) -> None:
    """Measure every size that has no record yet, writing after each."""
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {"device": device_name(), "sizes": {}}
    if found["device"] != device_name():
        sys.exit(f"{RESULT} was measured on {found['device']}, this is {device_name()}: remove the file to begin anew")
    sizes = found["sizes"]
    for size in SIZES:
        if str(size) not in sizes:
            sizes[str(size)] = measure(chips, work, size)
            RESULT.write_text(json.dumps(found, indent=1) + "\n")
        print(size, sizes[str(size)], flush=True)


def device_name() -> str:
    """The GPU, or how many cores there are."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"


def measure(chips: str, work: Path, size: int) -> dict[str, Any]:
    """Train with one batch size in a process of its own, then probe; memory in MiB."""
    model = work / f"batch-{size}"
    shutil.rmtree(model, ignore_errors=True)  # memory of a run that goes on would be that of its rest
    settings = [f"chips={chips}", f"training.batch_size={size}", f"training.epochs={EPOCHS}"]
    settings.append(f"optimizer.lr={RATE * (size / AT) ** 0.5:.6g}")
    trained = geozoo("train", "eurosat_simclr.yaml", model, settings)
    labels = [f"chips={chips}", f"model={model}", "methods=[probe]", "fractions=[0.02, 0.1]"]
    probed = geozoo("sweep", "eurosat_labels.yaml", work / f"rows-{size}", labels)
    scores = {f"{cell['fraction']:g}": [cell["mean"], cell["std"]] for cell in probed["cells"]}
    return {
        "memory": round(trained["kept"].get("gpu_mib", trained["memory"])),
        "seconds": trained["seconds"],
        "knn": trained["kept"]["validation_knn"],
        **scores,
    }


def geozoo(command: str, experiment: str, to: Path, settings: list[str]) -> dict[str, Any]:
    """What a command prints as JSON, with the peak ``memory`` of its process in MiB."""
    words = [sys.executable, "-m", "geozoo", command, str(FOLDER / experiment), "--local", "--json", "--to", str(to)]
    words += [word for setting in settings for word in ("--set", setting)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"geozoo {command} ended with {process.returncode}")
    return {**json.loads(printed), "memory": round(usage.ru_maxrss / 1024)}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
