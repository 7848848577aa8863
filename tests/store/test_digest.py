"""What a digest depends on, and what it does not."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from geozoo.store import Zoo, ZooHeader, create_zoo, open_zoo
from geozoo.store.digest import MemberDigests
from tests.support.zoos import make_header, make_metrics, make_plan, make_weights, make_zoo, write_cohort

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Metrics = dict[str, np.ndarray[Any, Any]]


def digests(
    header: ZooHeader, plan: pd.DataFrame, weights: np.ndarray[Any, Any], metrics: list[Metrics]
) -> dict[str, str]:
    """Member digests of one cohort."""
    members = MemberDigests(header, plan, list(metrics[0]))
    for number, epoch in enumerate(header.checkpoints):
        members.update(epoch, weights[:, number], metrics[number])
    return members.hexdigests()


@pytest.fixture
def parts() -> tuple[ZooHeader, pd.DataFrame, np.ndarray[Any, Any], list[Metrics]]:
    header, plan = make_header(), make_plan(members=3, cohorts=1)
    members = list(plan["member"])
    weights = make_weights(members, header.checkpoints, header.num_parameters)
    return header, plan, weights, [make_metrics(members, epoch) for epoch in header.checkpoints]


def test_a_digest_is_what_it_is_said_to_be(parts: Any) -> None:
    """Put together byte by byte, without the store."""
    header, plan, weights, metrics = parts
    row = plan.iloc[1]
    names = sorted(metrics[0])
    about = {
        "dataset": header.dataset["fingerprint"],
        "dtype": "float32",
        "hyperparameters": {name: row[name] for name in plan.columns if name not in ("member", "cohort", "position")},
        "layout": [json.loads(slot.model_dump_json()) for slot in header.layout],
        "member": row["member"],
        "metrics": names,
    }
    text = json.dumps(about, sort_keys=True, separators=(",", ":"), default=lambda number: number.item())
    expected = hashlib.sha256(text.encode())
    for number, epoch in enumerate(header.checkpoints):
        expected.update(struct.pack("<q", epoch))
        expected.update(struct.pack(f"<{weights.shape[2]}f", *weights[1, number]))
        for name in names:
            value = float(metrics[number][name][1])
            expected.update(bytes.fromhex("000000000000f87f") if np.isnan(value) else struct.pack("<d", value))
    assert digests(*parts)[row["member"]] == expected.hexdigest()


CHANGES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "one weight by one bit": lambda h, p, w, m: w[0, 1].view(np.uint32).__setitem__(7, w[0, 1].view(np.uint32)[7] ^ 1),
    "sign of a zero": lambda h, p, w, m: w.__setitem__((0, 0, 0), -0.0),
    "a metric": lambda h, p, w, m: m[2]["test_loss"].__setitem__(0, np.nextafter(m[2]["test_loss"][0], 9)),
    "the finite flag": lambda h, p, w, m: m[2]["finite"].__setitem__(0, False),
    "the seed": lambda h, p, w, m: p.__setitem__("seed", p["seed"] + 1000),
    "a hyper-parameter": lambda h, p, w, m: p.__setitem__("lr", p["lr"] * (1 + 1e-15)),
    "the member's id": lambda h, p, w, m: p.__setitem__("member", ["0" * 16, *p["member"][1:]]),
    "the fingerprint": lambda h, p, w, m: h.dataset.__setitem__("fingerprint", "other"),
    "a tensor's name": lambda h, p, w, m: h.__dict__.__setitem__(
        "layout", (h.layout[0].model_copy(update={"name": "other"}), *h.layout[1:])
    ),
    "an epoch": lambda h, p, w, m: h.__dict__.__setitem__("checkpoints", (0, 1, 3)),
    "the name of a metric": lambda h, p, w, m: [block.__setitem__("zeta", block.pop("test_loss")) for block in m],
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_single_change_is_seen(parts: Any, change: str) -> None:
    parts[2][0, 0, 0] = 0.0
    before = digests(*parts)
    CHANGES[change](*parts)
    after = digests(*parts)
    assert set(before.values()) - set(after.values())
    assert next(iter(before.values())) not in after.values()


def test_nan_counts_as_one_value(parts: Any) -> None:
    header, plan, weights, metrics = parts
    patterns = np.array([0x7FC00000, 0xFFC00001, 0x7F800001], dtype=np.uint32).view(np.float32)
    found = set()
    for pattern in patterns:
        weights[0, 1, :3] = 0
        weights.view(np.uint32)[0, 1, :3] = pattern.view(np.uint32)
        metrics[1]["test_loss"].view(np.uint64)[0] = 0x7FF8000000000000 + int(pattern.view(np.uint32)) % 7
        found.add(digests(header, plan, weights, metrics)[plan["member"][0]])
    assert len(found) == 1


def test_a_zoo_s_digest_does_not_depend_on_how_it_is_stored(tmp_path: Path) -> None:
    found = {}
    for number, arguments in enumerate(
        (
            {"cohorts": 1},
            {"cohorts": 4},
            {"cohorts": 3, "shuffle": True},
            {"cohorts": 3, "max_shard_bytes": 1},
            {"cohorts": 3},
        )
    ):
        zoo, _ = make_zoo(tmp_path / str(number), **arguments)  # type: ignore[arg-type]
        found[zoo.digest()] = zoo
    assert len(found) == 1
    other, _ = make_zoo(tmp_path / "other", seed=1)
    half, _ = make_zoo(tmp_path / "half", dtype="float16")
    assert len({*found, other.digest(), half.digest()}) == 3


def test_one_zoo_in_one_plan_or_two(tmp_path: Path) -> None:
    """More members by extension, or all at once under the same ids: the same zoo."""
    from geozoo.store import extend_zoo

    first, second = make_plan(members=4, cohorts=2), make_plan(members=4, cohorts=1, number=1)
    extended: Zoo = create_zoo(tmp_path / "two", make_header(), first)
    extended = extend_zoo(tmp_path / "two", second)
    merged = pd.concat([first, second.assign(cohort="0-002")], ignore_index=True)
    whole = create_zoo(tmp_path / "one", make_header(), merged)
    for zoo in (extended, whole):
        for cohort in zoo.members["cohort"].unique():
            write_cohort(zoo, cohort)
    assert open_zoo(extended.url).digest() == open_zoo(whole.url).digest()
