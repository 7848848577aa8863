"""``python -m geozoo`` is the command ``geozoo``."""

from geozoo.cli import main

main()
