"""Kinds of experiments that ``geozoo train`` runs: how each is read, checked, run and reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geozoo.training.distributed import World
    from geozoo.training.loop import Watch


@dataclass(frozen=True)
class Kind:
    """One kind of experiment.

    Attributes:
        load: from a path and overrides to the experiment, its URLs meaning the same in every working directory.
        check: raises what can be known to be wrong before workers start.
        run: trains to a URL as one worker of a world.
        open_card: the card of a finished run: ``history`` and ``best_epoch``.
    """

    load: Callable[[str, Sequence[str]], Any]
    check: Callable[[Any], None]
    run: Callable[[Any, str, World, Watch], None]
    open_card: Callable[[str], Any]


def kind_of(path: str) -> Kind:
    """What an experiment file says it is; one that says nothing known is read as ``hyper``, which explains.

    Raises:
        RecipeError: the file is missing or no YAML mapping.
    """
    from geozoo.recipe.load import read_kind

    return _ssl() if read_kind(path) == "ssl" else _hyper()


def _hyper() -> Kind:
    from geozoo.hyper.experiment import load_experiment
    from geozoo.hyper.fit import check, run_experiment
    from geozoo.hyper.sources import located
    from geozoo.hyper.trained import open_model

    return Kind(
        load=lambda path, overrides: located(load_experiment(path, overrides)),
        check=check,
        run=run_experiment,
        open_card=lambda url: open_model(url).card,
    )


def _ssl() -> Kind:
    from geozoo.ssl.experiment import load_ssl_experiment
    from geozoo.ssl.fit import check, located, run_experiment
    from geozoo.ssl.trained import open_views

    return Kind(
        load=lambda path, overrides: located(load_ssl_experiment(path, overrides)),
        check=check,
        run=run_experiment,
        open_card=lambda url: open_views(url).card,
    )
