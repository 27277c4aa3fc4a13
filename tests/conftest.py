"""What tests of every kind share: AWS on this machine, and a whole callpacer in it, once for a session."""

from collections.abc import Iterator

import pytest

from infra.emulator import Emulator
from infra.stack import Stack


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, all tests on the stack go to one of them: there is one stack, and no crowd on the machine.

    A test with an `xdist_group` of its own keeps it, and may get another stack.
    """
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole callpacer: API, emulated AWS, and the functions from the package. Tests keep apart by account."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """AWS alone, with nothing in it. Tests keep apart by the names of what they make."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator
