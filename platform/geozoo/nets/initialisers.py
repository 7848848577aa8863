"""Weight initialisers by the names the published zoos use: `torch.nn.init` with the generator of one member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    Initialiser = Callable[[Tensor, float, Generator], Tensor]


def _from_torch(function: str) -> Initialiser:
    def initialise(weight: Tensor, std: float, generator: Generator) -> Tensor:
        from torch.nn import init

        filled: Tensor = getattr(init, function)(weight, generator=generator)
        return filled

    return initialise


def _normal(weight: Tensor, std: float, generator: Generator) -> Tensor:
    from torch.nn import init

    return init.normal_(weight, std=std, generator=generator)


def _trunc_normal(weight: Tensor, std: float, generator: Generator) -> Tensor:
    from torch.nn import init

    return init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)


INITIALISERS: dict[str, Initialiser] = {
    "kaiming_normal": _from_torch("kaiming_normal_"),
    "kaiming_uniform": _from_torch("kaiming_uniform_"),
    "normal": _normal,
    "orthogonal": _from_torch("orthogonal_"),
    "trunc_normal": _trunc_normal,
    "uniform": _from_torch("uniform_"),
    "xavier_normal": _from_torch("xavier_normal_"),
    "xavier_uniform": _from_torch("xavier_uniform_"),
}
"""Name in a recipe -> ``f(weight, init_std, generator)``, which fills ``weight`` in place with torch's defaults.

``uniform`` is U[0, 1), what the published seed zoos were made with: their weights start strictly positive. Only
``normal`` and ``trunc_normal`` (cut at two standard deviations) look at ``init_std``.
"""


def find_initialiser(name: str) -> Initialiser:
    """Return the initialiser of a name, or raise `NetworkError` naming those there are."""
    if name not in INITIALISERS:
        raise NetworkError(f"there is no initialiser {name!r}: choose one of {', '.join(INITIALISERS)}.")
    return INITIALISERS[name]
