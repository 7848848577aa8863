"""The page as further files of a published zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.report.browser.assets import ASSETS, LIST_NAME, ListedZoo, encode_list, read_asset
from geozoo.report.browser.tables import EMBEDDINGS_TABLE, MEMBERS_TABLE, encode_published_members

if TYPE_CHECKING:
    from geozoo.store import Zoo


def browser_pages(zoo: Zoo, embeddings: bytes | None = None) -> dict[str, bytes]:
    """Files by path that make the folder of a published zoo a page on any static host.

    Args:
        zoo: the finished zoo; it is published with its members in the same order.
        embeddings: its embedding table, if there is one.
    """
    tables = {MEMBERS_TABLE: encode_published_members(zoo)}
    if embeddings is not None:
        tables[EMBEDDINGS_TABLE] = embeddings
    listed = encode_list([ListedZoo(zoo.header.name, "./", embeddings is not None)])
    return {**{asset: read_asset(asset) for asset in ASSETS}, LIST_NAME: listed, **tables}
