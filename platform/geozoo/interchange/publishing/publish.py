"""Publishing a finished zoo: verify it, merge it, describe it, upload it, and commit it with one last object."""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geozoo.errors import DamagedZooError, InputError, StoreUnusableError
from geozoo.interchange.publishing.arrays import design_grid, encode_group, encode_weights, shard_count
from geozoo.interchange.publishing.begin import begin, destination_of
from geozoo.interchange.publishing.croissant import croissant, parquet_schema
from geozoo.interchange.publishing.documents import documents
from geozoo.interchange.publishing.facts import collect_facts, public_header
from geozoo.interchange.publishing.stac import stac_item
from geozoo.interchange.publishing.tables import encode_members, metrics_group, write_metrics
from geozoo.interchange.publishing.upload import Upload
from geozoo.store import open_zoo, verify
from geozoo.store.hashtree import build_tree, encode_tree
from geozoo.store.header import HEADER_NAME
from geozoo.store.manifest import (
    MANIFEST_NAME,
    MEMBERS_NAME,
    METRICS_NAME,
    PUBLISHING_NAME,
    TREE_NAME,
    Manifest,
    read_manifest,
)
from geozoo.store.metrics import HISTORY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from geozoo.interchange.publishing.edition import Edition
    from geozoo.interchange.publishing.facts import Facts
    from geozoo.store import Location, Zoo
    from geozoo.store.shards import Grid

    Progress = Callable[[str, int, int], None]
    Pages = Callable[[Zoo, str], dict[str, bytes]]


@dataclass(frozen=True)
class Published:
    """A published zoo; ``sent`` counts the objects that this run wrote, the others were there and right."""

    url: str
    version: str
    digest: str
    root: str
    members: int
    objects: int
    size: int
    sent: int


def publish(
    url: str | Path, to: str | Path, edition: Edition, *, pages: Pages | None = None, progress: Progress | None = None
) -> Published:
    """Publish a zoo at ``to``, an empty or new folder or S3 prefix that will hold this one version.

    Run again after whatever ended it, it goes on: objects that are there and right are not sent again. Run again after
    it is complete, it verifies what is there and changes nothing. Memory is bounded by about three shards of 64 MiB and
    the compressed metrics table.

    Args:
        url: the finished zoo.
        to: where to.
        edition: what its publishers say about it; the date is that of the first run.
        pages: given the zoo and the address where it will be opened, makes further documents by name.
        progress: called with what is being done, how much of it is done and how much there is.

    Raises:
        InputError: the zoo is unfinished, or something else is, or is being, published at ``to``.
        DamagedZooError: the zoo does not verify.
        StoreUnusableError: ``to`` cannot be written or is not empty.
        StoreLostError: the store failed in the middle, or does not give back what was written.
    """
    on_step = progress or (lambda what, done, total: None)
    zoo, destination = open_zoo(url), destination_of(url, to)
    with destination.opening():
        manifest = read_manifest(destination)
    if manifest is not None:
        return _already(destination, manifest, zoo, edition, on_step)
    _refuse_unverified(zoo, on_step)
    edition = begin(destination, zoo.digest(), edition)
    upload = Upload(destination)
    manifest = _send(zoo, destination, edition, upload, pages, on_step)
    upload.tidy(kept=[PUBLISHING_NAME])
    if not destination.create_once(MANIFEST_NAME, manifest.dumps()):
        raise StoreUnusableError(f"another version was published at {destination.url} meanwhile: choose another URL.")
    destination.delete([PUBLISHING_NAME])
    return _outcome(destination, manifest, upload.sent + 1)


def _refuse_unverified(zoo: Zoo, on_step: Progress) -> None:
    """Refuse an unfinished or damaged zoo; what no commit names is not published and no hindrance."""
    pending = int((~zoo.members["committed"]).sum())
    if pending:
        raise InputError(
            f"the zoo at {zoo.url} is unfinished, {pending} of {len(zoo.members)} members are not committed: run "
            "geozoo populate again before you publish it."
        )
    report = verify(zoo.url, progress=lambda done, total: on_step("verifying the zoo", done, total))
    damage = [finding for finding in report.findings if finding.kind in ("damage", "planned but uncommitted")]
    if damage:
        raise DamagedZooError(
            f"the zoo at {zoo.url} does not verify and is not published: {damage[0].sentence.rstrip('.')}; run geozoo "
            "verify and restore it."
        )


