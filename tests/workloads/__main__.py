"""``python -m tests.workloads``: write the page about the workloads."""

from __future__ import annotations

import sys

from .report import PAGE, page

PAGE.write_text(page())
sys.stdout.write(f"wrote {PAGE}\n")
