"""Read before Django's settings are, and so before any conftest.py: plain `pytest` must work."""

import os

os.environ.setdefault("DEBUG", "1")
