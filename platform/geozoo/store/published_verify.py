"""Verification of a published zoo: every object against the manifest, or one member against the hash tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import DamagedZooError, InputError
from geozoo.store.concurrency import concurrently
from geozoo.store.digest import zoo_digest
from geozoo.store.files import hash_object
from geozoo.store.finding import Finding
from geozoo.store.hashtree import HASH_BYTES, build_tree, leaf_hash, proof_places, root_from_proof
from geozoo.store.location import open_location
from geozoo.store.manifest import MANIFEST_NAME, PUBLISHING_NAME, TREE_NAME, Manifest, read_manifest
from geozoo.store.recompute import begin_digests
from geozoo.store.zoo import open_zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from geozoo.store.location import Location
    from geozoo.store.zoo import Zoo

_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class MemberProof:
    """What verifying one member gave: its digest, the root its proof leads to, and the ``proof`` in hashes."""

    url: str
    member: str
    digest: str
    root: str
    proof: int


def published_faults(
    location: Location, sizes: dict[str, int], progress: Callable[[int, int], None]
) -> Iterator[Finding]:
    """Compare listing and manifest and re-read every object, in pieces."""
    try:
        manifest = read_manifest(location)
    except DamagedZooError as error:
        yield Finding("damage", MANIFEST_NAME, str(error))
        return
    if manifest is None:
        yield Finding("damage", MANIFEST_NAME, f"{MANIFEST_NAME} is missing.")
        return
    total, done = sum(stored.size for stored in manifest.objects.values()), 0
    for name in sorted(manifest.objects):
        if name not in sizes:
            yield Finding("damage", name, f"{name} is missing.")
        elif fault := _fault(location, manifest, name):
            yield Finding("damage", name, fault)
        done += manifest.objects[name].size
        progress(done, total)
    for name in sorted(sizes.keys() - manifest.objects.keys() - {MANIFEST_NAME}):
        remedy = ": run the same geozoo publish again" if name == PUBLISHING_NAME else ""
        sentence = f"{name} is not named by {MANIFEST_NAME}{remedy}."
        yield Finding("surplus", name, sentence)


def _fault(location: Location, manifest: Manifest, name: str) -> str | None:
    try:
        return manifest.fault(name, *hash_object(location, name))
    except FileNotFoundError:
        return f"{name} is missing."


def digest_faults(location: Location) -> Iterator[Finding]:
    """Recompute the digest of every member, of the zoo, and the root of the tree, from what is stored."""
    zoo = open_zoo(location.url)
    manifest = read_manifest(location)
    if manifest is None:
        return
    stated = zoo.digests()
    for rows in _member_blocks(zoo):
        for member, digest in member_digests(zoo, rows).items():
            if digest != stated[member]:
                yield Finding("damage", MANIFEST_NAME, f"member {member} does not have the digest in members.parquet.")
    if zoo_digest(stated) != manifest.digest:
        yield Finding("damage", MANIFEST_NAME, f"the members do not have the digest in {MANIFEST_NAME}.")
    if build_tree(stated)[-1][0].hex() != manifest.root:
        yield Finding("damage", MANIFEST_NAME, f"the members do not have the root in {MANIFEST_NAME}.")


def _member_blocks(zoo: Zoo) -> Iterator[np.ndarray]:
    """Positions of the members, as many at once as have 64 MiB of weights."""
    member_bytes = len(zoo.checkpoints) * zoo.header.num_parameters * 4
    step = max(1, _BLOCK_BYTES // member_bytes)
    for start in range(0, len(zoo.members), step):
        yield np.arange(start, min(start + step, len(zoo.members)))


def member_digests(zoo: Zoo, rows: np.ndarray) -> dict[str, str]:
    """Digests of some members from their stored weights and metrics, checkpoint by checkpoint."""
    digests, metrics = begin_digests(zoo, rows)
    for number, epoch in enumerate(zoo.checkpoints):
        digests.update(epoch, zoo.weights[rows, number], metrics[number])
    return digests.hexdigests()


def verify_member(url: str | Path, member: str) -> MemberProof:
    """Prove that one member belongs to a published zoo, reading of weights and metrics only the parts that hold it.

    The member's digest is recomputed from its hyper-parameters, weights and metrics, read by ranged requests; chunks
    and row groups that it shares with others are read whole. With the
    hashes of its proof it must lead to the root in the manifest.

    Raises:
        InputError: the zoo is not published, or has no such member.
        ZooNotFoundError: there is no zoo at this URL.
        DamagedZooError: it does not belong to it, or something needed is missing or damaged.
    """
    location = open_location(url)
    with location.opening():
        manifest = read_manifest(location)
    zoo = open_zoo(url)
    if manifest is None:
        raise InputError(f"{zoo.url} is not a published zoo, so no member can be verified alone: leave out --member.")
    if member not in set(zoo.members["member"]):
        raise InputError(f"there is no member {member!r} in {zoo.url}: see members.parquet.")
    row = int(np.flatnonzero(zoo.members["member"] == member)[0])
    digest = member_digests(zoo, np.array([row]))[member]
    leaf = sorted(zoo.members["member"]).index(member)
    proof = _read_proof(location, leaf, manifest.members)
    root = root_from_proof(leaf_hash(member, digest), proof).hex()
    if root != manifest.root:
        raise DamagedZooError(
            f"member {member} of {zoo.url} does not lead to the root {manifest.root} in {MANIFEST_NAME}: its weights, "
            "metrics, hyper-parameters or proof are not what was published; run geozoo verify."
        )
    return MemberProof(zoo.url, member, digest, root, len(proof))


def _read_proof(location: Location, leaf: int, leaves: int) -> list[tuple[bytes, bool]]:
    """The hashes beside the path from a leaf to the root, by one ranged read each."""

    def read(place: tuple[int, bool]) -> tuple[bytes, bool]:
        buffer = bytearray(HASH_BYTES)
        try:
            count = location.read_into(TREE_NAME, place[0], memoryview(buffer))
        except FileNotFoundError as error:
            raise DamagedZooError(f"{TREE_NAME} is missing in {location.url}: restore it.") from error
        return bytes(buffer[:count]), place[1]

    return concurrently(read, proof_places(leaf, leaves))
