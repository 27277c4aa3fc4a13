"""Importing the app. import-linter checks which module may import which (pyproject.toml)."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_importing_the_app_needs_neither_aws_nor_an_environment() -> None:
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", "import app"], env=bare, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
