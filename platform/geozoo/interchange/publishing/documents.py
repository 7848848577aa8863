"""The documents of a published zoo for people: README, licence, citation, recipe."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import jinja2

    from geozoo.interchange.publishing.facts import Facts

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def documents(facts: Facts) -> dict[str, bytes]:
    """All of them by name."""
    texts = {
        "README.md": _front_matter(facts) + _template().render(facts=facts, edition=facts.edition),
        "LICENSE": _licence(facts),
        "CITATION.cff": _yaml(_citation(facts)),
        "recipe.yaml": _yaml(facts.header.recipe),
    }
    return {name: text.encode() for name, text in texts.items()}


@cache
def _template() -> jinja2.Template:
    import jinja2

    loader = jinja2.PackageLoader("geozoo.interchange.publishing", "")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = _markdown
    return environment.get_template("README.md.jinja")


def _markdown(text: str) -> str:
    """A text with every character escaped that Markdown or HTML would take for markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", text)


def _front_matter(facts: Facts) -> str:
    """What the Hugging Face Hub reads of a data set's card."""
    size = next((name for bound, name in _SIZES if facts.members < bound), "1M<n<10M")
    front = {
        "pretty_name": facts.edition.title,
        "license": facts.edition.licence.hub,
        "tags": ["model-zoo", "neural-network-weights", "weight-space-learning", "geozoo", facts.images],
        "size_categories": [size],
        "configs": [
            {"config_name": "members", "data_files": "members.parquet", "default": True},
            {"config_name": "metrics", "data_files": "metrics.parquet"},
        ],
    }
    return f"---\n{_yaml(front)}---\n\n"


def _licence(facts: Facts) -> str:
    edition, licence = facts.edition, facts.edition.licence
    names = ", ".join(author.name for author in edition.people)
    return (
        f"{edition.title}, version {edition.version}\n"
        f"Copyright {edition.date[:4]} {names}\n\n"
        f"This data set is licensed under {licence.name} ({licence.spdx}).\n"
        f"The text of the licence: {licence.url}\n"
    )


def _citation(facts: Facts) -> dict[str, Any]:
    """Citation File Format 1.2.0."""
    edition = facts.edition
    authors = [
        {"name": one.name} if one.family is None else {"family-names": one.family, "given-names": one.given}
        for one in edition.people
    ]
    citation: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this data set, please cite it as below.",
        "type": "dataset",
        "title": edition.title,
        "abstract": facts.description,
        "authors": authors,
        "version": edition.version,
        "date-released": edition.date,
        "license": edition.license,
        "keywords": ["model zoo", "neural network weights", "weight-space learning"],
        "identifiers": [
            {"type": "other", "value": f"sha256:{facts.digest}", "description": "digest of the zoo"},
            {"type": "other", "value": f"sha256:{facts.root}", "description": "root of the hash tree over its members"},
        ],
    }
    named = {"doi": edition.doi, "url": edition.address}
    return citation | {key: value for key, value in named.items() if value}


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))