def _send(
    zoo: Zoo, destination: Location, edition: Edition, upload: Upload, pages: Pages | None, on_step: Progress
) -> Manifest:
    """Upload everything but the manifest, and make that."""
    grid, levels = design_grid(zoo), build_tree(zoo.digests())
    address = destination.url if destination.url.startswith("s3://") else Path(destination.url).name
    facts = collect_facts(zoo, public_header(zoo.header), edition, address, levels[-1][0].hex())
    _send_weights(zoo, grid, facts, upload, on_step)
    schemas = _send_tables(zoo, upload, on_step)
    upload.put(TREE_NAME, encode_tree(levels))
    upload.put(HEADER_NAME, facts.header.dumps())
    on_step("writing the documents", 0, 1)
    texts = documents(facts)
    if (item := stac_item(facts)) is not None:
        texts["stac-item.json"] = item
    if pages is not None:
        texts |= pages(zoo, address)
    for name, data in texts.items():
        upload.put(name, data)
    upload.put("croissant.json", croissant(facts, upload.objects, schemas))
    return Manifest(
        edition=edition.model_dump(mode="json"),
        digest=facts.digest,
        members=facts.members,
        root=facts.root,
        weights=grid,
        metrics_group=metrics_group(zoo),
        how=zoo.how(),
        objects=upload.objects,
    )


def _send_weights(zoo: Zoo, grid: Grid, facts: Facts, upload: Upload, on_step: Progress) -> None:
    attributes = {"title": facts.edition.title, "version": facts.edition.version, "digest": facts.digest}
    shards = shard_count(grid)
    on_step("merging and sending weights", 0, shards)
    for number, (name, data) in enumerate(encode_weights(zoo, grid), 1):
        upload.put(name, data)
        on_step("merging and sending weights", number, shards)
    for name, blob in encode_group(facts.header, list(zoo.members["member"]), grid, attributes).items():
        upload.put(name, blob)


def _send_tables(zoo: Zoo, upload: Upload, on_step: Progress) -> dict[str, pa.Schema]:
    """Both tables, and the history where the zoo has one; the schemas of both by name.

    Tables of metrics are written to a temporary file first.
    """
    on_step("merging and sending tables", 0, 2)
    members = encode_members(zoo)
    upload.put(MEMBERS_NAME, members)
    on_step("merging and sending tables", 1, 2)
    with tempfile.TemporaryDirectory(prefix="geozoo-") as folder:
        for name in (HISTORY_NAME, METRICS_NAME) if zoo.header.keeps_best else (METRICS_NAME,):
            path = Path(folder, name)
            write_metrics(zoo, path, history=name == HISTORY_NAME)
            with path.open("rb") as file:
                upload.put(name, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        return {MEMBERS_NAME: parquet_schema(members), METRICS_NAME: parquet_schema(path)}


def _already(destination: Location, manifest: Manifest, zoo: Zoo, edition: Edition, on_step: Progress) -> Published:
    """What is published stays; of the same zoo and edition it is verified, anything else is refused."""
    there = type(edition).model_validate(manifest.edition)
    if manifest.digest != zoo.digest() or there.said() != edition.said():
        raise StoreUnusableError(
            f"{destination.url} holds {there.title!r}, version {there.version}, which never changes: choose another "
            "URL for another version."
        )
    destination.delete([PUBLISHING_NAME])
    report = verify(destination.url, progress=lambda done, total: on_step("verifying what is published", done, total))
    if not report.clean:
        raise DamagedZooError(f"{destination.url} is not what was published: {report.findings[0].sentence}")
    return _outcome(destination, manifest, 0)


def _outcome(destination: Location, manifest: Manifest, sent: int) -> Published:
    objects = manifest.objects
    return Published(
        url=destination.url,
        version=str(manifest.edition["version"]),
        digest=manifest.digest,
        root=manifest.root,
        members=manifest.members,
        objects=len(objects) + 1,
        size=sum(stored.size for stored in objects.values()) + len(manifest.dumps()),
        sent=sent,
    )
