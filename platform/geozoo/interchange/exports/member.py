"""One member at one epoch: a file of its tensors, or an ONNX graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError
from geozoo.interchange.exports.writing import new_file

if TYPE_CHECKING:
    from geozoo.store import Zoo

SUFFIXES = (".pt", ".pth", ".safetensors")


def export_state_dict(zoo: Zoo, destination: str | Path, member: str, epoch: int) -> None:
    """Write a member's ``state_dict``: safetensors by that suffix, with its facts as metadata, else ``torch.save``.

    Raises:
        InputError: the destination is there or has another suffix, or there is no such member or epoch.
    """
    import torch
    from safetensors.torch import save_file

    suffix = Path(destination).suffix
    if suffix not in SUFFIXES:
        raise InputError(f"{str(destination)!r} does not say in which form to write: end it in {', '.join(SUFFIXES)}.")
    state = zoo.state_dict(member, epoch)
    with new_file(destination) as path:
        if suffix == ".safetensors":
            save_file(state, path, metadata=_facts(zoo, member, epoch))
        else:
            torch.save(state, path)


def export_onnx(zoo: Zoo, destination: str | Path, member: str, epoch: int) -> None:
    """Write a member as ONNX: input ``images [batch, channels, size, size]``, normalised; output ``logits``.

    Raises:
        InputError: the packages of ``geozoo[onnx]`` are missing, the destination is there, or there is no such member
            or epoch.
        NetworkError: the zoo was imported and its members are no network of the catalogue.
    """
    import torch

    _require_onnx()
    network = zoo.module(member, epoch)
    shape = zoo.header.network
    images = torch.zeros(2, shape["channels"], shape["size"], shape["size"])
    with new_file(destination) as path:
        program = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(_facts(zoo, member, epoch))
        program.save(path)


def _require_onnx() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise InputError(f"package {missing[0]!r} is not installed, which writes ONNX: pip install 'geozoo[onnx]'.")


def _facts(zoo: Zoo, member: str, epoch: int) -> dict[str, str]:
    """Which network a file holds, as words."""
    activation = zoo.members.set_index("member")["activation"][member]
    named = {"activation": activation} if isinstance(activation, str) else {}
    network = zoo.header.network if "network" in zoo.header.recipe else {}
    facts: dict[str, Any] = {"zoo": zoo.header.name, "member": member, "epoch": epoch, **network, **named}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
