"""The documents of a published zoo, each read by the library that other people read it with."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import mlcroissant
import pandas as pd
import pystac
import pytest
import yaml
from huggingface_hub import DatasetCard
from pystac.extensions.mlm import MLMExtension

from geozoo.interchange.publishing.edition import Author, Edition
from geozoo.interchange.publishing.licences import LICENCES
from geozoo.interchange.publishing.stac import MLM_SCHEMA
from geozoo.nets import build_network
from geozoo.recipe import load_recipe
from geozoo.report.browser.assets import ASSETS
from geozoo.store import Zoo, open_zoo, split_of
from tests.support.commands import REPOSITORY, populate_digits
from tests.support.published import ASKED, MLCROISSANT, make_edition, make_eurosat_zoo, publish_simulated
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = MLCROISSANT

HOSTILE = 'A <b>title</b>: "quoted", `code` | [link](x) {{ 7 * 7 }} \\ #1'


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return make_zoo(tmp_path_factory.mktemp("source"), members=12, cohorts=2)[0]


@pytest.fixture(scope="module")
def published(source: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("published") / "data"
    publish_simulated(source, to)
    return to


@pytest.fixture(scope="module")
def hostile(source: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an edition whose texts could be taken for markup."""
    to = tmp_path_factory.mktemp("hostile") / "data"
    publish_simulated(source, to, title=HOSTILE, authors=['O\'Neil: {x}, "A" & B', "<i>Us</i>"])
    return to


