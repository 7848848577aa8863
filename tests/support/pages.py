"""Published zoos as the browser reads them, and plain static hosts for them."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr

from geozoo.report.browser import browser_pages
from geozoo.report.browser.assets import ASSETS, read_asset
from geozoo.report.browser.tables import encode_members
from tests.support.zoos import make_header, make_layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.store import Zoo

TETRIS_SHAPES = {"module_list.0.weight": (5, 16), "module_list.2.weight": (4, 5)}


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files by path."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def write_weights(folder: Path, weights: np.ndarray[Any, Any], chunk: tuple[int, int]) -> None:
    """Weights ``[members, checkpoints, params]`` as a published zoo has them, written by zarr."""
    members, checkpoints, params = weights.shape
    down, across = (-(-length // size) * size for length, size in zip((members, checkpoints), chunk, strict=True))
    array = zarr.create_array(
        folder / "weights.zarr" / "weights",
        shape=weights.shape,
        shards=(down, across, params),
        chunks=(*chunk, params),
        dtype=weights.dtype,
        compressors=zarr.codecs.Crc32cCodec(),
        fill_value=np.nan,
    )
    array[:] = weights


def write_published(folder: Path, zoo: Zoo, *, embeddings: bytes | None = None, page_index: bool = False) -> None:
    """What the browser needs of a published zoo: header, metrics, sharded weights and the page itself."""
    write_files(folder, {"zoo.json": zoo.header.dumps(), **browser_pages(zoo, embeddings)})
    pq.write_table(
        pa.Table.from_pandas(zoo.read_metrics(), preserve_index=False),
        folder / "metrics.parquet",
        compression="zstd",
        row_group_size=7 * len(zoo.checkpoints),
        write_page_index=page_index,
    )
    write_weights(folder, zoo.weights[:], (5, 2))


def simulate_large(
    folder: Path, members: int, epochs: int, *, with_weights: int = 100, page_index: bool = True
) -> None:
    """A simulated published zoo of many members: invented metrics, and random weights of the first few members."""
    import pandas as pd

    draw = np.random.default_rng(0)
    layout = make_layout(TETRIS_SHAPES)
    header = make_header(tuple(range(epochs + 1)), layout=layout, name="large, simulated")
    table = pd.DataFrame(
        {
            "member": [f"{number:016x}" for number in draw.integers(0, 2**63, members)],
            "seed": np.arange(members),
            "activation": draw.choice(["tanh", "relu", "sigmoid", "gelu"], members),
            "init": draw.choice(["uniform", "normal", "kaiming_uniform", "kaiming_normal"], members),
            "optimizer": draw.choice(["adam", "sgd"], members),
            "lr": 10.0 ** draw.uniform(-4, -1, members),
            "weight_decay": draw.choice([0.0, 1e-4, 1e-3], members),
            "dropout": draw.choice([0.0, 0.3, 0.5], members),
        }
    )
    metrics = _simulate_metrics(draw, table, epochs)
    final = metrics[metrics["epoch"] == epochs]
    rows = np.arange(members) * (epochs + 1)
    write_files(folder, {"zoo.json": header.dumps(), "browser/members.parquet": encode_members(table, final, rows)})
    write_files(folder, {asset: read_asset(asset) for asset in ASSETS})
    write_list(folder, {"large": "./"})
    pq.write_table(
        pa.Table.from_pandas(metrics, preserve_index=False),
        folder / "metrics.parquet",
        compression="zstd",
        row_group_size=65_536 // (epochs + 1) * (epochs + 1),
        **({"write_page_index": True, "data_page_size": 2**15, "use_dictionary": ["member"]} if page_index else {}),
    )
    weights = draw.normal(0, 0.3, (with_weights, epochs + 1, 100)).astype(np.float32)
    write_weights(folder, weights, (8, 8))


def _simulate_metrics(draw: np.random.Generator, table: Any, epochs: int) -> Any:
    import pandas as pd

    members = len(table)
    best = 0.95 - 0.25 * np.abs(np.log10(table["lr"]) + 2.5) / 2 - 0.1 * (table["activation"] == "sigmoid")
    best = np.clip(best + draw.normal(0, 0.03, members), 0.1, 0.99).to_numpy()
    progress = 1 - np.exp(-draw.uniform(0.05, 0.5, members)[:, None] * np.arange(epochs + 1))
    test = 0.1 + (best - 0.1)[:, None] * progress
    gap = draw.uniform(0, 0.06, members)[:, None] * progress
    columns = {
        "test_accuracy": test,
        "train_accuracy": test + gap,
        "validation_accuracy": test + 0.1 * gap,
        "generalization_gap": gap,
        "test_loss": -np.log(test),
        "train_loss": -np.log(test + gap),
        "validation_loss": -np.log(test + 0.1 * gap),
    }
    return pd.DataFrame(
        {
            "member": np.repeat(table["member"].to_numpy(), epochs + 1),
            "epoch": np.tile(np.arange(epochs + 1), members),
            **{name: values.reshape(-1) for name, values in columns.items()},
        }
    )


class _RangeHandler(SimpleHTTPRequestHandler):
    """The standard library's file server, which knows no ranges, with single ranges added."""

    ranges = True
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range")))
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if not (self.ranges and match):
            super().do_GET()
            return
        try:
            path = Path(self.translate_path(self.path))
            size = path.stat().st_size
            start, stop = int(match[1]), min(int(match[2]) + 1, size)
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(stop - start)
        except OSError:
            self.send_error(404)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def static_host(folder: Path, *, ranges: bool = True) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve a folder as a plain static host does; the address, and the list of what was asked for with its ranges."""
    asked: list[tuple[str, str | None]] = []
    handler = type("Handler", (_RangeHandler,), {"ranges": ranges, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


def write_list(folder: Path, zoos: dict[str, str]) -> None:
    """``zoos.json`` of a host with several zoos, by name and path."""
    listed = [{"name": name, "path": path} for name, path in zoos.items()]
    (folder / "zoos.json").write_text(json.dumps({"zoos": listed}), encoding="utf-8")
