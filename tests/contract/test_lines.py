"""Lines are never held by more calls than there are, whoever takes them at the same time: on each database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.domain.call import ReportState
from chalicelib.domain.lines import HeldLine, LineLimits, Lines
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.calls import Calls
from chalicelib.storage.database import Database
from chalicelib.storage.stores import Stores
from chalicelib.storage.writes import WriteRefused, retried
from tests.support.examples import CAMPAIGN, NOW, claimed

UNTIL = NOW + timedelta(seconds=90)
LIMITS = LineLimits(7, None)
SCOPE = str(CAMPAIGN)


def line(sequence: int) -> HeldLine:
    return HeldLine(CAMPAIGN.call(sequence), 1, UNTIL)


def test_lines_are_read_back_as_they_were_written(database: Database) -> None:
    store = Stores.of(database).lines
    assert store.read(SCOPE) == Lines()
    held = Lines((line(1), line(2)), timedelta(seconds=45.5), {1: 3, 12: 0})
    assert store.replace(SCOPE, Lines(), held)
    found = store.read(SCOPE)
    assert [(one.call, one.attempt) for one in found.held] == [(one.call, one.attempt) for one in held.held]
    assert all(UNTIL <= one.begins_by <= UNTIL + timedelta(seconds=1) for one in found.held)
    assert (found.time_held, found.revisions) == (held.time_held, held.revisions)
    assert store.read("acme") == Lines()


def test_lines_that_were_written_meanwhile_are_not_replaced(database: Database) -> None:
    store = Stores.of(database).lines
    assert store.replace(SCOPE, Lines(), Lines((line(1),)))
    assert not store.replace(SCOPE, Lines(), Lines((line(2),)))
    before = store.read(SCOPE)
    assert store.replace(SCOPE, before, before.with_held([line(2)]))
    assert not store.replace(SCOPE, before, before.with_held([line(3)]))
    assert len(store.read(SCOPE).held) == 2


@pytest.mark.real_database  # moto compares and writes in two steps
def test_no_more_lines_are_taken_than_there_are_whoever_takes_them_at_once(database: Database) -> None:
    store = Stores.of(database).lines

    def take(sequence: int) -> int:
        def write() -> int:
            before = store.read(SCOPE)
            taken = [line(sequence)][: before.free(CAMPAIGN.id, LIMITS)]
            if taken and not store.replace(SCOPE, before, before.with_held(taken)):
                raise WriteRefused
            return len(taken)

        return retried(write)

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(take, range(20)))
    assert taken == len(store.read(SCOPE).held) == 7


def test_a_line_is_in_use_from_the_dispatch_to_the_outcome(database: Database, calls: Calls) -> None:
    store = Stores.of(database).lines
    claim = claimed(calls)
    held = HeldLine(claim.key, claim.attempt, UNTIL)
    assert store.replace(SCOPE, Lines(), Lines((held, line(99))))
    assert store.in_use(CAMPAIGN, LIMITS, NOW) == 2
    calls.finish(claim, Outcome(Result.COMPLETED, "http_200"), NOW + timedelta(seconds=3), ReportState.NONE)
    assert store.in_use(CAMPAIGN, LIMITS, NOW) == 1
    assert store.in_use(CAMPAIGN, LIMITS, UNTIL + timedelta(seconds=2)) == 0
    (stored,) = [one for one in store.read(SCOPE).held if one.call == claim.key]
    assert store.over([stored], NOW) == {stored: timedelta(seconds=3)}


def test_an_account_has_the_limit_that_its_operator_set_last(database: Database) -> None:
    accounts = Accounts(database)
    assert accounts.max_concurrent_calls("acme") is None
    for limit in (5, 7, None):
        accounts.limit_concurrent_calls("acme", limit)
        assert accounts.max_concurrent_calls("acme") == limit
