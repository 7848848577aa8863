"""The table of decoders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from geozoo.hyper.decoding.decoded_scores import DecodedScores
from geozoo.hyper.probing.scores import Score
from geozoo.report.decoded_view import COLUMNS, caption, layers_tables, markdown_table, table_lines, terminal_tables

if TYPE_CHECKING:
    from rich.table import Table

GOOD = DecodedScores(
    r2=0.8712,
    r2_by_tensor={"0.weight": 0.9},
    agreement=Score(0.9123, 0.9, 0.92),
    agreement_where_wrong=Score(0.5, 0.4, 0.6),
    accuracy=Score(0.95, 0.94, 0.96),
    original_accuracy=Score(0.967, 0.96, 0.97),
    identified_by_agreement=Score(0.87, 0.8, 0.93),
    identified_by_logits=Score(0.99, 0.97, 1.0),
    weight_distance=15.0,
    original_weight_distance=20.0,
    disagreement=0.05,
    original_disagreement=0.04,
    candidates=100,
    states=1200,
    images=2000,
)
CONSTANT = replace(
    GOOD,
    r2=-12.345,
    agreement=Score(0.91228, None, None),
    accuracy=Score(0.98, 0.98, 0.98),
    identified_by_agreement=Score(0.01, 0.0, 0.02),
    weight_distance=0.0,
    disagreement=0.0,
)
BROKEN = replace(CONSTANT, r2=None, weight_distance=None, disagreement=0.08)


def cells_of(name: str, decoders: dict[str, list[DecodedScores]]) -> dict[str, tuple[str, str, bool]]:
    cells = dict(table_lines(decoders))[name]
    return {column.name: (cell.value, cell.interval, cell.best) for column, cell in zip(COLUMNS, cells, strict=True)}


def test_the_best_of_every_column_wins_baselines_too() -> None:
    decoders = {"decoder": [GOOD], "one for all": [CONSTANT], "broken": [BROKEN]}
    decoder, constant, broken = (cells_of(name, decoders) for name in decoders)
    assert decoder["r2"] == ("0.87", "", True)
    assert constant["r2"] == ("-12.35", "", False)
    assert broken["r2"] == ("–", "", False)
    assert decoder["accuracy"] == ("95.0%", "94.0% to 96.0%", False)
    assert constant["accuracy"] == ("98.0%", "98.0% to 98.0%", True)
    assert decoder["identified_by_agreement"] == ("87.0%", "80.0% to 93.0%", True)


def test_what_prints_alike_wins_alike() -> None:
    decoders = {"decoder": [GOOD], "one for all": [CONSTANT]}
    assert cells_of("decoder", decoders)["agreement"] == ("91.2%", "90.0% to 92.0%", True)
    assert cells_of("one for all", decoders)["agreement"] == ("91.2%", "", True)


def test_diversity_is_best_where_it_is_that_of_the_originals() -> None:
    decoders = {"decoder": [GOOD], "one for all": [CONSTANT], "broken": [BROKEN]}
    assert cells_of("decoder", decoders)["weight_diversity"] == ("75.0%", "", True)
    assert cells_of("decoder", decoders)["answer_diversity"] == ("125.0%", "", True)
    assert cells_of("one for all", decoders)["answer_diversity"] == ("0.0%", "", False)
    assert cells_of("broken", decoders)["answer_diversity"] == ("200.0%", "", False)


def test_several_seeds_show_their_mean_and_range() -> None:
    decoders = {"decoder": [GOOD, replace(GOOD, r2=0.5, agreement=Score(0.9323, 0.9, 0.95))]}
    assert cells_of("decoder", decoders)["agreement"] == ("92.2%", "91.2% to 93.2%", True)
    assert cells_of("decoder", decoders)["r2"] == ("0.69", "0.50 to 0.87", True)
    assert "mean of 2 seeds and their range" in caption(decoders)


def test_markdown_has_a_row_for_each_decoder_and_bold_winners() -> None:
    lines = markdown_table({"decoder": [GOOD], "one for all": [CONSTANT]}).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 2}
    assert "| decoder | **0.87** | **91.2% (90.0% to 92.0%)** |" in lines[2]
    assert "| **98.0% (98.0% to 98.0%)** |" in lines[3]


def printed(tables: list[Table], width: int) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(*tables, sep="\n")
    return captured.get()


def test_the_terminal_shows_the_same() -> None:
    lines = printed(terminal_tables({"decoder": [GOOD], "one for all": [CONSTANT]}, 220), 220).splitlines()
    row = next(number for number, line in enumerate(lines) if "91.2%" in line)
    assert "90.0% to 92.0%" in lines[row + 1]


def test_the_caption_says_what_the_numbers_mean() -> None:
    text = caption({"decoder": [GOOD], "one for all": [CONSTANT]})
    assert "1,200 held-out states, 2,000 images" in text
    assert "The originals have an accuracy of 96.7%." in text
    assert "1% by chance" in text


@pytest.mark.parametrize("width", [80, 100, 160, 300])
def test_no_number_and_no_word_is_broken_however_narrow_the_terminal(width: int) -> None:
    scores = replace(
        GOOD, r2_by_tensor={f"module_list.{n}.{kind}": 0.25 for n in range(6) for kind in ("weight", "bias")}
    )
    decoders = {"mnist_small_behaviour": [scores], "mnist_small_behaviour: mean embedding": [scores]}
    tables, layers = terminal_tables(decoders, width), layers_tables(decoders, width)
    for one in (tables, layers):
        text = printed(one, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert text.count("mnist_small_behaviour:") == len(one)
    text = printed(tables, width)
    for column in COLUMNS:
        assert all(word in text for word in column.title.split())
    for interval in ("90.0% to 92.0%", "40.0% to 60.0%", "94.0% to 96.0%", "80.0% to 93.0%", "97.0% to 100.0%"):
        assert text.count(interval) == 2
    assert printed(layers, width).count("0.25") == 24
    assert (len(tables) == 1) == (width >= 160)
