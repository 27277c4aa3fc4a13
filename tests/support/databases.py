"""Databases for tests: tables of their own, over any client of DynamoDB."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from botocore.session import get_session
from moto import mock_aws
from pynamodb.models import Model

from chalicelib.domain.keys import CampaignKey
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.database import Database
from chalicelib.storage.progress import ProgressStore


@contextmanager
def moto_client(service: str) -> Iterator[Any]:
    """A client of an AWS service in moto, with nothing in it."""
    with mock_aws():
        session = get_session()
        session.set_credentials("test", "test")
        yield session.create_client(service, region_name="us-east-1")


def with_tables(client: Any) -> Database:
    """A database with tables of its own, over this client."""
    database = Database(f"test-{uuid.uuid4().hex[:8]}", client)
    create_tables(database)
    return database


def create_tables(database: Database) -> None:
    models = [bound for bound in vars(database).values() if isinstance(bound, type) and issubclass(bound, Model)]
    of_table = {model.Meta.table_name: model for model in reversed(models)}
    for model in of_table.values():
        model.create_table(billing_mode="PAY_PER_REQUEST")


def with_work(progress: ProgressStore, now: datetime, shards: Iterable[int] = range(SHARDS)) -> list[CampaignKey]:
    """The campaigns with work to do."""
    return [work.campaign for works in progress.work_in(shards, now).values() for work in works]
