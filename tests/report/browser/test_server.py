import http.client
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr

from geozoo.errors import InputError
from geozoo.report.browser import BrowserServer, open_shelf
from geozoo.store import create_zoo, open_zoo
from tests.report.browser.serving import serving
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort

EPOCHS = (0, 1, 2, 5)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), members=24, cohorts=3, checkpoints=EPOCHS, shuffle=True)


@pytest.fixture(scope="module")
def server(truth, tmp_path_factory):
    with serving([open_shelf(truth[0].url)]) as started:
        yield started


def ask(server, path, *, method="GET", **headers):
    """Status, headers and body of one request, whose path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def table(server, name):
    status, _, body = ask(server, f"/zoos/0/{name}")
    assert status == 200
    return pq.read_table(io.BytesIO(body)).to_pandas()


def test_zarr_reads_the_weights_that_are_served(server, truth, tmp_path):
    zoo, made = truth
    names = [f"c/{row}/{number}/0" for row in range(len(zoo.members)) for number in range(len(EPOCHS))]
    for name in ["zarr.json", *names]:
        status, _, body = ask(server, f"/zoos/0/weights.zarr/weights/{name}")
        assert status == 200
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    np.testing.assert_array_equal(zarr.open_array(tmp_path, mode="r")[:], made.weights)


def test_the_metrics_are_those_of_the_zoo_member_by_member(server, truth):
    zoo, made = truth
    metrics, members = table(server, "metrics.parquet"), table(server, "browser/members.parquet")
    assert list(members["member"]) == list(zoo.members["member"])
    rows = (members["metrics_row"].to_numpy()[:, None] + np.arange(len(EPOCHS))).reshape(-1)
    pd.testing.assert_frame_equal(metrics.iloc[rows].reset_index(drop=True), made.metrics)


def test_the_member_table_has_hyperparameters_and_the_last_metrics(server, truth):
    zoo, made = truth
    members = table(server, "browser/members.parquet")
    last = made.metrics[made.metrics["epoch"] == EPOCHS[-1]].set_index("member").loc[members["member"]]
    for name in ("test_accuracy", "train_loss", "finite"):
        np.testing.assert_array_equal(members[f"final_{name}"], last[name])
    for name in ("seed", "lr", "init", "dropout"):
        assert list(members[name]) == list(zoo.members[name])
    assert not {"cohort", "position", "plan", "committed"} & set(members.columns)


def test_a_curve_can_be_found_through_the_page_index(server):
    _, _, body = ask(server, "/zoos/0/metrics.parquet")
    column = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(3)
    assert column.has_offset_index


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=10-", 206, (10, None)),
        ("bytes=-7", 206, (-7, None)),
        ("bytes=5-99999999", 206, (5, None)),
        ("bytes=9-5", 200, (0, None)),
        ("bytes=0-1,5-6", 200, (0, None)),
        ("words=0-9", 200, (0, None)),
        ("bytes=-", 200, (0, None)),
    ],
)
def test_ranges(server, asked, status, span):
    _, _, whole = ask(server, "/zoos/0/metrics.parquet")
    answered, headers, body = ask(server, "/zoos/0/metrics.parquet", Range=asked)
    assert (answered, body) == (status, whole[slice(*span)])
    assert int(headers["Content-Length"]) == len(body)
    if status == 206:
        start = range(len(whole))[slice(*span)].start
        assert headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{len(whole)}"


def test_a_range_beyond_the_end_is_refused(server):
    status, headers, body = ask(server, "/zoos/0/zoo.json", Range="bytes=99999999-")
    assert (status, body) == (416, b"")
    assert headers["Content-Range"].startswith("bytes */")


def test_head_tells_the_size_without_the_bytes(server):
    _, _, whole = ask(server, "/zoos/0/metrics.parquet")
    status, headers, body = ask(server, "/zoos/0/metrics.parquet", method="HEAD")
    assert (status, body, int(headers["Content-Length"])) == (200, b"", len(whole))


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/zoos/0/../0/zoo.json",
        "/zoos/0/%2fetc/passwd",
        "/zoos/1/zoo.json",
        "/zoos/-1/zoo.json",
        "/zoos/0/commits/0-000.json",
        "/zoos/0/weights.zarr/weights/c/24/0/0",
        "/zoos/0/weights.zarr/weights/c/0/4/0",
        "/zoos/0/weights.zarr/weights/c/00/0/0",
        "/server.py",
    ],
)
def test_nothing_else_is_served(server, path):
    status, headers, body = ask(server, path)
    assert status == 404
    assert headers["Content-Type"].startswith("text/plain")
    assert b"root:" not in body


def test_only_this_machine_is_answered(server):
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "/", Host="example.org")[0] == 403
    assert ask(server, "/", Host="example.org:80")[0] == 403
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(server, method):
    assert ask(server, "/zoos/0/zoo.json", method=method)[0] == 501


def test_the_page_may_reach_its_own_origin_only(server):
    _, headers, body = ask(server, "/")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    assert b"Content-Security-Policy" in body
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_members_that_are_not_committed_are_left_out(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(EPOCHS), make_plan(12, 3))
    write_cohort(zoo, "0-001")
    shelf = open_shelf(zoo.url)
    members = pq.read_table(io.BytesIO(read(shelf, "browser/members.parquet"))).to_pandas()
    assert set(members["member"]) == set(zoo.members.loc[zoo.members["cohort"] == "0-001", "member"])
    wanted = open_zoo(zoo.url).states(members["member"][2], 5)[0]
    np.testing.assert_array_equal(np.frombuffer(read(shelf, "weights.zarr/weights/c/2/3/0"), "<f4"), wanted)
    assert shelf.find("weights.zarr/weights/c/4/0/0") is None


def test_a_zoo_without_a_committed_member_is_refused(tmp_path):
    zoo = create_zoo(tmp_path / "zoo", make_header(), make_plan())
    with pytest.raises(InputError, match=r"no member of .* is committed yet"):
        open_shelf(zoo.url)


def test_half_precision_is_served_as_it_is_stored(tmp_path):
    zoo, made = make_zoo(tmp_path / "zoo", members=4, cohorts=1, dtype="float16")
    shelf = open_shelf(zoo.url)
    state = np.frombuffer(read(shelf, "weights.zarr/weights/c/1/2/0"), "<f2")
    np.testing.assert_array_equal(state, made.weights[1, 2])


def test_damage_is_told_in_a_sentence(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", members=4, cohorts=1)
    shelf = open_shelf(zoo.url)
    shard = next(path for path in Path(zoo.url).rglob("c/*/*/0") if path.is_file())
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    with serving([shelf]) as server:
        answers = [ask(server, f"/zoos/0/weights.zarr/weights/c/{row}/0/0") for row in range(4)]
    told = [body.decode() for status, _, body in answers if status == 500]
    assert told
    assert "checksum" in told[0] or "crc" in told[0].lower()


def test_a_port_that_is_taken_is_refused(server):
    with pytest.raises(InputError, match=rf"port {server.server_port} .*choose another"):
        BrowserServer([], server.server_port)


def read(shelf, path):
    file = shelf.find(path)
    return file.read(0, file.size)
