"""Sealed JSON sees every change."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geozoo.errors import DamagedZooError, StoreUnusableError
from geozoo.store import ZooHeader, sealed
from geozoo.store.header import FORMAT_VERSION
from tests.support.zoos import make_header

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "seal"), VALUES, max_size=4))
def test_what_was_sealed_is_read(payload: dict[str, Any]) -> None:
    assert sealed.loads(sealed.dumps(payload), "it") == payload


def test_the_seal_is_the_sha256_of_the_rest() -> None:
    data = sealed.dumps({"b": [1, 2.5, None], "a": "ü"})
    rest = {key: value for key, value in json.loads(data).items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    assert json.loads(data)["seal"] == hashlib.sha256(text.encode()).hexdigest()


def test_every_flipped_bit_is_refused() -> None:
    data = sealed.dumps({"name": "zoo", "numbers": [1, 2.5, -3e-7], "nested": {"é": None, "on": True}})
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(DamagedZooError, match="it is damaged"):
                sealed.loads(bytes(damaged), "it")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"seal": 3}', b"[" * 100_000])
def test_what_was_never_sealed_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedZooError):
        sealed.loads(data, "it")


def test_truncation_and_additions_are_refused() -> None:
    data = sealed.dumps({"name": "zoo"})
    for damaged in [*(data[:length] for length in range(len(data))), data + b"\n", b" " + data]:
        with pytest.raises(DamagedZooError):
            sealed.loads(damaged, "it")


def test_a_header_is_read_as_written() -> None:
    header = make_header()
    assert ZooHeader.loads(header.dumps()) == header
    assert hashlib.sha256(header.dumps()).hexdigest() == header.sha256


def test_a_newer_format_is_refused() -> None:
    newer = sealed.dumps({"version": FORMAT_VERSION + 1, "something": "else"})
    with pytest.raises(StoreUnusableError, match=f"version {FORMAT_VERSION + 1} and this geozoo reads up to"):
        ZooHeader.loads(newer)


def test_a_header_that_is_not_one() -> None:
    with pytest.raises(DamagedZooError, match="not the header of a zoo"):
        ZooHeader.loads(sealed.dumps({"version": 1}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": {"name": "none"}}, "needs a fingerprint"),
        ({"checkpoints": (0, 2, 1)}, "must ascend"),
        ({"checkpoints": ()}, "at least 1 item"),
        ({"dtype": "bfloat16"}, "float32"),
    ],
)
def test_a_header_is_checked_when_made(change: dict[str, Any], message: str) -> None:
    fields = make_header().model_dump()
    with pytest.raises(ValueError, match=message):
        ZooHeader(**{**fields, **change})
