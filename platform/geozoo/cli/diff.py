"""``geozoo diff``: tell two zoos apart."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.interchange.diff import MemberDifference, Spread, ZooDiff

SHOWN = 10
EXAMPLES = """
Members are told apart by their digests; weights are read of those only that differ.

Examples:

  geozoo diff digits-zoo digits-again

  geozoo diff digits-zoo s3://bucket/digits --json

The exit code is 0 where nothing tells the zoos apart, 1 where something does, and 2 for bad input.
"""


def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="URL or folder of a zoo.", show_default=False)],
    other: Annotated[str, typer.Argument(metavar="B", help="URL or folder of another.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Tell two zoos apart by recipe, members, weights and metrics."""
    from geozoo.cli.json_values import dumps
    from geozoo.cli.steps import step_progress
    from geozoo.interchange.diff import diff_zoos
    from geozoo.store import open_zoo

    zoos = open_zoo(one), open_zoo(other)
    with step_progress() as on_step:
        found = diff_zoos(*zoos, on_step)
    if json:
        typer.echo(dumps({"equal": found.equal, **asdict(found)}))
    else:
        typer.echo("\n".join(_lines(found)))
    if not found.equal:
        raise typer.Exit(1)


diff.__doc__ = f"{diff.__doc__}\n{EXAMPLES}"


def _lines(found: ZooDiff) -> Iterator[str]:
    for field in found.fields:
        yield f"recipe: {field.field} is {field.one} in A and {field.other} in B"
    for clause in found.shared:
        yield f"shared: {clause}"
    for name, members in (("A", found.only_one), ("B", found.only_other)):
        yield from _some([f"member {member} only in {name}" for member in members], f"members only in {name}")
    yield from _some([_member(one) for one in found.differing], "members that differ")
    for name, pending in zip("AB", found.pending, strict=True):
        if pending:
            yield f"{pending} planned members of {name} are not committed and count as not there"
    yield f"members: {found.common} common, {len(found.differing)} of them differ; " + (
        f"{len(found.only_one)} only in A, {len(found.only_other)} only in B"
    )
    test = found.accuracies
    yield f"final test accuracy: A {_spread(test.one)}, B {_spread(test.other)}" + (
        "" if test.p_value is None else f"; Kolmogorov-Smirnov {test.statistic:.3f}, p {test.p_value:.3g}"
    )
    yield "equal" if found.equal else "different"


def _some(lines: list[str], what: str) -> Iterator[str]:
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"and {len(lines) - SHOWN} more {what}: see --json"


def _member(one: MemberDifference) -> str:
    if one.weights is None:
        weights = "its weights cannot be compared"
    elif one.epoch is None:
        weights = "its weights are equal"
    else:
        weights = f"its weights differ by up to {one.weights:.3g}, at epoch {one.epoch}"
    metrics = "metrics are equal" if one.metric is None else f"{one.metric} by up to {one.metric_difference:.3g}"
    return f"member {one.member}: {weights}; {metrics}"


def _spread(values: Spread) -> str:
    if values.mean is None:
        return "unknown"
    return f"{values.mean:.1%}" + ("" if values.std is None else f" ± {values.std:.1%}") + f" ({values.count})"
