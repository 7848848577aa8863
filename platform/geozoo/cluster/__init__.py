"""Everything that runs on Ray. Importing it requires token authentication, which Ray reads when it is itself imported."""

import os

os.environ.setdefault("RAY_AUTH_MODE", "token")
