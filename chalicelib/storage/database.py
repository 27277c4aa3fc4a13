"""The tables of one deployment, over one client.

This module binds the items to their tables and to the connection. So nothing is read from the environment, and a test
may use a client of its own.
"""

import random
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model

from chalicelib.errors import Busy
from chalicelib.storage.tables import (
    AccountItem,
    CallItem,
    CampaignItem,
    CatalogItem,
    ChunkItem,
    LinesItem,
    LogItem,
    OperatorItem,
    ReceiptItem,
    TaskItem,
    TokenItem,
)
from chalicelib.storage.updates import Written
from chalicelib.storage.writes import CONFLICT, THROTTLED, Backoff, Transaction

M = TypeVar("M", bound=Model)

#: the member of an answer that has the part of a batch which DynamoDB didn't process
_UNPROCESSED = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


class DynamoDB(Protocol):
    """The part of a client that is used: botocore's own, or a simulated one."""

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]: ...


class _SharedConnection(Connection):
    """pynamodb's connection, over a given client.

    The part of a batch that DynamoDB didn't process, and a request that conflicts with a transaction, are sent again,
    each time after a longer pause.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
    """

    def __init__(self, client: DynamoDB, backoff: Backoff) -> None:
        # The client knows its region; pynamodb only requires that one is named.
        super().__init__(region="from-client")
        self._given = client
        self._backoff = backoff

    @property
    def client(self) -> Any:
        return self._given

    def _make_api_call(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Raises Busy if DynamoDB throttles the request, or leaves a part of a batch undone at every try."""
        unprocessed = _UNPROCESSED.get(operation_name)
        request, merged = operation_kwargs, None
        for _ in self._backoff.tries():
            answer = self._send(operation_name, request)
            merged = answer if merged is None else _merge(merged, answer)
            left = None if unprocessed is None else answer.get(unprocessed)
            if not left:
                return merged
            request = {**operation_kwargs, "RequestItems": left}
        raise Busy(f"a part of {operation_name} wasn't processed, however often it was sent")

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        for is_last in self._backoff.tries():
            try:
                return super()._make_api_call(operation, request)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in THROTTLED:
                    raise Busy(str(error)) from error
                if code != CONFLICT or is_last:
                    raise
        raise AssertionError("the last try answers or raises")


def _merge(before: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The answer to the rest of a batch, with the items of the answer before."""
    if "Responses" not in answer:
        return answer
    tables = before["Responses"].keys() | answer["Responses"].keys()
    items = {name: [item for one in (before, answer) for item in one["Responses"].get(name, [])] for name in tables}
    return {**answer, "Responses": items}


class Database:
    """The tables of one deployment, all over one client."""

    def __init__(
        self,
        prefix: str,
        client: DynamoDB,
        pause: Callable[[float], None] = time.sleep,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        """`pause` waits so many seconds. `random_fraction` answers a number from 0 to 1."""
        self._backoff = Backoff(pause, random_fraction)
        self._connection = _SharedConnection(client, self._backoff)
        self._prefix = prefix
        self._tables: set[str] = set()
        self.tokens = self._bind(TokenItem, "tokens")
        self.accounts = self._bind(AccountItem, "accounts")
        self.catalog = self._bind(CatalogItem, "catalog")
        self.campaigns = self._bind(CampaignItem, "campaigns")
        self.log = self._bind(LogItem, "log")
        self.chunks = self._bind(ChunkItem, "chunks")
        self.calls = self._bind(CallItem, "calls")
        self.tasks = self._bind(TaskItem, "tasks")
        self.lines = self._bind(LinesItem, "tasks")
        self.receipts = self._bind(ReceiptItem, "receipts")
        self.operator = self._bind(OperatorItem, "operator")

    def transaction(self) -> Transaction:
        return Transaction(self._connection, self._backoff)

    def update(self, request: dict[str, Any]) -> Written:
        """Send a request of `update_of`, and answer the attributes that it asks for.

        Raises what pynamodb's own updates raise.
        """
        try:
            answer = self._connection._make_api_call("UpdateItem", request)
        except (BotoCoreError, ClientError) as error:
            raise UpdateError(f"Failed to update item: {error}", error) from error
        attributes: Written = answer.get("Attributes", {})
        return attributes

    def texts(self, items: type[Model], name: str, hash_key: str, keys: Condition) -> Iterator[str | None]:
        """One text attribute of each item that a query finds; None for an item without it.

        The answer has nothing else, and pynamodb makes no items of it: for thousands of small items, that would take
        most of the time.
        """
        table = items._get_connection()
        start: Written | None = None
        while True:
            page = table.query(
                hash_key, keys, attributes_to_get=[name], consistent_read=True, exclusive_start_key=start
            )
            for item in page["Items"]:
                yield item[name]["S"] if name in item else None
            start = page.get("LastEvaluatedKey")
            if start is None:
                return

    def _bind(self, model: type[M], name: str) -> type[M]:
        """Several models may be bound to one table, whose items then differ."""
        meta = type("Meta", (), {"table_name": f"{self._prefix}-{name}", "region": "from-client"})
        bound = types.new_class(model.__name__, (model,), exec_body=lambda names: names.update(Meta=meta))
        table = cast(type[M], bound)._get_connection()
        if name not in self._tables:
            self._connection.add_meta_table(table.get_meta_table())
            self._tables.add(name)
        table.connection = self._connection
        return cast(type[M], bound)
