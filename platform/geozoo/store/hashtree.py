"""A hash tree over the members of a zoo, so that one member can be proved to belong to it without the others.

The tree is the one of RFC 6962 (section 2.1) with SHA-256. Leaves are ordered by member id. The leaf of a member is
``SHA-256(0x00 || id || 0x00 || digest)`` with the id in UTF-8 and the 32 bytes of its digest (`geozoo.store.digest`); a
node is ``SHA-256(0x01 || left || right)``; a last node without a neighbour moves up as it is. The first bytes keep a
node from passing for a leaf. Stored is every level, leaves first, as bare hashes of 32 bytes: a proof is some ranged
reads.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HASH_BYTES = 32


def leaf_hash(member: str, digest: str) -> bytes:
    """The leaf of a member with this digest (64 hexadecimal characters)."""
    return hashlib.sha256(b"\x00" + member.encode() + b"\x00" + bytes.fromhex(digest)).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node above two hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def build_tree(digests: Mapping[str, str]) -> list[list[bytes]]:
    """All levels of the tree over one or more members, leaves first, the root alone in the last."""
    level = [leaf_hash(member, digests[member]) for member in sorted(digests)]
    levels = [level]
    while len(level) > 1:
        paired = [node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[2 * len(paired) :]
        levels.append(level)
    return levels


def encode_tree(levels: Sequence[Sequence[bytes]]) -> bytes:
    """The stored form: all hashes, level after level."""
    return b"".join(hash_ for level in levels for hash_ in level)


def proof_places(leaf: int, leaves: int) -> list[tuple[int, bool]]:
    """Where the hashes of a proof lie, from the leaf upwards.

    Returns:
        Byte offset in the stored form, and whether the hash stands to the left of what is proved.
    """
    return [
        ((start + (at ^ 1)) * HASH_BYTES, at % 2 == 1)
        for start, length, at in _path(leaf, leaves)
        if length > 1 and at ^ 1 < length
    ]


def root_from_proof(leaf: bytes, proof: Sequence[tuple[bytes, bool]]) -> bytes:
    """The root that a leaf and its proof lead to: ``(hash, whether it stands to the left)`` from the leaf upwards."""
    for hash_, left in proof:
        leaf = node_hash(hash_, leaf) if left else node_hash(leaf, hash_)
    return leaf


def tree_bytes(leaves: int) -> int:
    """Size of the stored form."""
    return HASH_BYTES * sum(level_lengths(leaves))


def level_lengths(leaves: int) -> list[int]:
    """How many hashes each level has."""
    lengths = [leaves]
    while lengths[-1] > 1:
        lengths.append(-(-lengths[-1] // 2))
    return lengths


def _path(leaf: int, leaves: int) -> Iterator[tuple[int, int, int]]:
    """For each level: number of its first hash, its length, and where the path from the leaf passes."""
    start = 0
    for length in level_lengths(leaves):
        yield start, length, leaf
        start += length
        leaf //= 2
