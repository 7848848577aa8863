from __future__ import annotations

import numpy as np
import pytest

from geozoo.cluster.trainable import cohort_means
from geozoo.cluster.tune import WorkReporter, trial_resources
from geozoo.populate import Work
from geozoo.population import Block


def test_cohort_means_leave_out_what_is_not_finite() -> None:
    block = Block(3, np.zeros((3, 1), dtype=np.float32), {"a": np.array([1.0, np.nan, 2.0]), "b": np.full(3, np.nan)})
    means = cohort_means(block)
    assert means["epoch"] == 3
    assert means["mean_a"] == pytest.approx(1.5)
    assert np.isnan(means["mean_b"])


def test_a_trial_of_the_torch_engine_takes_a_gpu_where_the_cluster_has_one() -> None:
    assert trial_resources("torch", {"CPU": 8.0, "GPU": 2.0}) == {"cpu": 1, "gpu": 1}
    assert trial_resources("torch", {"CPU": 8.0}) == {"cpu": 1}
    assert trial_resources("lanes", {"CPU": 8.0, "GPU": 2.0}) == {"cpu": 1}


def test_totals_become_increments_and_a_restarted_trial_takes_its_loss_back() -> None:
    class Trial:
        trial_id = "t"

    total = Work()

    def count(work: Work) -> None:
        nonlocal total
        total += work

    reporter = WorkReporter(count)
    for states, samples in ((2, 100), (4, 250), (1, 40), (6, 300)):
        reporter.on_trial_result(0, [], Trial(), {"members": 0, "states": states, "samples": samples})
    assert total == Work(0, 6, 300)
