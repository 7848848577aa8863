"""The split of the Small CNN Zoo that neural functionals are compared on, from its published shuffle file."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FINAL_STEP = 86


def nfn_split(path: str | Path, steps: Sequence[int] | np.ndarray) -> np.ndarray:
    """The part of every row of a Small CNN Zoo: ``train``, ``validation``, ``test``, or empty where it is not final.

    The protocol of Zhou et al. (2023, arXiv 2302.14040; file ``cifar10_split.csv``) and Kofinas et al. (2024, arXiv
    2403.12143; ``nfn_cifar10_split.csv``) on the zoo of Unterthiner et al. (2020, arXiv 2002.11448): rows in the order
    of the file, of these the ones at step 86; the first half, shuffled with ``random.Random(0)``, is 80 % train and
    20 % validation; the second half is test. The target is ``test_accuracy``, the score Kendall's tau.

    The file is one row number a line. Its first line, ``0``, is the heading of a column, which the published readers
    take for row 0. Here too, since it counts among the rows where that one is final; a row that so comes twice is held
    out of training if one of its places is.

    With a zoo whose members are the runs, the part of a member is that of its final row::

        final = steps == FINAL_STEP
        part = pd.Series(nfn_split(path, steps)[final], index=member[final])
        zoo.torch_dataset("train", FINAL_STEP, parts=part.reindex(zoo.members["member"]).to_numpy())

    Args:
        path: the file.
        steps: the column ``step`` of the zoo's metrics ``[rows]``, in the order of its ``metrics.csv.gz``.

    Returns:
        Strings ``[rows]``.

    Raises:
        InputError: the file is missing, holds something else than row numbers, or was made for other rows.
    """
    steps = np.asarray(steps)
    order = _read_order(path, len(steps))
    final = order[steps[order] == FINAL_STEP]
    half = len(final) // 2
    shuffled = list(range(half))
    random.Random(0).shuffle(shuffled)
    cut = int(0.8 * half)
    part = np.full(len(steps), "", dtype="<U10")
    for name, rows in (
        ("train", final[shuffled[:cut]]),
        ("validation", final[shuffled[cut:]]),
        ("test", final[half:]),
    ):
        part[rows] = name
    return part


def _read_order(path: str | Path, rows: int) -> np.ndarray:
    try:
        order = np.loadtxt(path, dtype=np.int64, ndmin=1)
    except FileNotFoundError as error:
        raise InputError(f"there is no split file {path}: download it from where it was published.") from error
    except ValueError as error:
        raise InputError(f"{path} is no split file: it holds one row number a line, and nothing else.") from error
    if len(order) not in (rows, rows + 1) or not np.array_equal(np.unique(order), np.arange(rows)):
        raise InputError(
            f"{path} lists {len(order)} rows, but every one of the {rows} rows of the zoo has to be in it once, after "
            "the heading 0: give the steps of the zoo that the file was made for."
        )
    return order
