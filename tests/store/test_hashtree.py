"""The hash tree against the recursive definition of RFC 6962, section 2.1."""

from __future__ import annotations

import hashlib

import pytest

from geozoo.store.hashtree import (
    HASH_BYTES,
    build_tree,
    encode_tree,
    leaf_hash,
    proof_places,
    root_from_proof,
    tree_bytes,
)

SIZES = [*range(1, 18), 31, 32, 33, 100]


def digests_of(count: int) -> dict[str, str]:
    ids = [hashlib.sha256(f"id {number}".encode()).hexdigest()[:16] for number in range(count)]
    return {member: hashlib.sha256(member.encode()).hexdigest() for member in ids}


def rfc6962_root(entries: list[bytes]) -> bytes:
    """MTH: the left part is the largest power of two smaller than the number of entries."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + rfc6962_root(entries[:split]) + rfc6962_root(entries[split:])).digest()


def proof_of(stored: bytes, leaf: int, leaves: int) -> list[tuple[bytes, bool]]:
    return [(stored[place : place + HASH_BYTES], left) for place, left in proof_places(leaf, leaves)]


@pytest.mark.parametrize("count", SIZES)
def test_the_root_is_that_of_the_standard(count: int) -> None:
    digests = digests_of(count)
    entries = [member.encode() + b"\x00" + bytes.fromhex(digests[member]) for member in sorted(digests)]
    levels = build_tree(digests)
    assert levels[-1] == [rfc6962_root(entries)]
    stored = encode_tree(levels)
    assert len(stored) == tree_bytes(count)
    assert stored[-HASH_BYTES:] == levels[-1][0]


@pytest.mark.parametrize("count", SIZES)
def test_every_proof_leads_to_the_root_and_no_other_leaf_does(count: int) -> None:
    digests = digests_of(count)
    levels = build_tree(digests)
    stored, root = encode_tree(levels), levels[-1][0]
    for leaf, member in enumerate(sorted(digests)):
        proof = proof_of(stored, leaf, count)
        assert len(proof) <= max(count - 1, 0).bit_length()
        assert root_from_proof(leaf_hash(member, digests[member]), proof) == root
        assert root_from_proof(leaf_hash(member, "00" * 32), proof) != root
        assert root_from_proof(leaf_hash("another", digests[member]), proof) != root
        if count > 1:
            other = (leaf + 1) % count
            assert root_from_proof(leaf_hash(member, digests[member]), proof_of(stored, other, count)) != root


def test_the_order_of_the_members_does_not_matter_and_every_digest_does() -> None:
    digests = digests_of(9)
    root = build_tree(digests)[-1]
    assert build_tree(dict(reversed(digests.items())))[-1] == root
    for member in digests:
        assert build_tree({**digests, member: "11" * 32})[-1] != root


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """Without the first byte, the two nodes below the root would be the leaves of a tree with the same root."""
    left, right = build_tree(digests_of(4))[1]
    assert hashlib.sha256(b"\x00" + left + right).digest() != build_tree(digests_of(4))[-1][0]
