"""What a cohort tells Ray's metrics (Prometheus, Grafana): tagged by zoo, never by member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray.util.metrics import Counter, Gauge

if TYPE_CHECKING:
    from geozoo.populate import Work


class CohortGauges:
    """Counters of finished members, written states and trained samples; a gauge of the latest mean test accuracy."""

    def __init__(self, zoo: str) -> None:
        tags = {"zoo": zoo}
        self._counters = {
            name: Counter(f"geozoo_{name}", description=text, tag_keys=("zoo",))
            for name, text in (
                ("members", "Members whose cohort is committed"),
                ("states", "States handed to the store"),
                ("samples", "Image presentations in training"),
            )
        }
        self._accuracy = Gauge(
            "geozoo_mean_test_accuracy", description="Mean over the last block of a cohort", tag_keys=("zoo",)
        )
        for metric in (*self._counters.values(), self._accuracy):
            metric.set_default_tags(tags)

    def report(self, before: Work, after: Work, means: dict[str, float]) -> None:
        """Add the work since ``before`` and set the latest means."""
        for name, counter in self._counters.items():
            if (more := getattr(after, name) - getattr(before, name)) > 0:
                counter.inc(more)
        if "mean_test_accuracy" in means:
            self._accuracy.set(means["mean_test_accuracy"])
