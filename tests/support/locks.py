"""Reads the files that `make lock` writes."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def requirements(file: Path) -> Iterator[Requirement]:
    """Each requirement of a lock, or of the ranges that it is made from, without its hashes."""
    for line in file.read_text().splitlines():
        if line and line[0].isalpha():
            yield Requirement(line.partition(" --hash")[0].removesuffix("\\"))


def locked(lock: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The version of each package that is installed from a lock, by its name: here, or in that `environment`."""
    return {
        canonicalize_name(one.name): next(iter(one.specifier)).version
        for one in requirements(lock)
        if one.marker is None or one.marker.evaluate(dict(environment or {}))
    }
