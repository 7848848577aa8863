"""An attempt: one try at training a cohort, written under its own name and made the cohort by a commit."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import numpy as np

from geozoo.errors import DamagedZooError, InputError, StoreLostError
from geozoo.store.commit import WEIGHTS_FOLDER, Commit, StoredObject, attempt_folder, commit_name
from geozoo.store.digest import MemberDigests
from geozoo.store.metrics import METRICS_NAME, encode_metrics
from geozoo.store.plans import PLAN_COLUMNS, cohort_plan, plan_name
from geozoo.store.shards import MAX_SHARD_BYTES, Grid, array_metadata, encode_shards

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from geozoo.store.backends import Bytes
    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location


class Attempt:
    """Writer of one cohort: ``begin``, then ``append`` for every checkpoint, then ``commit``.

    States are buffered until a shard is full, so memory is bounded by two shards, the buffer and the bytes made of it,
    whatever the number of epochs. Objects are written once and never touched again; without a commit no reader sees
    them. Every method raises ``StoreLostError`` when the store fails.
    """

    def __init__(
        self, location: Location, header: ZooHeader, members: pd.DataFrame, plan_sha256: str, max_shard_bytes: int
    ) -> None:
        self.cohort = str(members["cohort"].iloc[0])
        self.name = f"{self.cohort}-{uuid4().hex[:8]}"
        self._location = location
        self._header = header
        self._members = members
        self._plan_sha256 = plan_sha256
        self._objects: dict[str, StoredObject] = {}
        self._metrics: list[dict[str, Any]] = []
        self._digests: MemberDigests | None = None
        self._tried = False
        shape = (len(members), len(header.checkpoints), header.num_parameters)
        grid = Grid.design(shape, header.dtype, max_shard_bytes)
        self._grid = grid
        self._buffer = np.empty((shape[0], min(grid.shard[1], shape[1]), shape[2]), dtype=header.dtype)

    @classmethod
    def begin(
        cls, location: Location, header: ZooHeader, members: pd.DataFrame, *, max_shard_bytes: int = MAX_SHARD_BYTES
    ) -> Self:
        """Start an attempt.

        Args:
            location: root of the store.
            header: header of the zoo there.
            members: the plan-table rows of one whole cohort; ``append`` takes its members by ascending position.
            max_shard_bytes: upper bound for a shard that holds more than one state.
        """
        rows = members[list(PLAN_COLUMNS)].sort_values("position").reset_index(drop=True)
        if rows["cohort"].nunique() != 1 or list(rows["position"]) != list(range(len(rows))):
            raise InputError("an attempt takes the plan rows of one whole cohort, with positions 0 to G-1.")
        plan = plan_name(cohort_plan(rows["cohort"].iloc[0]))
        try:
            plan_sha256 = hashlib.sha256(location.read(plan)).hexdigest()
        except FileNotFoundError as error:
            raise DamagedZooError(
                f"{plan} is missing in {location.url}, which plans cohort {rows['cohort'][0]}."
            ) from error
        return cls(location, header, rows, plan_sha256, max_shard_bytes)

    def append(self, epoch: int, weights: np.ndarray[Any, Any], metrics: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Add the next checkpoint: weights ``[members, params]`` by position, and metrics ``{name: [members]}``.

        Raises:
            InputError: it is not the checkpoint that comes next, or a shape or the metrics' names do not fit.
        """
        self._check(epoch, weights, metrics)
        if self._digests is None:
            self._digests = MemberDigests(self._header, self._members, list(metrics))
            attributes = {"members": list(self._members["member"]), "checkpoints": list(self._header.checkpoints)}
            self._write(f"{WEIGHTS_FOLDER}/zarr.json", array_metadata(self._grid, attributes))
        done = len(self._metrics)
        slot = done % self._buffer.shape[1]
        with np.errstate(over="ignore"):  # float16: a weight beyond 65504 is stored as infinity
            self._buffer[:, slot] = weights
        self._digests.update(epoch, self._buffer[:, slot], metrics)
        self._metrics.append({name: np.array(values) for name, values in metrics.items()})
        if slot + 1 == self._buffer.shape[1] or done + 1 == len(self._header.checkpoints):
            for key, data in encode_shards(self._grid, done - slot, self._buffer[:, : slot + 1]):
                self._write(f"{WEIGHTS_FOLDER}/{key}", data)

    def commit(self, how: dict[str, Any]) -> Commit | None:
        """Make this attempt the cohort, unless another one is already.

        Args:
            how: JSON-able facts about the training: engine, versions, processor, threads, wall time.

        Returns:
            Our commit, or None where another attempt was committed first; ours is then garbage that no reader sees.
        """
        missing = len(self._header.checkpoints) - len(self._metrics)
        if missing or self._digests is None:
            raise InputError(f"attempt {self.name} cannot be committed: {missing} of its checkpoints are missing.")
        members = list(self._members["member"])
        self._write(METRICS_NAME, encode_metrics(members, self._header.checkpoints, self._metrics))
        self._refuse_collected()
        commit = Commit(
            cohort=self.cohort,
            attempt=self.name,
            plan=cohort_plan(self.cohort),
            plan_sha256=self._plan_sha256,
            header_sha256=self._header.sha256,
            weights=self._grid,
            objects=self._objects,
            digests=self._digests.hexdigests(),
            how=how,
        )
        self._tried = True
        return commit if self._location.create_once(commit_name(self.cohort), commit.dumps()) else None

    def abandon(self) -> None:
        """Remove what was written, as far as the store still answers; what stays behind no reader sees.

        An attempt that tried to commit is left alone: the commit may have reached the store without its reply.
        """
        if not self._tried:
            with contextlib.suppress(StoreLostError):
                self._location.delete(list(self._objects))

    def _write(self, name: str, data: Bytes) -> None:
        path = f"{attempt_folder(self.name)}/{name}"
        self._location.write(path, data)
        self._objects[path] = StoredObject(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def _refuse_collected(self) -> None:
        """A run that was suspended for long may find its objects collected as garbage: never commit to those."""
        there = self._location.list(attempt_folder(self.name))
        if gone := self._objects.keys() - there.keys():
            raise StoreLostError(
                f"cannot commit {self.name} in {self._location.url}: {min(gone)} was removed meanwhile; populate again."
            )

    def _check(self, epoch: int, weights: np.ndarray[Any, Any], metrics: Mapping[str, Any]) -> None:
        checkpoints, done = self._header.checkpoints, len(self._metrics)
        if done == len(checkpoints) or epoch != checkpoints[done]:
            due = "none" if done == len(checkpoints) else checkpoints[done]
            raise InputError(f"attempt {self.name} got epoch {epoch}, and the next checkpoint of this zoo is {due}.")
        expected = (len(self._members), self._header.num_parameters)
        if weights.shape != expected:
            raise InputError(
                f"attempt {self.name} got weights of shape {weights.shape}, and its states are {expected}."
            )
        names = self._metrics[0].keys() if self._metrics else metrics.keys()
        if metrics.keys() != names or any(np.shape(values) != expected[:1] for values in metrics.values()):
            raise InputError(f"attempt {self.name} got metrics that are not one value a member for {sorted(names)}.")
