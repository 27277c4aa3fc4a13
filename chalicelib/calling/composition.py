"""How the parts of a dialer are put together."""

import random
from collections.abc import Callable

from chalicelib.calling.blocking import RunBlocking
from chalicelib.calling.dialer import Dialer
from chalicelib.calling.refiller import Refiller
from chalicelib.calling.reporter import Reporter
from chalicelib.calling.signer import Signer
from chalicelib.calling.snapshots import CampaignSnapshots
from chalicelib.gateway.clients import ResultUrlClient, StartUrlClient
from chalicelib.gateway.queue import DeadLetters
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.metrics import Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch


def compose_dialer(
    *,
    stores: Stores,
    switch: Switch,
    refiller: Refiller,
    dead_letters: DeadLetters,
    start_url_client: StartUrlClient,
    result_url_client: ResultUrlClient,
    clock: Clock,
    metrics: Metrics,
    run_blocking: RunBlocking,
    public_url: str,
    random_fraction: Callable[[], float] = random.random,
) -> Dialer:
    """A dialer whose parts share stores, clock and metrics. `random_fraction` answers a number from 0 to 1."""
    signer = Signer(stores.accounts, clock, run_blocking, public_url)
    reporter = Reporter(
        stores=stores,
        signer=signer,
        client=result_url_client,
        clock=clock,
        metrics=metrics,
        run_blocking=run_blocking,
        random_fraction=random_fraction,
    )
    return Dialer(
        stores=stores,
        snapshots=CampaignSnapshots(switch, stores.campaigns, stores.schedules, clock, run_blocking),
        reporter=reporter,
        refiller=refiller,
        signer=signer,
        dead_letters=dead_letters,
        client=start_url_client,
        clock=clock,
        metrics=metrics,
        run_blocking=run_blocking,
        random_fraction=random_fraction,
    )
