"""The tables of one deployment, over one client.

The items are bound to tables and connection here, so nothing is read from the environment, and a test may hand in a
client of its own.
"""

import random
import time
import types
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import UpdateError
from pynamodb.models import Model

from chalicelib.errors import Busy
from chalicelib.storage.tables import (
    AccountItem,
    CallItem,
    CampaignItem,
    CatalogItem,
    ChunkItem,
    LogItem,
    OperatorItem,
    ReceiptItem,
    TaskItem,
    TokenItem,
)
from chalicelib.storage.updates import Written
from chalicelib.storage.writes import CONFLICT, THROTTLED, Backoff, Transaction

M = TypeVar("M", bound=Model)

#: where an answer has what was left undone
_UNDONE = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


class DynamoDB(Protocol):
    """What is asked of a client: botocore's own, or a simulated one."""

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]: ...


class _SharedConnection(Connection):
    """pynamodb's connection, over a client it is given.

    What DynamoDB leaves undone of a batch, and what another transaction stands in the way of, it asks for again, each
    time after a longer pause.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
    """

    def __init__(self, client: DynamoDB, backoff: Backoff) -> None:
        # The region is the client's own business; pynamodb only wants one to be named.
        super().__init__(region="from-client")
        self._given = client
        self._backoff = backoff

    @property
    def client(self) -> Any:
        return self._given

    def _make_api_call(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Raises Busy for what DynamoDB turns away for now."""
        undone = _UNDONE.get(operation_name)
        request, found = operation_kwargs, None
        for _ in self._backoff.tries():
            answer = self._ask(operation_name, request)
            found = answer if found is None else _together(found, answer)
            left = None if undone is None else answer.get(undone)
            if not left:
                return found
            request = {**operation_kwargs, "RequestItems": left}
        raise Busy(f"{operation_name} was left undone in part, again and again")

    def _ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
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


def _together(before: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The answer to a batch with what was read before the rest of it was asked for again."""
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
        """`pause` waits so many seconds; `chance` answers a number from 0 to 1."""
        self._backoff = Backoff(pause, random_fraction)
        self._connection = _SharedConnection(client, self._backoff)
        self._prefix = prefix
        self.tokens = self._bind(TokenItem, "tokens")
        self.accounts = self._bind(AccountItem, "accounts")
        self.catalog = self._bind(CatalogItem, "catalog")
        self.campaigns = self._bind(CampaignItem, "campaigns")
        self.log = self._bind(LogItem, "log")
        self.chunks = self._bind(ChunkItem, "chunks")
        self.calls = self._bind(CallItem, "calls")
        self.tasks = self._bind(TaskItem, "tasks")
        self.receipts = self._bind(ReceiptItem, "receipts")
        self.operator = self._bind(OperatorItem, "operator")

    def transaction(self) -> Transaction:
        return Transaction(self._connection, self._backoff)

    def update(self, request: dict[str, Any]) -> Written:
        """Send an update that `update_of` has written; answers the attributes that it asks for, if there are any.

        Raises what pynamodb's own updates do.
        """
        try:
            answer = self._connection._make_api_call("UpdateItem", request)
        except (BotoCoreError, ClientError) as error:
            raise UpdateError(f"Failed to update item: {error}", error) from error
        attributes: Written = answer.get("Attributes", {})
        return attributes

    def _bind(self, model: type[M], name: str) -> type[M]:
        meta = type("Meta", (), {"table_name": f"{self._prefix}-{name}", "region": "from-client"})
        bound = types.new_class(model.__name__, (model,), exec_body=lambda names: names.update(Meta=meta))
        table = cast(type[M], bound)._get_connection()
        self._connection.add_meta_table(table.get_meta_table())
        table.connection = self._connection
        return cast(type[M], bound)
