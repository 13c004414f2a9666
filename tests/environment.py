"""Read before Django's settings are, and so before any conftest.py: plain `pytest` must work."""

import os

os.environ.setdefault("DEBUG", "1")

# Where containers set it, every server that a test starts would compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
