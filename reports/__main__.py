"""``python -m reports`` is ``ftcost``."""

from reports.cli import main

main()
