"""The forms in which a data loader can hand out states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from geozoo.errors import InputError
from geozoo.weights.graph import to_graph
from geozoo.weights.layers import to_layers

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.weights.graph import GraphBatch
    from geozoo.weights.layers import LayerBatch
    from geozoo.weights.wiring import Wiring

Form = Literal["layers", "graph"]


@dataclass(frozen=True)
class Collate:
    """Makes a batch of ``(weights [params], target)`` items, whole, into layers or a graph.

    With a data loader::

        wiring = network_wiring("cnn_s", channels=1, size=28, classes=10)
        loader = DataLoader(zoo.torch_dataset("train"), 64, collate_fn=Collate("layers", wiring))
        for (weights, biases), target in loader: ...

    Raises:
        InputError: there is no such form.
        NetworkError: the network has no such form (when the first batch is made).
    """

    form: Form
    wiring: Wiring

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise InputError(f"there is no form {self.form!r} of states: take one of {', '.join(get_args(Form))}.")

    def __call__(self, items: list[tuple[Tensor, Tensor]]) -> tuple[LayerBatch | GraphBatch, Tensor]:
        """The batch in its form, and the targets ``[n]``."""
        from torch.utils.data import default_collate

        weights, targets = default_collate(items)
        change = to_layers if self.form == "layers" else to_graph
        return change(weights, self.wiring), targets
