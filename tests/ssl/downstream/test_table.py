from __future__ import annotations

import pytest
from scipy import stats

from geozoo.report.sweep_view import sweep_markdown
from geozoo.ssl.downstream.metrics import Score
from geozoo.ssl.downstream.rows import Candidate, Row, RowResult
from geozoo.ssl.downstream.table import Table, tabulate

SCRATCH, PROBE, TUNED = (0.50, 0.53, 0.49, 0.52), (0.58, 0.55, 0.60, 0.57), (0.56, 0.59, 0.57, 0.61)


def score(value: float) -> Score:
    return Score(main=value, overall=value, average=value, per_class=(value, None))


def result(method: str, seed: int, *pairs: tuple[float, float]) -> RowResult:
    """Candidates from pairs of validation and test scores."""
    candidates = tuple(
        Candidate(rate=10.0**-number, validation=score(validation), test=score(test))
        for number, (validation, test) in enumerate(pairs)
    )
    row = Row.model_validate({"method": method, "fraction": 0.01, "seed": seed})
    return RowResult(row=row, labels=70, updates=300, candidates=candidates, seconds=1.0)


def table() -> list[RowResult]:
    found = []
    for seed in range(4):
        # Validation prefers the probe for seeds 0 and 1, and never the candidate with the better test score.
        found.append(result("probe", seed, (0.9 if seed < 2 else 0.1, PROBE[seed]), (0.05, 0.99)))
        found.append(result("finetune", seed, (0.5, TUNED[seed]), (0.4, 0.99)))
        found.append(result("scratch", seed, (0.2, 0.99), (0.3, SCRATCH[seed])))
    return found


def test_validation_chooses_rates() -> None:
    cells = {cell.method: cell for cell in tabulate(table()).cells}
    assert cells["scratch"].mean == pytest.approx(sum(SCRATCH) / 4)
    assert cells["probe"].mean == pytest.approx(sum(PROBE) / 4)
    assert cells["probe"].std == pytest.approx(stats.tstd(PROBE))
    assert cells["finetune"].seeds == 4
    assert cells["scratch"].rates == (0.1,) * 4


def test_the_paired_interval_is_students() -> None:
    (found,) = tabulate(table()).differences
    gains = [one - other for one, other in zip((*PROBE[:2], *TUNED[2:]), SCRATCH, strict=True)]
    low, high = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((sum(gains) / 4, low, high))
    assert found.chosen == {"probe": 2, "finetune": 2}


def test_the_best_is_bold_whoever_it_is() -> None:
    rows = [*table(), *(result("statistics", seed, (0.5, 0.7)) for seed in range(4))]
    found = tabulate(rows)
    text = sweep_markdown(found)
    assert text.count("**") == 2
    assert "| band statistics, logistic regression | **70.0±0.0** |" in text
    assert "| trained from scratch | 51.0±1.8 |" in text
    assert found.differences[0].count == 4


def test_a_table_is_read_again_as_it_was_printed() -> None:
    found = tabulate(table())
    assert Table.model_validate_json(found.model_dump_json()) == found


def test_one_seed_has_no_interval() -> None:
    assert not tabulate([one for one in table() if one.row.seed == 0]).differences
