"""Everything that runs on Ray. Importing it asks for token authentication, before Ray is imported and reads it."""

import os

os.environ.setdefault("RAY_AUTH_MODE", "token")

TRAIN_THREAD = "ray train"
"""The name of the thread that Ray Train runs in; an interrupted command leaves it behind."""
