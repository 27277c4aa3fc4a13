"""What is tested is what is shipped: one version of each package, by the locks that `make lock` writes."""

from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.locks import locked, requirements

ROOT = Path(__file__).parents[2]
SHIPPED, TESTED, AUDITOR = ROOT / "requirements.txt", ROOT / "requirements-dev.txt", ROOT / "requirements-checkov.txt"
RINGER = ROOT / "examples" / "sip" / "requirements.txt"

each_lock = pytest.mark.parametrize(
    "lock", [SHIPPED, TESTED, AUDITOR, RINGER], ids=lambda lock: str(lock.relative_to(ROOT))
)


def test_what_is_shipped_is_tested_in_the_same_version_and_from_the_same_files() -> None:
    assert pins(SHIPPED) <= pins(TESTED)


def pins(lock: Path) -> set[tuple[str, str, str]]:
    """Each hash of a lock, with the name and version that it stands under."""
    found, pinned = set(), ("", "")
    for line in lock.read_text().splitlines():
        if line[:1].isalpha():
            one = Requirement(line.removesuffix("\\"))
            pinned = (one.name, str(one.specifier))
        elif "--hash=" in line:
            found.add((*pinned, line.strip().removesuffix(" \\")))
    return found


def test_what_is_installed_here_is_what_is_locked() -> None:
    expected = locked(TESTED)
    assert {name: version(name) for name in expected} == expected


@each_lock
def test_a_lock_is_within_the_ranges_that_it_is_made_from(lock: Path) -> None:
    found = locked(lock)
    for wanted in requirements(lock.with_suffix(".in")):
        if wanted.marker is None or wanted.marker.evaluate():
            assert found[wanted.name.lower()] in wanted.specifier, wanted


@each_lock
def test_a_lock_pins_each_package_and_has_its_hashes(lock: Path) -> None:
    text = lock.read_text()
    for one in requirements(lock):
        assert [pin.operator for pin in one.specifier] == ["=="], one
    pinned = [line for line in text.splitlines() if line and line[0].isalpha()]
    assert [line for line in pinned if not line.endswith("\\")] == []


@each_lock
def test_a_lock_names_neither_a_registry_nor_a_path(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert " /" not in text


def test_what_is_shipped_is_the_same_on_every_processor_and_system() -> None:
    """Only the Python may decide: the package is built on other machines than it runs on."""
    variables = {str(one.marker).partition(" ")[0] for one in requirements(SHIPPED) if one.marker is not None}
    assert variables <= {"python_full_version", "python_version"}
