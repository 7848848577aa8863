"""Plan tables: one row per member, as Parquet files ``plans/<n>.parquet`` written once."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import DamagedZooError, InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    import pyarrow as pa

    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location

_STRING, _INTEGER, _FLOAT = "string", "int64", "float64"
PLAN_COLUMNS: dict[str, str] = {
    "member": _STRING,
    "cohort": _STRING,
    "position": _INTEGER,
    "seed": _INTEGER,
    "activation": _STRING,
    "init": _STRING,
    "init_std": _FLOAT,
    "optimizer": _STRING,
    "lr": _FLOAT,
    "weight_decay": _FLOAT,
    "momentum": _FLOAT,
    "dropout": _FLOAT,
    "batch_size": _INTEGER,
}
"""Columns of a plan table, in order, with their Arrow types.

The plan of an imported zoo may lack values of hyper-parameters (null), and has further columns after these: strings,
whole numbers or numbers, named as the source names them.
"""

OPENED_COLUMNS = ("plan", "committed", "zoo")
"""Columns that `geozoo.store.Zoo.members` has besides those of its plans."""

_LITTLE_ENDIAN = {_INTEGER: "<i8", _FLOAT: "<f8"}
_ROWS_KEY = b"geozoo.rows.sha256"
_IMPORTED_KEY = b"geozoo.imported"
_PLACE = ("member", "cohort", "position")
_PLAN_NAME = re.compile(r"plans/(0|[1-9]\d*)\.parquet")
_COHORT = re.compile(r"(0|[1-9]\d*)-\d+")


@dataclass(frozen=True)
class Plan:
    """One plan file of a zoo: its number, its rows, and the SHA-256 of its bytes."""

    number: int
    table: pd.DataFrame
    sha256: str


def plan_columns(members: pd.DataFrame) -> list[str]:
    """The columns of the plan in a table of members, without what opening a zoo adds."""
    return [name for name in members.columns if name not in OPENED_COLUMNS]


def plan_name(number: int) -> str:
    """Object name of plan ``number``."""
    return f"plans/{number}.parquet"


def plan_number(object_name: str) -> int | None:
    """The number in ``plans/<n>.parquet``, or None for any other name."""
    match = _PLAN_NAME.fullmatch(object_name)
    return int(match[1]) if match else None


def cohort_plan(cohort: str) -> int:
    """The plan that a cohort such as ``0-003`` belongs to."""
    return int(cohort.partition("-")[0])


def encode_plan(table: pd.DataFrame, *, imported: bool = False) -> bytes:
    """Parquet bytes of a plan table, the same for the same rows and the same version of pyarrow.

    The file carries a SHA-256 of its rows, since Parquet may read a flipped bit without a word.

    Raises:
        InputError: the table is not a plan (columns, unique members, positions 0..G-1 in each cohort, one plan number).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(table.columns)
    if columns[: len(PLAN_COLUMNS)] != list(PLAN_COLUMNS) or (len(columns) > len(PLAN_COLUMNS) and not imported):
        raise InputError(f"a plan table has the columns {', '.join(PLAN_COLUMNS)}, not {', '.join(table.columns)}.")
    _check_rows(table, imported)
    arrow = pa.Table.from_pandas(table, schema=_schema(table), preserve_index=False)
    metadata = {_ROWS_KEY: _imported_sha256(arrow) if imported else _rows_sha256(table)}
    arrow = arrow.replace_schema_metadata(metadata | ({_IMPORTED_KEY: b"1"} if imported else {}))
    sink = io.BytesIO()
    pq.write_table(arrow, sink, compression="zstd")
    return sink.getvalue()


