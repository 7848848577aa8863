"""The zoo store: Zarr for weights, Parquet for tables, commits created once, in a local folder or an S3 prefix."""

from geozoo.store.attempt import Attempt
from geozoo.store.commit import Commit
from geozoo.store.create import create_zoo, extend_zoo, refuse_derived
from geozoo.store.finding import Finding
from geozoo.store.gc import Garbage, collect_garbage
from geozoo.store.header import Origin, ZooHeader
from geozoo.store.lease import run_lease
from geozoo.store.location import Location, open_location, refuse_unsafe_endpoint
from geozoo.store.merged import Merged, MergedSource
from geozoo.store.resume import resumable_cohorts
from geozoo.store.split import Split, split_of
from geozoo.store.verify import Report, verify
from geozoo.store.writer import AttemptWriter
from geozoo.store.zoo import Zoo, open_zoo

__all__ = [
    "Attempt",
    "AttemptWriter",
    "Commit",
    "Finding",
    "Garbage",
    "Location",
    "Merged",
    "MergedSource",
    "Origin",
    "Report",
    "Split",
    "Zoo",
    "ZooHeader",
    "collect_garbage",
    "create_zoo",
    "extend_zoo",
    "open_location",
    "open_zoo",
    "refuse_derived",
    "refuse_unsafe_endpoint",
    "resumable_cohorts",
    "run_lease",
    "split_of",
    "verify",
]
