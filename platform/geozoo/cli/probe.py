"""``geozoo probe``: what can be read from the weights of a zoo."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class FeatureName(StrEnum):
    """What the readouts see of a state."""

    weights = "weights"
    pca = "pca"
    stats = "stats"
    spectral = "spectral"
    equivariant = "equivariant"
    embedding = "embedding"


class SplitName(StrEnum):
    """What is never divided between train, validation and test."""

    member = "member"
    seed = "seed"
    cell = "cell"


DETAILS = """
Ridge or softmax regression, boosted trees and a small perceptron, on flat weights and on layer statistics or other
features, are fitted to test accuracy, generalization gap, epoch and every hyper-parameter that varies, and scored on
members held out.

Examples:

  geozoo probe digits-zoo

  geozoo probe s3://bucket/mnist-cnn-hyp --features stats --split seed --target test_accuracy --json

  geozoo probe mnist-zoo --features stats --test-zoo svhn-zoo

  geozoo probe mnist-zoo --features stats --features pca --labels 10,50,200
"""


def probe(
    url: Annotated[str, typer.Argument(help="URL or folder of a zoo.", show_default=False)],
    features: Annotated[
        list[FeatureName] | None,
        typer.Option(
            help="Flat weights, their principal components, layer statistics, spectral measures, weights in an "
            "equivariant network trained end to end, or the embedding of a model; repeat for several.",
            show_default="weights and stats",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="URL of a trained model, for the embedding.", show_default=False)
    ] = None,
    split: Annotated[
        SplitName,
        typer.Option(help="Split by member, by seed where seeds are reused, or by cell of equal hyper-parameters."),
    ] = SplitName.member,
    target: Annotated[
        list[str] | None, typer.Option(help="Only this property; repeat for several.", show_default="all that vary")
    ] = None,
    test_zoo: Annotated[
        str | None,
        typer.Option(help="Test on another zoo of the same network, by its URL or folder.", show_default=False),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Fit on so many labelled members only, several numbers by commas, such as 10,50,200.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Print every readout and selection of states.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Predict properties of the members of a zoo from their weights."""
    from geozoo.cli.probe_print import print_curves, print_full_table, print_table
    from geozoo.cli.steps import step_progress
    from geozoo.errors import InputError
    from geozoo.hyper.probing.features import DEFAULT_FEATURES
    from geozoo.hyper.probing.labels import label_curves
    from geozoo.hyper.probing.probe import probe as run_probe
    from geozoo.store import open_zoo

    if full and labels is not None:
        raise InputError("--full and --labels print different tables: leave one of them out.")
    zoo = open_zoo(url)
    names = [name.value for name in features or ()] or list(DEFAULT_FEATURES)
    counts = None if labels is None else parse_labels(labels)
    encoder = None
    if model is not None:
        from geozoo.hyper.trained import open_model

        encoder = open_model(model).encoder_of(zoo.layout)
        names = names if "embedding" in names else [*names, "embedding"]
    other = None if test_zoo is None else open_zoo(test_zoo)
    with step_progress() as on_step:
        if counts is None:
            table = run_probe(
                zoo,
                features=names,
                split=split.value,
                targets=target or (),
                encoder=encoder,
                test_zoo=other,
                progress=on_step,
            )
        else:
            curves = label_curves(
                zoo,
                counts,
                features=names,
                split=split.value,
                targets=target or (),
                encoder=encoder,
                test_zoo=other,
                progress=on_step,
            )
    if as_json:
        import json

        typer.echo(json.dumps((table if counts is None else curves).to_dict(), indent=2))
    elif counts is not None:
        print_curves(curves, zoo.header.name)
    elif full:
        print_full_table(table, zoo.header.name)
    else:
        print_table(table, zoo.header.name)


probe.__doc__ = f"{probe.__doc__}\n{DETAILS}"


def parse_labels(text: str) -> list[int]:
    """Read numbers of labelled members, separated by commas.

    Raises:
        InputError: something else.
    """
    from geozoo.errors import InputError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--labels {text!r} is no list of numbers: write it like 10,50,200.") from error
