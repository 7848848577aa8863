"""The compiled entry points, by dtype, and the cache that keeps them between processes.

The cache lies in ``GEOZOO_CACHE`` or, without it, the user's cache directory: outside a Ray job's working directory,
whose path changes with every upload. It is keyed by a hash of all kernel sources, since a compiled function contains
what it calls from other files, and by numba's own key of the processor.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib import import_module
from pathlib import Path
from pickle import PickleError
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE_VARIABLE = "GEOZOO_CACHE"


def cache_directory() -> Path:
    """Where compiled kernels of these sources are kept."""
    chosen = os.environ.get(CACHE_VARIABLE)
    root = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geozoo"
    return root / "lanes" / source_hash()


@cache
def source_hash() -> str:
    """A hash of all kernel sources: of this package, and of the two modules outside whose constants it compiles in."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in [*sorted(here.glob("*.py")), here.parent / "streams.py", here.parent / "optimizers.py"]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def compiled(number: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """`train_members` and `evaluate_members` for ``float32`` or ``float64``, compiled or read from the cache.

    Raises:
        InputError: the cache cannot be written, or holds something else.
    """
    return _entries("training", number)


def compiled_functions(number: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """`member_logits` and `member_gradients`, as `compiled` gives its two; raises what that raises."""
    return _entries("functional", number)


def _entries(module: str, number: str) -> tuple[Callable[..., None], Callable[..., None]]:
    directory = cache_directory()
    try:
        return _compile(module, number, str(directory))
    except (OSError, EOFError, ValueError, PickleError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"the compile cache {directory} cannot be used ({cause}): remove it, "
            f"or set {CACHE_VARIABLE} to a folder that can be written."
        ) from error


@cache
def _compile(module: str, number: str, directory: str) -> tuple[Callable[..., None], Callable[..., None]]:
    from numba import njit

    source = import_module(f"geozoo.population.lanes.{module}")
    entries = []
    for name, signature in _signatures(number)[module].items():
        function = getattr(source, name)
        dispatcher = njit(nogil=True)(function.py_func)
        dispatcher._cache = _make_cache(function.py_func, directory)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        entries.append(dispatcher)
    first, second = entries
    return first, second


def _signatures(number: str) -> dict[str, dict[str, Any]]:
    """The signatures of the entry points by module and name, in the order they are handed out."""
    from numba import types as t

    f = getattr(t, number)
    i = t.int64
    read_images = t.Array(t.uint8, 3, "C", readonly=True)
    read_labels = t.Array(i, 1, "C", readonly=True)
    program = t.Tuple((i[:, ::1], i[:, ::1], i[::1], i[::1]))
    buffers = t.Tuple((f[::1], f[::1], t.uint32[::1], t.uint32[:, ::1], t.int32[:, ::1], i[::1]))
    images = t.Tuple((read_images, read_labels, f[:, ::1]))
    state = (f[:, ::1],) * 3
    cohort = t.Tuple((*state, t.float64[:, ::1], i[::1], t.uint8[::1], t.float64[::1], i[::1]))
    span = t.UniTuple(i, 2)
    workspace = t.Tuple((f[::1], t.uint32[::1]))
    matrix, cube = f[:, ::1], f[:, :, ::1]
    return {
        "training": {
            "train_members": t.void(program, buffers, images, cohort, i, i, i, span, span),
            "evaluate_members": t.void(program, buffers, images, cohort, span, span),
        },
        "functional": {
            "member_logits": t.void(program, workspace, matrix, matrix, cube, span),
            "member_gradients": t.void(program, workspace, matrix, matrix, cube, matrix, span),
        },
    }


def _make_cache(function: Callable[..., None], directory: str) -> Any:
    from numba.core import caching

    class Locator(caching._CacheLocator):
        """Puts every function into one directory, whatever the path of its source."""

        def get_cache_path(self) -> str:
            return directory

        def get_source_stamp(self) -> str:
            return source_hash()

        def get_disambiguator(self) -> str:
            return function.__name__

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Locator:
            return cls()

    class Implementation(caching.CompileResultCacheImpl):
        _locator_classes = (Locator,)

    class Cache(caching.FunctionCache):
        _impl_class = Implementation

    return Cache(function)
