"""Imports point down only, so that what is decided can be read and tested without what it is done with."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The layers from the bottom up: a module may import from its own layer and from those before it.
LAYERS = (
    ("chalicelib.errors",),
    ("chalicelib.domain",),
    (
        "chalicelib.runtime.clock",
        "chalicelib.runtime.logs",
        "chalicelib.runtime.metrics",
        "chalicelib.runtime.settings",
    ),
    ("chalicelib.storage", "chalicelib.gateway"),
    (
        "chalicelib.calling.blocking",
        "chalicelib.calling.snapshots",
        "chalicelib.calling.reporter",
        "chalicelib.calling.sharding",
        "chalicelib.calling.sleeper",
        "chalicelib.calling.timetables",
    ),
    ("chalicelib.api", "chalicelib.calling.pacer", "chalicelib.calling.dialer", "chalicelib.calling.settler"),
    ("chalicelib.functions",),
    ("app",),
)
#: What belongs to one part alone, by the part that may import it.
OWNERS = {
    "pynamodb": "chalicelib.storage",
    "aiohttp": "chalicelib.gateway.http",
    "python_multipart": "chalicelib.api.request",
    "zoneinfo": "chalicelib.domain.eastern",
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def belongs(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def layer(module: str) -> int | None:
    for height, parts in enumerate(LAYERS):
        if any(belongs(module, part) for part in parts):
            return height
    return None


ALL = [pytest.param(name, path, id=name) for name, path in modules()]


@pytest.mark.parametrize(("name", "path"), ALL)
def test_imports_point_down_only(name: str, path: Path) -> None:
    height = layer(name)
    assert height is not None or name == "chalicelib", "a module without a layer"
    above = [one for one in imports(path) if height is not None and (layer(one) or 0) > height]
    assert above == []


@pytest.mark.parametrize(("name", "path"), ALL)
def test_the_domain_imports_nothing_but_the_standard_library(name: str, path: Path) -> None:
    if belongs(name, "chalicelib.domain"):
        known = (*sys.stdlib_module_names, "chalicelib")
        assert [one for one in imports(path) if one.split(".")[0] not in known] == []


@pytest.mark.parametrize(("name", "path"), ALL)
def test_a_library_is_known_to_one_part_only(name: str, path: Path) -> None:
    strangers = [
        one
        for one in imports(path)
        for library, owner in OWNERS.items()
        if belongs(one, library) and not belongs(name, owner)
    ]
    assert strangers == []


def test_importing_the_app_needs_neither_aws_nor_an_environment() -> None:
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", "import app"], env=bare, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
