#!/usr/bin/env python3
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(
            "Django is not installed for this Python. "
            "Use .venv/bin/python manage.py; `make run` makes that environment."
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
