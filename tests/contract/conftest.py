"""The databases that storage must keep its promises on."""

from collections.abc import Iterator

import pytest

from chalicelib.storage.tables import Database
from tests.databases import in_moto, with_tables


@pytest.fixture(params=["moto", "emulator"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "moto":
        if request.node.get_closest_marker("real_database"):
            pytest.skip("moto can't show this")
        with in_moto() as database:
            yield database
    else:
        yield with_tables(request.getfixturevalue("emulator").client("dynamodb"))
