"""An attempt: one try at training a cohort, written under its own name and made the cohort by a commit."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import numpy as np

from geozoo.errors import DamagedZooError, InputError, StoreLostError
from geozoo.store.best import BEST_EPOCH, BestSoFar
from geozoo.store.commit import Commit, StoredObject, attempt_folder, commit_name
from geozoo.store.digest import MemberDigests
from geozoo.store.metrics import HISTORY_NAME, METRICS_NAME, encode_metrics
from geozoo.store.plans import cohort_plan, plan_columns, plan_name
from geozoo.store.resume import read_resume_point, write_resume_point
from geozoo.store.shards import MAX_SHARD_BYTES, WEIGHTS_FOLDER, Grid, array_metadata, encode_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from geozoo.store.backends import Bytes
    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location
    from geozoo.store.resume import ResumePoint


class Attempt:
    """Writer of one cohort: ``begin``, then ``append`` for every epoch with metrics, then ``commit``.

    These are the checkpoints of the zoo, or all trained epochs where it keeps the best ones (`geozoo.store.best`).
    States are buffered until a shard is full, so memory is bounded by two shards, the buffer and the bytes made of it,
    whatever the number of epochs. Objects are written once and never touched again; without a commit no reader sees
    them. ``keep`` writes a resume point, ``resume_point`` finds that of an earlier attempt at the same cohort. Every
    method raises ``StoreLostError`` when the store fails.
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
        self._resume_objects: list[str] = []
        self._digests: MemberDigests | None = None
        self._tried = False
        shape = (len(members), len(header.checkpoints), header.num_parameters)
        grid = Grid.design(shape, header.dtype, max_shard_bytes)
        self._grid = grid
        self._best = BestSoFar(shape[0], shape[2], header.dtype) if header.keeps_best else None
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
        columns = plan_columns(members)
        rows = members[columns].sort_values("position").reset_index(drop=True)
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
        """Add the next epoch: weights ``[members, params]`` by position, and metrics ``{name: [members]}``.

        Raises:
            InputError: it is not the epoch that comes next, or a shape or the metrics' names do not fit.
        """
        self._check(epoch, weights, metrics)
        if self._best is None:
            self._store(len(self._metrics), epoch, weights, metrics)
        else:
            metrics = self._best.take(epoch, weights, metrics)
            self._begun(metrics).update(epoch, None, metrics)
            if epoch == self._header.checkpoints[-1]:
                self._store(0, epoch, self._best.weights, self._best.metrics)
        self._metrics.append({name: np.array(values) for name, values in metrics.items()})

    def _begun(self, metrics: Mapping[str, np.ndarray[Any, Any]]) -> MemberDigests:
        """Begin the array and the digests with the first metrics there are."""
        if self._digests is None:
            self._digests = MemberDigests(self._header, self._members, list(metrics))
            attributes = {"members": list(self._members["member"]), "checkpoints": list(self._header.checkpoints)}
            self._write(f"{WEIGHTS_FOLDER}/zarr.json", array_metadata(self._grid, attributes))
        return self._digests

    def _store(
        self, done: int, epoch: int, weights: np.ndarray[Any, Any], metrics: Mapping[str, np.ndarray[Any, Any]]
    ) -> None:
        """Put a checkpoint, of which ``done`` precede, into the buffer, and a full buffer into shards."""
        digests = self._begun(metrics)
        slot = done % self._buffer.shape[1]
        with np.errstate(over="ignore"):  # float16: a weight beyond 65504 is stored as infinity
            self._buffer[:, slot] = weights
        digests.update(epoch, self._buffer[:, slot], metrics)
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
        missing = len(self._header.evaluated_epochs) - len(self._metrics)
        if missing or self._digests is None:
            raise InputError(f"attempt {self.name} cannot be committed: {missing} of its checkpoints are missing.")
        members = list(self._members["member"])
        blocks = self._metrics
        if self._best is not None:
            self._write(HISTORY_NAME, encode_metrics(members, self._header.evaluated_epochs, blocks))
            blocks = [self._best.metrics]
        self._write(METRICS_NAME, encode_metrics(members, self._header.checkpoints, blocks))
        self._refuse_collected()
        commit = self._commit(self._digests.hexdigests(), how)
        self._tried = True
        won = self._location.create_once(commit_name(self.cohort), commit.dumps())
        with contextlib.suppress(StoreLostError):  # geozoo gc removes it otherwise
            self._location.delete(self._resume_objects)
        return commit if won else None

    def _commit(self, digests: dict[str, str], how: dict[str, Any]) -> Commit:
        return Commit(
            cohort=self.cohort,
            attempt=self.name,
            plan=cohort_plan(self.cohort),
            plan_sha256=self._plan_sha256,
            header_sha256=self._header.sha256,
            weights=self._grid,
            objects=dict(self._objects),
            digests=digests,
            how=how,
        )

    def rests_after(self, epochs: int) -> bool:
        """Whether all states lie in whole shards once so many epochs were appended, and more are to come."""
        left = epochs < len(self._header.evaluated_epochs)
        return left and (self._best is not None or epochs % self._buffer.shape[1] == 0)

    def keep(self, epoch: int, state: dict[str, np.ndarray[Any, Any]], how: dict[str, Any]) -> None:
        """Write a resume point after an epoch, in place of the one before; `rests_after` tells when.

        Args:
            epoch: how far training is; all epochs up to it that have metrics were appended.
            state: what the engine goes on from.
            how: how training was done so far, as for `commit`.
        """
        before, evaluated = self._resume_objects, self._header.evaluated_epochs[: len(self._metrics)]
        metrics, best = self._metrics, None
        if self._best is not None:
            metrics = [{name: values for name, values in block.items() if name != BEST_EPOCH} for block in metrics]
            best = self._best.weights if metrics else None
        written = self._commit({}, how)
        self._resume_objects = write_resume_point(self._location, written, epoch, evaluated, state, metrics, best)
        self._location.delete([name for name in before if name not in self._resume_objects])

    def resume_point(self, on_note: Callable[[str], None]) -> ResumePoint | None:
        """The latest resume point of another attempt at this cohort; see `geozoo.store.resume.read_resume_point`."""
        return read_resume_point(self._location, self._header, self.cohort, self._plan_sha256, on_note)

    def abandon(self) -> None:
        """Remove what was written, as far as the store still answers; what stays behind no reader sees.

        An attempt that tried to commit is left alone: the commit may have reached the store without its reply. So is
        one with a resume point.
        """
        if not self._tried and not self._resume_objects:
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
        checkpoints, done = self._header.evaluated_epochs, len(self._metrics)
        if done == len(checkpoints) or epoch != checkpoints[done]:
            due = "none" if done == len(checkpoints) else checkpoints[done]
            raise InputError(f"attempt {self.name} got epoch {epoch}, and the next checkpoint of this zoo is {due}.")
        expected = (len(self._members), self._header.num_parameters)
        if weights.shape != expected:
            raise InputError(
                f"attempt {self.name} got weights of shape {weights.shape}, and its states are {expected}."
            )
        names = set(self._metrics[0] if self._metrics else metrics)
        if self._best is not None:
            names -= {BEST_EPOCH}
        if metrics.keys() != names or any(np.shape(values) != expected[:1] for values in metrics.values()):
            raise InputError(f"attempt {self.name} got metrics that are not one value a member for {sorted(names)}.")
