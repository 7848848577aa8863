"""``geozoo merge``: join zoos of equal layout."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

EXAMPLES = """
The merged zoo holds the members of all, bit for bit, says which zoo each comes from (column zoo of its members), and
stands alone. An interrupted merge is finished by the same command.

Examples:

  geozoo merge digits-tanh digits-relu --to digits

  geozoo merge s3://bucket/mnist-a s3://bucket/mnist-b --to s3://bucket/mnist --json
"""


def merge(
    zoos: Annotated[list[str], typer.Argument(help="URLs or folders of zoos, two or more.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix.")],
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Join finished zoos of equal layout, images and checkpoints into one."""
    from geozoo.cli.progress import console
    from geozoo.cli.steps import step_progress
    from geozoo.errors import InterruptedRunError
    from geozoo.interchange.merge import prepare_merge
    from geozoo.store import refuse_unsafe_endpoint

    merger = prepare_merge(zoos)
    location = merger.destination(to)
    refuse_unsafe_endpoint(location)
    console().print(
        f"{len(merger.plan)} members in {len(merger.parts)} cohorts, {merger.size / 1e6:.1f} MB, are copied to "
        f"{location.url}."
    )
    try:
        with step_progress() as on_step:
            done = 0

            def on_bytes(count: int) -> None:
                nonlocal done
                done += count
                on_step("merge", done, merger.size)

            merged = merger.write(location.url, on_bytes)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted; what is committed stands: run the same command again to finish {location.url}."
        ) from None
    counts = merged.members["zoo"].value_counts(sort=False).to_dict()
    if json:
        typer.echo(json_module.dumps({"url": merged.url, "members": counts, "digest": merged.digest()}))
        return
    for name, count in counts.items():
        typer.echo(f"{count} members of {name}")
    typer.echo(f"digest {merged.digest()}")


merge.__doc__ = f"{merge.__doc__}\n{EXAMPLES}"
