"""Fixtures for all tests."""

import geozoo.cluster  # noqa: F401  (turns Ray's token authentication on, which must come before `import ray`)
from tests.support.s3 import s3_server

__all__ = ["s3_server"]
