"""``geozoo export``: zoos and their members, in the formats of other tools."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ZOO_EXAMPLES = """
Nothing is replaced: the destination appears whole at the end, or not at all.

Examples:

\b
  geozoo export tune digits-zoo --to raw-zoo
  geozoo export safetensors digits-zoo --to packs --epoch 25
  geozoo export hf s3://bucket/mnist --to mnist-hf
  geozoo export dataset digits-zoo --to dataset.pt --epoch 21 --epoch 25
"""
MEMBER_EXAMPLES = """
Examples:

\b
  geozoo export state-dict digits-zoo --member 0123456789abcdef --epoch 25 -o member.safetensors
  geozoo export onnx digits-zoo --member 0123456789abcdef --epoch 25 -o member.onnx
"""


@dataclass(frozen=True)
class ZooKind:
    """One way to export a whole zoo: its name, its help, and the function that writes it."""

    name: str
    summary: str
    load: Callable[[], Callable[..., int]]


@dataclass(frozen=True)
class MemberKind:
    """One way to export a member."""

    name: str
    summary: str
    load: Callable[[], Callable[..., None]]


def _tune() -> Callable[..., int]:
    from geozoo.interchange.exports.tune import export_tune

    return export_tune


def _safetensors() -> Callable[..., int]:
    from geozoo.interchange.exports.packs import export_safetensors

    return export_safetensors


def _hf() -> Callable[..., int]:
    from geozoo.interchange.exports.hugging_face import export_hugging_face

    return export_hugging_face


def _dataset() -> Callable[..., int]:
    from geozoo.interchange.exports.model_dataset import export_dataset

    return export_dataset


def _state_dict() -> Callable[..., None]:
    from geozoo.interchange.exports.member import export_state_dict

    return export_state_dict


def _onnx() -> Callable[..., None]:
    from geozoo.interchange.exports.member import export_onnx

    return export_onnx


ZOO_KINDS = (
    ZooKind("tune", "Write a zoo as the folder of trials that published loaders read.", _tune),
    ZooKind("safetensors", "Write a zoo as safetensors files with the members stacked.", _safetensors),
    ZooKind("hf", "Write a zoo as a Hugging Face dataset: Parquet shards by split, and a card.", _hf),
    ZooKind("dataset", "Write a zoo as one .pt file of states with their properties, split by model.", _dataset),
)
MEMBER_KINDS = (
    MemberKind("state-dict", "Write one member as a state_dict: .pt, .pth or .safetensors.", _state_dict),
    MemberKind("onnx", "Write one member as an ONNX graph (needs geozoo[onnx]).", _onnx),
)


def _zoo_command(kind: ZooKind) -> Callable[..., None]:
    def command(
        zoo: Annotated[str, typer.Argument(metavar="ZOO", help="URL or folder of a zoo.")],
        to: Annotated[str, typer.Option("--to", metavar="DEST", help="What to write; it must not be there yet.")],
        members: Annotated[
            list[str] | None, typer.Option("--member", metavar="ID", help="Only this member; repeatable.")
        ] = None,
        epochs: Annotated[
            list[int] | None, typer.Option("--epoch", metavar="N", help="Only this epoch; repeatable.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    ) -> None:
        from geozoo.cli.steps import step_progress
        from geozoo.store import open_zoo

        with step_progress() as on_step:
            states = kind.load()(open_zoo(zoo), to, members or (), epochs or (), on_step)
        outcome = {"zoo": zoo, "to": to, "states": states}
        typer.echo(json_module.dumps(outcome) if json else f"{to}: {states:,} states")

    command.__doc__ = f"{kind.summary}\n{ZOO_EXAMPLES}"
    return command


def _member_command(kind: MemberKind) -> Callable[..., None]:
    def command(
        zoo: Annotated[str, typer.Argument(metavar="ZOO", help="URL or folder of a zoo.")],
        member: Annotated[str, typer.Option("--member", metavar="ID", help="Which member.")],
        output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The file to write.")],
        epoch: Annotated[int | None, typer.Option("--epoch", metavar="N", help="Default: the last one.")] = None,
        json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    ) -> None:
        from geozoo.store import open_zoo

        opened = open_zoo(zoo)
        at = opened.checkpoints[-1] if epoch is None else epoch
        kind.load()(opened, output, member, at)
        outcome: dict[str, Any] = {"zoo": zoo, "member": member, "epoch": at, "to": output}
        typer.echo(json_module.dumps(outcome) if json else output)

    command.__doc__ = f"{kind.summary}\n{MEMBER_EXAMPLES}"
    return command


def add_commands(app: typer.Typer) -> None:
    """Add a command for every kind."""
    for zoo_kind in ZOO_KINDS:
        app.command(name=zoo_kind.name)(_zoo_command(zoo_kind))
    for member_kind in MEMBER_KINDS:
        app.command(name=member_kind.name)(_member_command(member_kind))