def decode_plan(data: bytes, number: int) -> Plan:
    """Read plan ``number`` from its bytes.

    Raises:
        DamagedZooError: the bytes are not a plan table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pq.ParquetFile(pa.BufferReader(data)).read()
        metadata = arrow.schema.metadata or {}
        imported = _IMPORTED_KEY in metadata
        if not (_fits_imported(arrow) if imported else _fits_populated(arrow)):
            raise InputError("its columns are not those of a plan")
        table = arrow.to_pandas(integer_object_nulls=True)
        if metadata.get(_ROWS_KEY) != (_imported_sha256(arrow) if imported else _rows_sha256(table)):
            raise InputError("its rows do not fit the SHA-256 it carries")
        _check_rows(table, imported)
        if cohort_plan(table["cohort"].iloc[0]) != number:
            raise InputError("its cohorts belong to another plan")
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise DamagedZooError(f"{plan_name(number)} is not a readable plan table: {cause}; restore it.") from error
    return Plan(number, table, hashlib.sha256(data).hexdigest())


def _schema(table: pd.DataFrame | None = None) -> pa.Schema:
    """The columns of every plan, then the further ones of ``table``."""
    import pandas as pd
    import pyarrow as pa

    types = {_STRING: pa.string(), _INTEGER: pa.int64(), _FLOAT: pa.float64()}
    fields = [pa.field(name, types[kind]) for name, kind in PLAN_COLUMNS.items()]
    if table is not None:
        for name, column in table.iloc[:, len(PLAN_COLUMNS) :].items():
            kind = _INTEGER if pd.api.types.is_integer_dtype(column) else _FLOAT
            fields.append(pa.field(name, types[kind if pd.api.types.is_numeric_dtype(column) else _STRING]))
    return pa.schema(fields)


def _fits_populated(arrow: pa.Table) -> bool:
    return arrow.schema.equals(_schema()) and not any(column.null_count for column in arrow.columns)


def _fits_imported(arrow: pa.Table) -> bool:
    import pyarrow as pa

    first = pa.schema([arrow.schema.field(index) for index in range(min(len(PLAN_COLUMNS), arrow.num_columns))])
    further = {field.type for field in list(arrow.schema)[len(PLAN_COLUMNS) :]}
    return first.equals(_schema()) and further <= {pa.string(), pa.int64(), pa.float64()}


def _imported_sha256(arrow: pa.Table) -> bytes:
    """SHA-256 of the rows of an imported plan, nulls included."""
    digest = hashlib.sha256()
    for name, column in zip(arrow.column_names, arrow.columns, strict=True):
        digest.update(json.dumps([name, column.to_pylist()]).encode())
    return digest.hexdigest().encode()


def _rows_sha256(table: pd.DataFrame) -> bytes:
    """SHA-256 of the rows, as it is kept in the metadata of the file."""
    digest = hashlib.sha256()
    for name, kind in PLAN_COLUMNS.items():
        if kind == _STRING:
            digest.update(hashlib.sha256("\n".join(table[name]).encode()).digest())
        else:
            digest.update(hashlib.sha256(table[name].to_numpy(dtype=_LITTLE_ENDIAN[kind]).tobytes()).digest())
    return digest.hexdigest().encode()


def _check_rows(table: pd.DataFrame, imported: bool) -> None:
    if table.empty:
        raise InputError("a plan table has no rows, and a zoo needs at least one member.")
    if table[list(_PLACE) if imported else list(PLAN_COLUMNS)].isna().any(axis=None):
        raise InputError("a plan table lacks values, and every member needs every hyper-parameter.")
    if not table["member"].is_unique:
        twice = table.loc[table["member"].duplicated(), "member"].iloc[0]
        raise InputError(f"member {twice} is planned twice: members of a zoo differ in a hyper-parameter or the seed.")
    malformed = [cohort for cohort in table["cohort"].unique() if not _COHORT.fullmatch(cohort)]
    if malformed:
        raise InputError(f"cohort {malformed[0]!r} is not named <plan number>-<running number>, as 0-003.")
    if table["cohort"].map(cohort_plan).nunique() != 1:
        raise InputError("the cohorts of one plan table carry different plan numbers: write one table for each.")
    for cohort, rows in table.groupby("cohort"):
        if sorted(rows["position"]) != list(range(len(rows))):
            raise InputError(f"the positions in cohort {cohort} are not 0 to {len(rows) - 1}, each once.")


def read_plans(location: Location, header: ZooHeader, names: Collection[str]) -> list[Plan]:
    """All plans of a zoo, by number.

    Raises:
        DamagedZooError: one is missing or damaged.
    """
    numbers = sorted({0} | {number for name in names if (number := plan_number(name)) is not None})
    plans = []
    for expected, number in enumerate(numbers):
        try:
            if expected != number:
                raise FileNotFoundError
            plans.append(decode_plan(location.read(plan_name(number)), number))
        except FileNotFoundError as error:
            raise DamagedZooError(f"{plan_name(expected)} is missing in {location.url}: restore it.") from error
    if plans[0].sha256 != header.plan_sha256:
        raise DamagedZooError(f"{plan_name(0)} in {location.url} does not fit the SHA-256 in zoo.json: restore it.")
    return plans
