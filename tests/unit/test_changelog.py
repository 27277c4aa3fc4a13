"""The changelog's newest version is the project's."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_newest_version_of_the_changelog_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(
        r"^## \[(.+)\] - (?:Unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == project["version"]
