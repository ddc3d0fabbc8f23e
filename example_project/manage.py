#!/usr/bin/env python
"""Django's command line for the example project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

# `support` holds the private server that the tests of this repository use too.
sys.path.append(str(Path(__file__).resolve().parent.parent))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    execute_from_command_line(sys.argv)