def text_of(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


class TestCroissant:
    def test_it_loads_without_a_complaint_and_lists_every_file(self, published: Path) -> None:
        data = mlcroissant.Dataset(published / "croissant.json")
        issues = data.metadata.ctx.issues
        assert not issues.errors
        assert not issues.warnings
        assert data.metadata.version == "1.0.0"
        assert data.metadata.license == ["https://creativecommons.org/licenses/by/4.0/"]
        assert [author.name for author in data.metadata.creators] == ["Ada Lovelace", "An Institute"]
        assert data.metadata.url == "https://doi.org/10.5281/zenodo.1234567"
        listed = {file.name for file in data.metadata.distribution}
        there = {entry.name for entry in published.iterdir()}
        assert listed == there - {"manifest.json", "croissant.json"}  # written after it

    def test_its_records_are_the_tables(self, source: Zoo, published: Path) -> None:
        data = mlcroissant.Dataset(published / "croissant.json")
        members = [{key: text_of(value) for key, value in row.items()} for row in data.records("members")]
        assert [row["members/member"] for row in members] == list(source.members["member"])
        assert [row["members/split"] for row in members] == [split_of(member) for member in source.members["member"]]
        assert [row["members/lr"] for row in members] == list(source.members["lr"])
        metrics = pd.DataFrame(data.records("metrics"))
        assert list(metrics["metrics/test_accuracy"]) == list(source.metrics["test_accuracy"])
        assert [text_of(row["splits/name"]) for row in data.records("splits")] == ["train", "validation", "test"]

    def test_its_checksums_are_those_of_the_files(self, published: Path) -> None:
        for file in json.loads((published / "croissant.json").read_text())["distribution"]:
            if file["@type"] == "cr:FileObject":
                data = (published / file["contentUrl"]).read_bytes()
                assert file["sha256"] == hashlib.sha256(data).hexdigest()
                assert file["contentSize"] == f"{len(data)} B"

    def test_hostile_texts_stay_texts(self, hostile: Path) -> None:
        data = mlcroissant.Dataset(hostile / "croissant.json")
        assert [author.name for author in data.metadata.creators][1] == "<i>Us</i>"


class TestReadme:
    def test_the_hub_reads_its_front_matter(self, published: Path) -> None:
        data = DatasetCard((published / "README.md").read_text()).data
        assert data.license == "cc-by-4.0"
        assert data.pretty_name == "Simulated zoo"
        assert data.size_categories == ["n<1K"]
        assert "model-zoo" in data.tags
        for config in data.configs:
            assert (published / config["data_files"]).is_file()

    def test_it_names_what_proves_the_data(self, source: Zoo, published: Path) -> None:
        text = (published / "README.md").read_text()
        manifest = json.loads((published / "manifest.json").read_text())
        assert source.digest() in text
        assert manifest["root"] in text
        assert source.url not in text

    def test_hostile_texts_stay_texts(self, hostile: Path) -> None:
        text = (hostile / "README.md").read_text()
        assert DatasetCard(text).data.pretty_name == HOSTILE
        body = text.split("---\n", 2)[2]
        assert "<b>title" not in body.split("```bibtex")[0]
        assert "49" not in body.split("\n")[1]


class TestCitation:
    def test_it_is_a_citation_file(self, published: Path) -> None:
        citation = yaml.safe_load((published / "CITATION.cff").read_text())
        assert {"cff-version", "message", "title", "authors"} <= citation.keys()
        assert (citation["cff-version"], citation["type"]) == ("1.2.0", "dataset")
        assert citation["authors"] == [{"family-names": "Lovelace", "given-names": "Ada"}, {"name": "An Institute"}]
        assert citation["doi"] == "10.5281/zenodo.1234567"
        assert citation["date-released"] == "2026-01-02"
        assert {one["type"] for one in citation["identifiers"]} <= {"doi", "url", "swh", "other"}

    def test_hostile_texts_stay_texts(self, hostile: Path) -> None:
        citation = yaml.safe_load((hostile / "CITATION.cff").read_text())
        assert citation["title"] == HOSTILE
        assert citation["authors"][0] == {"family-names": "O'Neil: {x}", "given-names": '"A" & B'}

    @pytest.mark.parametrize("spdx", LICENCES)
    def test_every_licence_is_named_with_its_text(self, source: Zoo, tmp_path: Path, spdx: str) -> None:
        edition = make_edition(license=spdx.lower())
        assert edition.license == spdx
        publish_simulated(source, tmp_path / "p", license=spdx)
        text = (tmp_path / "p" / "LICENSE").read_text()
        assert spdx in text
        assert edition.licence.url in text
        assert "2026 Ada Lovelace, An Institute" in text


@pytest.mark.parametrize("document", ["published", "zoos"])
def test_the_documents_name_everything_that_is_published(published: Path, document: str) -> None:
    text = ((REPOSITORY / "zoos" if document == "zoos" else published) / "README.md").read_text()
    pages = {*ASSETS, "zoos.json", "card.html"}
    names = {*(path.name for path in published.iterdir()), *(page.split("/")[0] for page in pages)} - {"README.md"}
    assert [name for name in sorted(names) if f"`{name}`" not in text and f"`{name}/`" not in text] == []


def test_the_accepted_licences_are_documented() -> None:
    text = (REPOSITORY / "zoos" / "README.md").read_text()
    assert [spdx for spdx in LICENCES if f"`{spdx}`" not in text] == []


class TestStac:
    def test_a_zoo_on_satellite_imagery_has_a_valid_item(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Validated against the core schema that comes with pystac; the extension's own is only on the net."""
        publish_simulated(make_eurosat_zoo(tmp_path / "zoo"), tmp_path / "p")
        raw = json.loads((tmp_path / "p" / "stac-item.json").read_text())
        assert raw["stac_extensions"] == [MLM_SCHEMA] == [MLMExtension.get_schema_uri()]
        assert raw["geometry"] is None
        assert "bbox" not in raw
        bare = pystac.Item.from_dict({**raw, "stac_extensions": []})
        assert bare.validate()
        item = pystac.Item.from_file(tmp_path / "p" / "stac-item.json")
        model = MLMExtension.ext(item)
        assert model.architecture == "cnn_s"
        assert model.total_parameters == open_zoo(tmp_path / "p").header.num_parameters
        assert (model.pretrained, model.pretrained_source) == (False, None)
        assert model.input[0].input.shape == [-1, 3, 32, 32]
        assert model.input[0].bands == ["B04", "B03", "B02"] == [band["name"] for band in raw["properties"]["bands"]]
        assert [one["type"] for one in raw["properties"]["mlm:input"][0]["value_scaling"]] == ["z-score"] * 3
        assert len(model.output[0].classes) == 10
        assert item.properties["gsd"] == 20.0
        assert "mlm:model" in (item.assets["weights"].roles or [])
        for asset in item.assets.values():
            assert (tmp_path / "p" / asset.href).exists()

    def test_other_zoos_have_none(self, published: Path) -> None:
        assert not (published / "stac-item.json").exists()

    def test_the_scaling_is_the_one_of_the_pixels(self, tmp_path: Path) -> None:
        """(x / 255 - mean) / std, as one subtraction and one division of the 8-bit value."""
        publish_simulated(make_eurosat_zoo(tmp_path / "zoo"), tmp_path / "p")
        raw = json.loads((tmp_path / "p" / "stac-item.json").read_text())
        data = open_zoo(tmp_path / "p").header.dataset
        for scaling, mean, std in zip(
            raw["properties"]["mlm:input"][0]["value_scaling"], data["mean"], data["std"], strict=True
        ):
            assert (200 - scaling["mean"]) / scaling["stddev"] == pytest.approx((200 / 255 - mean) / std)


def test_the_recipe_populates_and_no_path_of_this_machine_is_told(tmp_path: Path) -> None:
    assert populate_digits(tmp_path / "zoo", 2).code == 0
    zoo = open_zoo(tmp_path / "zoo")
    publish_simulated(zoo, tmp_path / "p")
    recipe = load_recipe(tmp_path / "p" / "recipe.yaml")
    assert recipe.model_dump(mode="json") == zoo.header.recipe
    there = open_zoo(tmp_path / "p")
    assert (
        there.module(0, epoch=1).state_dict().keys()
        == build_network(**there.header.network, activation="tanh").state_dict().keys()
    )
    dataset = {**zoo.header.recipe["dataset"], "path": "/secret/folder/images"}
    header = zoo.header.model_copy(update={"recipe": {**zoo.header.recipe, "dataset": dataset}})
    from geozoo.interchange.publishing.facts import public_header

    assert public_header(header).recipe["dataset"]["path"] == "images"
    assert public_header(zoo.header) == zoo.header


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Lovelace, Ada", Author("Ada Lovelace", "Lovelace", "Ada")),
        (" van der Berg ,  J. ", Author("J. van der Berg", "van der Berg", "J.")),
        ("An Institute", Author("An Institute")),
    ],
)
def test_authors_are_people_or_organisations(text: str, author: Author) -> None:
    assert Author.parse(text) == author


@pytest.mark.parametrize("doi", ["10.5281/zenodo.1", "doi:10.5281/zenodo.1", "https://doi.org/10.5281/zenodo.1"])
def test_a_doi_in_any_spelling_is_one_doi(doi: str) -> None:
    edition = Edition.check(**{**ASKED, "doi": doi})
    assert edition.doi == "10.5281/zenodo.1"
    assert edition.date == date(2026, 1, 2).isoformat()
