"""``geozoo audit``: train members of a zoo anew and compare."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.audit import Audit, Chance, MemberOutcome

EXAMPLES = """
Members are compared bit for bit where this machine has the processor, packages and engine that trained them, and
otherwise by how far apart rounding alone takes two trainings, which is statistical.

Examples:

  geozoo audit digits-zoo --retrain 3

  geozoo audit s3://bucket/mnist --retrain 10 --seed 7 --epochs 5

  geozoo audit digits-zoo --members 0a1b2c3d4e5f6071,1122334455667788 --json

The exit code is 0 where all members are what their recipe and seed make them, and 1 where one is not.
"""


def audit(
    url: Annotated[str, typer.Argument(help="URL or folder of a zoo.", show_default=False)],
    retrain: Annotated[
        int | None, typer.Option(metavar="K", help="Audit K members drawn at random.", show_default=False)
    ] = None,
    members: Annotated[
        str | None, typer.Option(metavar="ID,ID", help="Audit these members.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the draw; a fresh one is printed, to draw again.", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Audit the first N epochs only.", show_default=False)
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where the images are, if not where the recipe says.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Train members of a zoo anew from recipe and seed, and compare them with what is stored."""
    from geozoo.audit import chances, draw_members, prepare_audit
    from geozoo.cli.json_values import dumps
    from geozoo.errors import InputError
    from geozoo.populate import available_cores
    from geozoo.store import open_zoo

    if (retrain is None) == (members is None):
        raise InputError("give either --retrain K, for members drawn at random, or --members ID,ID.")
    if seed is not None and (retrain is None or seed < 0):
        raise InputError(f"--seed {seed} needs to be a number from 0 on, and goes with --retrain.")
    zoo = open_zoo(url)
    committed = list(zoo.members.loc[zoo.members["committed"], "member"])
    seed = _fresh_seed() if seed is None else seed
    chosen = draw_members(committed, retrain, seed) if retrain is not None else _names(members)
    prepared = prepare_audit(zoo, chosen, epochs=epochs, data=data, threads=available_cores())
    drawn = None if retrain is None else seed
    odds = [] if retrain is None else chances(len(committed), len(chosen))
    if not json:
        _describe(prepared, drawn, len(committed))
    outcomes = _run(prepared, quiet=json)
    if json:
        typer.echo(dumps(_report(prepared, drawn, outcomes, odds)))
    else:
        _conclude(prepared, outcomes, odds, len(committed))
    if any(outcome.verdict == "differs" for outcome in outcomes):
        raise typer.Exit(1)


audit.__doc__ = f"{audit.__doc__}\n{EXAMPLES}"


def _fresh_seed() -> int:
    import secrets

    return secrets.randbelow(2**32)


def _names(members: str | None) -> list[str]:
    return [name.strip() for name in (members or "").split(",") if name.strip()]


def _describe(prepared: Audit, seed: int | None, committed: int) -> None:
    from geozoo.cli.progress import console

    say = console().print
    zoo = prepared.zoo
    members = sum(len(cohort.members) for cohort in prepared.cohorts)
    drawn = f"drawn with --seed {seed} " if seed is not None else ""
    say(
        f"zoo {zoo.header.name} at {zoo.url}: {members} of {committed} members {drawn}are trained anew by engine "
        f"{zoo.header.engine}, to epoch {prepared.cohorts[0].job.checkpoints[-1]}."
    )
    for others in dict.fromkeys(cohort.others for cohort in prepared.cohorts if cohort.others):
        cohorts = [cohort.cohort for cohort in prepared.cohorts if cohort.others == others]
        say(f"within tolerance only, not bit for bit: {'; '.join(others)} (cohorts {', '.join(cohorts)}).")


def _run(prepared: Audit, *, quiet: bool) -> list[MemberOutcome]:
    """All outcomes, each printed when its cohort is done."""
    from geozoo.cli.steps import step_progress

    outcomes, done = [], 0
    with step_progress() as on_step:

        def on_samples(samples: int) -> None:
            nonlocal done
            done += samples
            on_step("audit", done, prepared.samples)

        for outcome in prepared.run(on_samples):
            outcomes.append(outcome)
            if not quiet:
                typer.echo(_line(outcome))
    return outcomes


def _line(outcome: MemberOutcome) -> str:
    where = "" if outcome.first_difference is None else f" from epoch {outcome.first_difference} on"
    verdict = f"differs{where}: {outcome.reason}" if outcome.verdict == "differs" else outcome.verdict
    return (
        f"member {outcome.member}: {verdict}; largest difference {outcome.largest_difference:.2g}, relative distance "
        f"{outcome.distance:.2g}, same answers to {outcome.agreement:.1%} of the validation images"
    )


def _conclude(prepared: Audit, outcomes: Sequence[MemberOutcome], odds: Sequence[Chance], committed: int) -> None:
    bad = sum(outcome.verdict == "differs" for outcome in outcomes)
    typer.echo(f"{prepared.zoo.url}: {bad or 'none'} of {len(outcomes)} members differ from their retraining")
    if odds:
        told = ", ".join(f"{one.altered} altered {one.chance:.1%}" for one in odds)
        typer.echo(f"chance that {len(outcomes)} members drawn of {committed} hold an altered one: {told}")


def _report(
    prepared: Audit, seed: int | None, outcomes: Sequence[MemberOutcome], odds: Sequence[Chance]
) -> dict[str, Any]:
    return {
        "url": prepared.zoo.url,
        "seed": seed,
        "last_epoch": prepared.cohorts[0].job.checkpoints[-1],
        "other_conditions": {cohort.cohort: cohort.others for cohort in prepared.cohorts},
        "members": [asdict(outcome) for outcome in outcomes],
        "chances": [asdict(one) for one in odds],
        "clean": not any(outcome.verdict == "differs" for outcome in outcomes),
    }
