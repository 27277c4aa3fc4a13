"""The fixtures that several folders of tests use."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from chalicelib.api.services import Services
from chalicelib.storage.database import Database
from infra.local.deployment import LocalDeployment
from infra.local.emulator import Emulator
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.customer import Customer, new_customer
from tests.support.databases import with_tables
from tests.support.world import HandClock, World

# How long an example takes depends on the machine. The bound is the time-out of a whole test.
settings.register_profile("callpacer", deadline=None)
settings.register_profile("few-examples", settings.get_profile("callpacer"), max_examples=10)
settings.load_profile("callpacer")

#: how much of a parameter a test's name shows, in characters
LONGEST_SHOWN = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    meaning = "run the tests that take long whole, as CI does, and not a sample of them"
    parser.addoption("--whole", action="store_true", help=meaning)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long text is shortened in a test's name. Each worker tells its tests' names to the others."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_SHOWN:
        return f"{val[:LONGEST_SHOWN]!a}-{len(val)}"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _deselect_tests_outside_the_sample(config, items)
    _run_tests_of_the_deployment_in_one_worker(items)


def _deselect_tests_outside_the_sample(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--whole"):
        return
    outside = [item for item in items if item.get_closest_marker("whole") is not None]
    config.hook.pytest_deselected(items=outside)
    items[:] = [item for item in items if item.get_closest_marker("whole") is None]


def _run_tests_of_the_deployment_in_one_worker(items: list[pytest.Item]) -> None:
    """So there is one deployment. A test with an `xdist_group` of its own keeps it, and may get another deployment."""
    for item in items:
        if "deployment" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.waits)
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group("deployment"))


@pytest.fixture(scope="session")
def whole(pytestconfig: pytest.Config) -> bool:
    """False if a sample will do."""
    return bool(pytestconfig.getoption("--whole"))


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDeployment]:
    """A whole callpacer: API, emulated AWS, and the functions from the package. Each test uses accounts of its own."""
    with LocalDeployment(tmp_path_factory.mktemp("deployment")) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """AWS alone, with nothing in it. Each test gives what it creates names of its own."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def database() -> Database:
    """Simulated. `tests/contract` shows that it answers as the emulator and moto do; moto takes ten times as long."""
    return with_tables(SimulatedDynamoDB())


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def world(database: Database, clock: HandClock) -> World:
    return World(database, clock)


@pytest.fixture(scope="module")
def services() -> Services:
    """Shared by a module's tests. Each test uses accounts of its own. The clock stands still."""
    return Services.over(with_tables(SimulatedDynamoDB()), HandClock())


@pytest.fixture
def customer(services: Services) -> Customer:
    return new_customer(services)


@pytest.fixture
def other_customer(services: Services) -> Customer:
    return new_customer(services)
