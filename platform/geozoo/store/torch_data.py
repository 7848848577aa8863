"""A zoo as a PyTorch data set of (weights, target)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from geozoo.store.split import Split, check_split, split_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.store.zoo import Zoo

Item = tuple[torch.Tensor, torch.Tensor]


class StatesDataset(Dataset[Item]):
    """States of the committed members of one split: weights ``[params]`` and target ``[]``, both float32.

    ``index`` is the table of ``member`` and ``epoch`` of the items. States that are not finite, in a weight (by the
    metric ``finite``) or in the target, are left out; ``left_out`` counts them. A ``DataLoader`` fetches each batch in
    one concurrent read.
    """

    def __init__(self, zoo: Zoo, split: Split, epochs: int | Sequence[int] | None, target: str) -> None:
        check_split(split)
        members = [
            member for member in zoo.members.loc[zoo.members["committed"], "member"] if split_of(member) == split
        ]
        columns = list(dict.fromkeys([target, "finite"]))
        table = zoo.read_metrics(columns=columns, epochs=epochs, members=members)
        usable = table["finite"].astype(bool) & np.isfinite(table[target].astype(float))
        self.left_out = int((~usable).sum())
        self.index = table.loc[usable, ["member", "epoch"]].reset_index(drop=True)
        self._targets = torch.from_numpy(table.loc[usable, target].to_numpy(dtype=np.float32, copy=True))
        self._zoo = zoo

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> Item:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: list[int]) -> list[Item]:
        """The items of a batch, read together."""
        rows = self.index.iloc[items]
        weights = torch.from_numpy(self._zoo.states(list(rows["member"]), list(rows["epoch"])))
        return list(zip(weights, self._targets[items], strict=True))
