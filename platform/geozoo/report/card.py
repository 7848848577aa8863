"""The card of a zoo: one self-contained HTML page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from geozoo.errors import InputError
from geozoo.report.page import Picture, render_page
from geozoo.report.probe_view import caption, column_titles, table_lines
from geozoo.report.summary import summarise
from geozoo.report.words import describe_bytes, describe_checkpoints, describe_last, describe_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geozoo.hyper.probing.states import Progress
    from geozoo.hyper.probing.table import ProbeTable
    from geozoo.report.summary import ZooSummary
    from geozoo.store import Zoo

TEMPLATE = "card.html.jinja"
CITATION_KEYS = ("citation", "licence", "license")


def render_card(
    zoo: Zoo, *, with_probe: bool = True, progress: Progress | None = None, address: str | None = None
) -> str:
    """Render the card: summary, figures, probe table, how the zoo was made, how to load and cite it.

    The page makes no request, needs no script, and escapes every text of the zoo. An unfinished zoo says how far it is.

    Args:
        zoo: an open zoo, finished or not.
        with_probe: compute what reads weights: a map, neighbours and the probe table; where the zoo cannot be probed
            the page says why.
        progress: as in ``geozoo.hyper.probing.probe.probe``.
        address: where the page says that the zoo is, if not at its URL.
    """
    summary = summarise(zoo)
    summary = summary if address is None else replace(summary, url=address)
    table, why_no_probe = _probe(zoo, progress) if with_probe else (None, "")
    return render_page(
        TEMPLATE,
        summary=summary,
        sentences=describe_zoo(summary),
        unfinished=describe_unfinished(summary),
        key_figures=key_figures(summary),
        pictures=[
            *(draw_pictures(zoo, summary) if summary.final_accuracy else []),
            *(draw_places(zoo, progress) if with_probe else []),
        ],
        probe={"columns": column_titles(table), "lines": table_lines(table), "caption": caption(table)}
        if table
        else None,
        why_no_probe=why_no_probe,
        facts=made_how(summary),
        recipe=recipe_yaml(_made_from(zoo)),
        loading=loading_code(summary),
        citation=citation_of(zoo.header.recipe),
    )


def _probe(zoo: Zoo, progress: Progress | None) -> tuple[ProbeTable | None, str]:
    """The probe table, or why there is none."""
    from geozoo.hyper.probing.features import DEFAULT_FEATURES, MAX_FLAT_PARAMETERS
    from geozoo.hyper.probing.probe import probe

    narrow = zoo.header.num_parameters <= MAX_FLAT_PARAMETERS
    try:
        return probe(zoo, features=DEFAULT_FEATURES if narrow else ["stats"], progress=progress), ""
    except InputError as error:
        return None, str(error)


def describe_zoo(summary: ZooSummary) -> list[str]:
    """The zoo in three sentences."""
    varying = [name.replace("_", " ") for name in summary.hyperparameters]
    accuracy = "No member is committed yet, so no accuracy is known."
    if summary.final_accuracy:
        lowest, middle, highest = (summary.final_accuracy[name] for name in ("lowest", "median", "highest"))
        accuracy = (
            f"At {describe_last(summary.checkpoints, best=summary.keeps_best)} their test accuracy is {middle:.1%} in "
            f"the median, from {lowest:.1%} to {highest:.1%}."
        )
    metrics = "losses and accuracies on training, validation and test images"
    if summary.origin:
        metrics = f"what was logged by {summary.origin}, from which they were imported"
    return [
        f"{summary.members:,} networks of the kind {summary.network} ({summary.parameters:,} parameters), trained on "
        f"{summary.dataset} ({summary.classes} classes), differ in {', '.join([*varying, 'seed'])}.",
        f"The weights of each are stored at every checkpoint, with {metrics}; checkpoints: "
        f"{describe_checkpoints(summary.checkpoints, best=summary.keeps_best)}.",
        accuracy,
    ]


def describe_unfinished(summary: ZooSummary) -> str:
    """How far an unfinished zoo is; empty for a finished one."""
    if summary.complete:
        return ""
    return (
        f"This zoo is unfinished: {summary.committed_members:,} of {summary.members:,} members are committed, "
        f"{len(summary.uncommitted_cohorts)} of {summary.cohorts} cohorts are missing; what follows is about the "
        "members there are."
    )


def key_figures(summary: ZooSummary) -> list[tuple[str, str]]:
    """Number and label of what the page shows large."""
    figures = [
        (f"{summary.committed_members:,}", "members"),
        (f"{summary.states:,}", "states"),
        (f"{summary.parameters:,}", "parameters each"),
        (describe_bytes(summary.stored_bytes), "stored"),
        (f"{summary.diverged:,}", "diverged"),
    ]
    if summary.final_accuracy:
        figures.append((f"{summary.final_accuracy['median']:.1%}", "median test accuracy"))
    return figures


def draw_pictures(zoo: Zoo, summary: ZooSummary) -> list[Picture]:
    """The figures of a zoo with at least one committed member."""
    from geozoo.hyper.probing.states import chance_level
    from geozoo.report.figures import draw_accuracy, draw_effects, draw_gap

    metrics, last = zoo.metrics, zoo.checkpoints[-1]
    course = zoo.read_history() if summary.keeps_best else metrics
    pictures = [
        Picture(
            "Accuracy",
            f"Test accuracy of the members over epochs (left: median, and bands that hold half and nine tenths of the "
            f"members) and its distribution at epoch {last} (right).",
            draw_accuracy(course, chance_level(zoo.header.dataset, zoo.layout)),
        )
    ]
    members = zoo.members[zoo.members["committed"]]
    final = metrics[metrics["epoch"] == last].set_index("member")["test_accuracy"].reindex(members["member"])
    if summary.hyperparameters:
        pictures.append(
            Picture(
                "Hyper-parameters",
                f"Test accuracy at {describe_last(zoo.checkpoints, best=summary.keeps_best)} by the value of "
                f"{', '.join(summary.hyperparameters)}: one dot a member, boxes for "
                "median and quartiles. The other hyper-parameters vary along.",
                draw_effects(members, final, list(summary.hyperparameters)),
            )
        )
    if metrics["generalization_gap"].isna().all():
        return pictures  # an imported zoo, whose source measured no training accuracy in evaluation mode
    pictures.append(
        Picture(
            "Generalization gap",
            "Training minus test accuracy, both in evaluation mode, over epochs (left) and against test accuracy at "
            f"epoch {last} (right), in percentage points.",
            draw_gap(course),
        )
    )
    return pictures


def draw_places(zoo: Zoo, progress: Progress | None) -> list[Picture]:
    """Where the members lie in the space of weights, and whether neighbours are alike; none where they are too few."""
    from geozoo.hyper.analysis.landscape import Analysis
    from geozoo.report.landscape_maps import draw_homogeneity, draw_maps

    pictures = []
    try:
        analysis = Analysis(zoo, progress=progress)
        accuracy = [one for one in analysis.sample.properties if one.name == "test_accuracy"]
        if not accuracy:
            return []
        epochs = ", ".join(map(str, analysis.sample.epochs))
        text = f"The two principal components of {len(accuracy[0].values):,} states at epochs {epochs}, by accuracy."
        pictures.append(Picture("Map", text, draw_maps(analysis.maps(["pca"]), accuracy[0])))
        text = (
            "Mean difference in a property between a state and its ten nearest other members over that of random "
            "pairs (dots; 0: neighbours are equal), and the 95% interval of the same where it is shuffled (bars)."
        )
        pictures.append(Picture("Neighbours", text, draw_homogeneity(analysis.homogeneity())))
    except InputError:
        return pictures
    return pictures


def made_how(summary: ZooSummary) -> list[tuple[str, str]]:
    """How the zoo was made, as terms and descriptions."""
    facts = [
        ("provenance", summary.provenance),
        ("image set", f"{summary.dataset}, fingerprint {summary.fingerprint}"),
        ("engine", f"{summary.engine}, {summary.precision}; weights stored as {summary.dtype}"),
        *((name.replace("_", " "), values) for name, values in summary.hyperparameters.items()),
        (
            "the same for all",
            "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in summary.constants.items()),
        ),
        ("versions", "; ".join(summary.how.versions)),
        ("processor", "; ".join(summary.how.cpus)),
        ("training time", _training_time(summary)),
        ("digest", summary.digest or "none until the zoo is complete"),
    ]
    return [(term, text) for term, text in facts if text]


def _training_time(summary: ZooSummary) -> str:
    if summary.origin:
        return ""
    return f"{describe_seconds(summary.how.wall_seconds)}, summed over {summary.cohorts} cohorts"


def _made_from(zoo: Zoo) -> dict[str, Any]:
    """The recipe, and of an imported zoo its origin, without the spellings of its keys."""
    origin = zoo.header.origin
    return zoo.header.recipe | ({"origin": origin.model_dump(mode="json", exclude={"keys"})} if origin else {})


def recipe_yaml(recipe: Mapping[str, Any]) -> str:
    """The recipe as YAML, name and title first."""
    first = {key: recipe[key] for key in ("name", "title") if key in recipe}
    return yaml.safe_dump({**first, **recipe}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def loading_code(summary: ZooSummary) -> str:
    """Python that opens the zoo."""
    return "\n".join(
        [
            "import geozoo",
            "",
            f"zoo = geozoo.open_zoo({summary.url!r})",
            "zoo.members                                # one row per member",
            "zoo.metrics                                # one row per member and epoch",
            "zoo.weights[:16, -1]                       # [16, parameters], last checkpoint",
            f"zoo.module(zoo.members.member[0], epoch={summary.checkpoints[-1]})  # a network, ready to run",
        ]
    )


def citation_of(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the recipe says about source, citation and licence."""
    source = (recipe.get("provenance") or {}).get("source")
    named = [(key, recipe.get(key)) for key in CITATION_KEYS]
    return [(key, str(text)) for key, text in [("source", source), *named] if text]
