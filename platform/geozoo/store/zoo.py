"""A zoo, opened for reading."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DamagedZooError, InputError, NetworkError, StoreUnusableError, ZooNotFoundError
from geozoo.store.best import BEST_EPOCH
from geozoo.store.commit import Commit, commit_name
from geozoo.store.digest import zoo_digest
from geozoo.store.header import HEADER_NAME, ZooHeader
from geozoo.store.holdings import CommittedCohorts, Holdings
from geozoo.store.location import Location, open_location
from geozoo.store.manifest import MANIFEST_NAME, PUBLISHING_NAME, UNFINISHED, is_publication
from geozoo.store.merged import Merged
from geozoo.store.metrics import HISTORY_NAME, METRICS_NAME
from geozoo.store.plans import Plan, plan_columns, read_plans
from geozoo.store.published import read_published
from geozoo.store.reader import ShardRead, ShardReader
from geozoo.store.tensors import batches_trained, named_tensors
from geozoo.store.weights import Indices, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    import torch

    from geozoo.nets.layout import Layout
    from geozoo.store.reader import Integers
    from geozoo.store.split import Split
    from geozoo.store.torch_data import StatesDataset

    Members = str | int | Sequence[str] | Sequence[int] | np.ndarray[Any, Any]
    Epochs = int | Sequence[int] | Integers


class Zoo:
    """A zoo as it was when opened; what is committed later is seen by opening it again.

    ``members`` arguments are member ids or positions in :attr:`members`, one or several; ``epochs`` are among
    :attr:`checkpoints`. Methods that read states or metrics raise ``NotCommittedError`` for a member that is planned
    but not committed and ``DamagedZooError`` where stored bytes are missing or are not what was committed. Safe to use
    from many threads; pickles as its URL.

    Attributes:
        location: root of the store.
        header: the content of ``zoo.json``.
        plans: its plan files; none where it is published.
        members: one row per member: the columns of the plan, then ``plan`` (its number) and ``committed`` (bool), and
            in a merged zoo ``zoo``, the name of the one it comes from.
    """

    def __init__(
        self, location: Location, header: ZooHeader, members: pd.DataFrame, holdings: Holdings, plans: Sequence[Plan]
    ) -> None:
        import pandas as pd

        self.location = location
        self.header = header
        self.plans = tuple(plans)
        if isinstance(header.origin, Merged):
            names = {cohort: header.origin.source_of(cohort).name for cohort in members["cohort"].unique()}
            members = members.assign(zoo=members["cohort"].map(names))
        self.members = members
        self._ids = pd.Index(members["member"])
        self._holdings = holdings
        self._reader = ShardReader(location)

    def __repr__(self) -> str:
        done = int(self.members["committed"].sum())
        return f"Zoo({self.url!r}: {done} of {len(self.members)} members, {len(self.checkpoints)} checkpoints)"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open_zoo, (self.url,)

    @property
    def url(self) -> str:
        """Where the zoo lives."""
        return self.location.url

    @property
    def layout(self) -> Layout:
        """Where each tensor lies in a flat weight vector."""
        return self.header.layout

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The epochs whose states are stored, ascending; 0 is the initialisation."""
        return self.header.checkpoints

    @cached_property
    def weights(self) -> Weights:
        """All weights as a read-only array-like ``[members, checkpoints, params]``."""
        shape = (len(self.members), len(self.checkpoints), self.header.num_parameters)
        return Weights(shape, np.dtype(self.header.dtype), self._read_states)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """:meth:`read_metrics` of all committed members, cached: treat it as read-only."""
        return self.read_metrics()

    def read_metrics(
        self,
        columns: Sequence[str] | None = None,
        epochs: Epochs | None = None,
        members: Members | None = None,
    ) -> pd.DataFrame:
        """Metrics of states, one row per member and epoch: ``member``, ``epoch``, then one column for each metric.

        Where the zoo keeps the best epochs, they are those of the best one: see `geozoo.store.best`. Rows are in the
        order of ``members`` (default: all committed ones), then by epoch (default: all checkpoints).
        """
        if epochs is not None:
            self._checkpoint_indices(epochs)
        return self._read_tables(METRICS_NAME, columns, epochs, members)

    def read_history(self, columns: Sequence[str] | None = None, members: Members | None = None) -> pd.DataFrame:
        """Metrics of all epochs that have any, their states kept or not; rows as of :meth:`read_metrics`."""
        name = HISTORY_NAME if self.header.keeps_best else METRICS_NAME
        return self._read_tables(name, columns, None, members)

    def _read_tables(
        self, name: str, columns: Sequence[str] | None, epochs: Epochs | None, members: Members | None
    ) -> pd.DataFrame:
        import pandas as pd

        committed = np.flatnonzero(self.members["committed"])
        rows = committed if members is None else self._rows(members)
        tables = self._holdings.metric_tables(rows, columns, name)
        if not tables:
            return pd.DataFrame(columns=["member", "epoch", *(columns or ())])
        table: pd.DataFrame = pd.concat(tables, ignore_index=True)
        order = pd.Index(self._ids[rows]).drop_duplicates().get_indexer(table["member"])
        keep = order >= 0
        if epochs is not None:
            keep &= table["epoch"].isin(np.atleast_1d(epochs)).to_numpy()
        table, order = table.loc[keep], order[keep]
        rows = np.lexsort((table["epoch"], order))
        return table.iloc[rows].reset_index(drop=True)

    def states(self, members: Members, epochs: Epochs) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Weights ``[n, params]``, float32, of ``n`` states: members and epochs pair up, one of either is repeated."""
        return self._read_states(*self._pairs(members, epochs)).astype(np.float32, copy=False)

    def shard_reads(self, members: Members, epochs: Epochs) -> list[ShardRead]:
        """What a :class:`ShardReader` has to read for :meth:`states`, shard by shard in the order of storage."""
        return self._holdings.shard_reads(*self._pairs(members, epochs))

    def state_dict(self, member: str | int, epoch: int) -> dict[str, torch.Tensor]:
        """A member's tensors by name, float32 (batch counters int64), as its network loads them strictly.

        Each owns its storage, so saving one saves no more than itself.
        """
        vector, plan = self.states(member, epoch)[0], self.members.iloc[int(self._rows(member)[0])]
        if self.header.keeps_best and any(slot.role == "buffer" for slot in self.layout):
            epoch = int(self.read_metrics([BEST_EPOCH], members=[plan["member"]])[BEST_EPOCH].iloc[0])
        return named_tensors(vector, self.layout, batches_trained(self.header, plan["batch_size"], epoch))

    def module(self, member: str | int, epoch: int) -> torch.nn.Module:
        """A member as a network in evaluation mode, ready to run.

        Raises:
            NetworkError: the zoo was imported and does not tell which network, or which activation, its members have.
        """
        from geozoo.nets import build_network

        network, plan = self.header.network, self.members.iloc[int(self._rows(member)[0])]
        activation, dropout = plan["activation"], plan["dropout"]
        if not isinstance(activation, str):
            raise NetworkError(
                f"the activation of member {plan['member']} of {self.url} is not known, which was imported without "
                "it: use its state_dict with a network of your own."
            )
        dropout = float(dropout) if dropout == dropout else 0.0
        module = build_network(**network, activation=activation, dropout=dropout)
        module.load_state_dict(self.state_dict(member, epoch))
        return module.eval()

    def torch_dataset(
        self,
        split: Split = "train",
        epochs: int | Sequence[int] | None = None,
        target: str = "test_accuracy",
        *,
        parts: np.ndarray[Any, Any] | None = None,
    ) -> StatesDataset:
        """States of one split with a metric as the target.

        The split is by member, 70 % train, 15 % validation, 15 % test, or what ``parts`` says for every row of
        :attr:`members`. For layers or graphs instead of flat weights see ``geozoo.weights.forms.Collate``.
        """
        from geozoo.store.torch_data import StatesDataset

        return StatesDataset(self, split, epochs, target, parts)

    def plan_of(self, cohort: str) -> pd.DataFrame:
        """The plan-table rows of one cohort by ascending position."""
        rows = self.members.loc[self.members["cohort"] == cohort, plan_columns(self.members)]
        if rows.empty:
            raise InputError(f"there is no cohort {cohort!r} in {self.url}: see zoo.members.")
        return rows.sort_values("position").reset_index(drop=True)

    def header_of(self, cohort: str) -> ZooHeader:
        """What the members of a cohort share: the header or, in a merged zoo, that of the zoo they come from.

        Its ``plan_sha256`` is not that zoo's.
        """
        if not isinstance(self.header.origin, Merged):
            return self.header
        source = self.header.origin.source_of(cohort)
        shared = {"name": source.name, "recipe": source.recipe, "engine": source.engine}
        return self.header.model_copy(update={**shared, "origin": None})

    def commits(self) -> dict[str, Commit]:
        """All commits by cohort; none where the zoo is published."""
        return self._holdings.commits()

    def how(self) -> dict[str, dict[str, Any]]:
        """How each committed cohort was trained (engine, versions, processor, threads, wall time), by cohort."""
        return self._holdings.how()

    def stored_bytes(self) -> int:
        """Size of the stored weights and metrics."""
        return self._holdings.stored_bytes()

    def digests(self) -> dict[str, str]:
        """Digest of every member of a finished zoo by id, as committed."""
        return self._holdings.digests()

    def digest(self) -> str:
        """SHA-256 of the content of a finished zoo, from :meth:`digests`.

        Equal for zoos with the same members, weights and metrics, however they are cut into cohorts and objects.
        """
        return zoo_digest(self.digests())

    def _pairs(self, members: Members, epochs: Epochs) -> tuple[Indices, Indices]:
        """Rows and checkpoint indices of states."""
        rows, checkpoints = self._rows(members), self._checkpoint_indices(epochs)
        try:
            rows, checkpoints = np.broadcast_arrays(rows, checkpoints)
        except ValueError as error:
            raise InputError(
                "members and epochs are paired, so give as many of the one as of the other, or one of either."
            ) from error
        return rows, checkpoints

    def _rows(self, members: Members) -> Indices:
        """Positions of members in the table."""
        wanted = np.atleast_1d(np.asarray(members))
        if not wanted.size:
            return np.empty(0, dtype=np.intp)
        if wanted.dtype.kind in "iu":
            if wanted.min() < -len(self._ids) or wanted.max() >= len(self._ids):
                raise InputError(
                    f"member position {wanted.max()} is out of range: this zoo has {len(self._ids)} members."
                )
            return wanted.astype(np.intp) % len(self._ids)
        rows = self._ids.get_indexer(wanted)
        if (rows < 0).any():
            raise InputError(f"there is no member {str(wanted[rows < 0][0])!r} in {self.url}: see zoo.members.")
        return np.asarray(rows, dtype=np.intp)

    def _checkpoint_indices(self, epochs: Epochs) -> Indices:
        wanted = np.atleast_1d(epochs)
        if unknown := sorted(set(wanted.tolist()) - set(self.checkpoints)):
            known = ", ".join(map(str, self.checkpoints))
            raise InputError(f"epoch {unknown[0]} is not stored in {self.url}: its checkpoints are {known}.")
        return np.searchsorted(self.checkpoints, wanted)

    def _read_states(self, rows: Indices, checkpoints: Indices) -> np.ndarray[Any, Any]:
        """States ``[n, params]`` in the stored dtype."""
        out = np.empty((len(rows), self.header.num_parameters), dtype=self.header.dtype)
        self._reader.read(self._holdings.shard_reads(rows, checkpoints), out)
        return out


def open_zoo(url: str | Path) -> Zoo:
    """Open a zoo, or a published one: reads ``zoo.json``, the plans and one listing; the rest is read when asked for.

    Raises:
        ZooNotFoundError: there is no zoo at this URL.
        StoreUnusableError: the URL cannot be read, a newer geozoo wrote the zoo, or it is not wholly published yet.
        DamagedZooError: ``zoo.json`` or a plan is missing or damaged.
    """
    import pandas as pd

    location = open_location(url)
    with location.opening():
        names = location.list()
    if MANIFEST_NAME in names:
        return Zoo(location, *read_published(location), plans=())
    if PUBLISHING_NAME in names:
        raise StoreUnusableError(f"{location.url} holds {UNFINISHED}: run the same geozoo publish again.")
    if is_publication(names):
        raise DamagedZooError(
            f"{MANIFEST_NAME} is missing in {location.url}, so that the zoo published there is not whole: "
            "restore it, or copy or publish the zoo again."
        )
    if HEADER_NAME not in names:
        if any(name.startswith("commits/") for name in names):
            raise DamagedZooError(f"{HEADER_NAME} is missing in {location.url}, which holds commits: restore it.")
        raise ZooNotFoundError(f"there is no zoo at {location.url}: check the URL, or make one with geozoo populate.")
    header = ZooHeader.loads(location.read(HEADER_NAME), f"{location.url}/{HEADER_NAME}")
    plans = read_plans(location, header, names)
    table = pd.concat([plan.table.assign(plan=plan.number) for plan in plans], ignore_index=True)
    committed = {cohort for cohort in table["cohort"].unique() if commit_name(cohort) in names}
    members = table.assign(committed=table["cohort"].isin(committed))
    return Zoo(location, header, members, CommittedCohorts(location, header, plans, members), plans)
