"""DynamoDB in memory: the low-level operations that pynamodb asks for on behalf of storage.

The simulation passes functions that decide what DynamoDB seldom does: refuse a request, leave a part of a batch
unprocessed, answer from an index that lags. An operation, option or expression that isn't implemented raises
NotImplementedError.
"""

import random
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

from botocore.exceptions import ClientError

from tests.fake_aws import expressions
from tests.fake_aws.expressions import KeyTest, Values
from tests.fake_aws.tables import Index, Partition, Partitions, Schema, SortKey, Table, spread
from tests.fake_aws.values import LARGEST_ITEM, Item, Refused, copied, invalid, kept_item, size_of

_BATCH_GET = 100
_BATCH_WRITE = 25
_TRANSACTION = 100
#: bytes
_LARGEST_TRANSACTION = 4 * 1024 * 1024
#: errors that cancel a transaction, and the codes of their reasons
_CANCELLED_FOR = {
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "TransactionConflictException": "TransactionConflict",
}
_IGNORED = frozenset({"ReturnConsumedCapacity", "ReturnItemCollectionMetrics"})
_NAMES_AND_VALUES = frozenset({"ExpressionAttributeNames", "ExpressionAttributeValues"})
_WRITE = frozenset({"TableName", "ConditionExpression", *_NAMES_AND_VALUES})
_QUERY = frozenset({"TableName", "IndexName", "ConsistentRead", "Limit", "ExclusiveStartKey", "ScanIndexForward"})
_TABLE = frozenset({"TableName", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"})
#: the expressions that a query may have besides its key's
_OF_QUERIES: Mapping[str, Callable[[str, expressions.Names], expressions.Parsed[Any]]] = {
    "FilterExpression": expressions.condition,
    "ProjectionExpression": expressions.projection,
}
#: the options of each operation, and of each part of a transaction
_KNOWN = {
    "CreateTable": _TABLE,
    "DescribeTable": frozenset({"TableName"}),
    "UpdateTimeToLive": frozenset({"TableName", "TimeToLiveSpecification"}),
    "GetItem": frozenset({"TableName", "Key", "ConsistentRead"}),
    "PutItem": frozenset({"Item"}) | _WRITE,
    "UpdateItem": frozenset({"Key", "UpdateExpression", "ReturnValues"}) | _WRITE,
    "DeleteItem": frozenset({"Key"}) | _WRITE,
    "Query": frozenset({"KeyConditionExpression", *_OF_QUERIES}) | _QUERY | _NAMES_AND_VALUES,
    "Scan": frozenset({"TableName", "Limit", "ExclusiveStartKey"}),
    "BatchGetItem": frozenset({"RequestItems"}),
    "BatchWriteItem": frozenset({"RequestItems"}),
    "TransactWriteItems": frozenset({"TransactItems", "ClientRequestToken"}),
    "Delete": frozenset({"Key"}) | _WRITE,
    "Put": frozenset({"Item"}) | _WRITE,
    "Update": frozenset({"Key", "UpdateExpression"}) | _WRITE,
}


class ConditionFailed(Refused):
    def __init__(self) -> None:
        super().__init__("ConditionalCheckFailedException", "The conditional request failed")


@dataclass(frozen=True)
class _Write:
    """What a request would do to one item."""

    table: Table
    key: tuple[Any, ...]
    holds: Callable[[Item | None], bool]
    #: the item before -> the item after
    change: Callable[[Item | None], Item | None]

    @property
    def target(self) -> tuple[str, tuple[Any, ...]]:
        return self.table.name, self.key

    def tried(self) -> Item | None:
        """The item as it would be after the write. Nothing is written. Raises Refused."""
        before = self.table.get(self.key)
        if not self.holds(before):
            raise ConditionFailed
        return self.change(before)

    def done(self) -> Item | None:
        """Write the item, and return it. Raises Refused, and then nothing is written."""
        after = self.tried()
        self.table.set(self.key, after)
        return after


class SimulatedDynamoDB:
    """A client with tables of its own. Several threads may use it.

    `index_lag` is how many of an index's last changes a query doesn't see. `fault` names the error that an operation
    is refused with, or None. `unprocessed` is how many parts of a batch of so many are left unprocessed.
    """

    def __init__(
        self,
        generator: random.Random | None = None,
        *,
        page_size: int = 7,
        index_lag: Callable[[], int] = lambda: 0,
        fault: Callable[[str], str | None] = lambda _: None,
        unprocessed: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self._generator = generator or random.Random(0)  # noqa: S311 # no secret
        self._page_size = page_size
        self._index_lag = index_lag
        self._fault = fault
        self._unprocessed = unprocessed
        self._tables: dict[str, Table] = {}
        #: the parts of each transaction that was done, by its token
        self._transactions: dict[str, Any] = {}
        self._one_at_a_time = threading.Lock()
        self._operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateTable": self._create_table,
            "DescribeTable": self._describe_table,
            "UpdateTimeToLive": lambda request: {"TimeToLiveSpecification": request["TimeToLiveSpecification"]},
            "GetItem": self._get_item,
            "PutItem": lambda request: self._write(self._put(request)),
            "UpdateItem": lambda request: self._write(self._update(request), request.get("ReturnValues", "NONE")),
            "DeleteItem": lambda request: self._write(self._delete(request)),
            "Query": self._query,
            "Scan": self._scan,
            "BatchGetItem": self._batch_get_item,
            "BatchWriteItem": self._batch_write_item,
            "TransactWriteItems": self._transact_write_items,
        }

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        """Raises ClientError."""
        if operation_name not in self._operations:
            raise NotImplementedError(operation_name)
        _refuse_unknown(operation_name, api_params, _KNOWN[operation_name])
        with self._one_at_a_time:
            try:
                self._fail(operation_name, api_params)
                return self._operations[operation_name](api_params)
            except Refused as refused:
                raise ClientError(refused.response, operation_name) from None  # type: ignore[arg-type] # typed in stubs only

    def _fail(self, operation: str, request: Mapping[str, Any]) -> None:
        code = self._fault(operation)
        if code is None:
            return
        if operation == "TransactWriteItems" and code in _CANCELLED_FOR:
            reasons = [("None", "")] * len(request["TransactItems"])
            reasons[self._generator.randrange(len(reasons))] = (_CANCELLED_FOR[code], "by `fault`")
            raise _cancelled(reasons)
        raise Refused(code, "by `fault`")

    # tables

    def _create_table(self, request: Mapping[str, Any]) -> dict[str, Any]:
        kinds = {one["AttributeName"]: one["AttributeType"] for one in request["AttributeDefinitions"]}
        schema = _schema(request["KeySchema"], kinds)
        indexes = {}
        for index in request.get("GlobalSecondaryIndexes", []):
            projection = index["Projection"]
            shown = None if projection["ProjectionType"] == "ALL" else frozenset(projection.get("NonKeyAttributes", ()))
            indexes[index["IndexName"]] = Index(_schema(index["KeySchema"], kinds), schema, shown)
        name = request["TableName"]
        self._tables[name] = Table(name, schema, indexes)
        return self._describe_table(request)

    def _describe_table(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Table": {"TableName": self._table(request).name, "TableStatus": "ACTIVE"}}

    def _table(self, request: Mapping[str, Any]) -> Table:
        table = self._tables.get(request["TableName"])
        if table is None:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return table

    # one item

    def _get_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        item = table.get(table.key_of(kept_item(request["Key"])))
        return {} if item is None else {"Item": copied(item)}

    def _write(self, write: _Write, returns: str = "NONE") -> dict[str, Any]:
        if returns not in ("NONE", "ALL_OLD", "ALL_NEW"):
            raise NotImplementedError(f"ReturnValues={returns}")
        before, after = write.table.get(write.key), write.done()
        shown = {"ALL_OLD": before, "ALL_NEW": after}.get(returns)
        return {} if shown is None else {"Attributes": copied(shown)}

    def _put(self, request: Mapping[str, Any]) -> _Write:
        table = self._table(request)
        item = kept_item(request["Item"])
        table.check(item)
        _refuse_too_large(item, "Item size has exceeded the maximum allowed size")
        holds = _condition(request, _values(request))
        return _Write(table, table.schema.key_of(item), holds, lambda _: item)

    def _delete(self, request: Mapping[str, Any]) -> _Write:
        table = self._table(request)
        holds = _condition(request, _values(request))
        return _Write(table, table.key_of(kept_item(request["Key"])), holds, lambda _: None)

    def _update(self, request: Mapping[str, Any]) -> _Write:
        table = self._table(request)
        key, values = kept_item(request["Key"]), _values(request)
        update = expressions.update(request["UpdateExpression"], _names(request))
        if any(change.attribute in key for change in update.does):
            raise NotImplementedError(f"an update of a key: {request['UpdateExpression']}")

        def change(before: Item | None) -> Item | None:
            if before is None and all(change.clause == "REMOVE" for change in update.does):
                return None
            after = expressions.updated(before or key, update.does, values)
            table.check(after)
            _refuse_too_large(after, "Item size to update has exceeded the maximum allowed size")
            return after

        return _Write(table, table.key_of(key), _condition(request, values, update), change)

    # many items

    def _query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        source = self._source(request)
        names, values = _names(request), _values(request)
        parsed = expressions.key_condition(request["KeyConditionExpression"], names)
        hash_key, tests = _key_range(source.schema, parsed.does, values)
        partition = source.partition(hash_key)
        low, high = _bounds(partition, source.schema, tests, values)
        indexes: Sequence[int] = range(low, high)
        if not request.get("ScanIndexForward", True):
            if "ExclusiveStartKey" in request:
                raise NotImplementedError("a second page of a query that goes backwards")
            indexes = indexes[::-1]
        elif "ExclusiveStartKey" in request:
            start = source.sort_key(kept_item(request["ExclusiveStartKey"]))
            indexes = range(max(low, bisect_right(partition.sort_keys, start)), high)
        items = (partition.items[partition.sort_keys[index]] for index in indexes)
        others = {option: parse(request[option], names) for option, parse in _OF_QUERIES.items() if option in request}
        _refuse_unused(request, parsed, *others.values())
        wanted, asked = others.get("FilterExpression"), others.get("ProjectionExpression")
        page = self._page(request, source, items, lambda item: wanted is None or wanted.does(item, values))
        if asked is not None:
            page["Items"] = [{name: item[name] for name in item.keys() & asked.does} for item in page["Items"]]
        return page

    def _scan(self, request: Mapping[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        after: tuple[Any, SortKey] | None = None
        if "ExclusiveStartKey" in request:
            start = kept_item(request["ExclusiveStartKey"])
            after = spread(table.schema.key_of(start)[0]), table.sort_key(start)
        items = (
            partition.items[sort_key]
            for hash_key, partition in table.all()
            for sort_key in partition.sort_keys
            if after is None or (spread(hash_key), sort_key) > after
        )
        return self._page(request, table, items)

    def _source(self, request: Mapping[str, Any]) -> Partitions:
        table = self._table(request)
        if "IndexName" not in request:
            return table
        if request.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes")
        index = table.indexes[request["IndexName"]]
        index.catch_up(self._index_lag())
        return index

    def _page(
        self,
        request: Mapping[str, Any],
        source: Partitions,
        items: Iterable[Item],
        passes: Callable[[Item], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """As many items as fit, without those that the filter drops."""
        limit = min(request.get("Limit", self._page_size), self._page_size)
        seen = list(islice(items, limit))
        chosen = [item for item in seen if passes(item)]
        answer: dict[str, Any] = {"Items": list(map(copied, chosen)), "Count": len(chosen), "ScannedCount": len(seen)}
        if len(seen) == limit:
            names = {*self._table(request).schema.names, *source.schema.names}
            answer["LastEvaluatedKey"] = copied({name: seen[-1][name] for name in names})
        return answer

    def _batch_get_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        asked = [(name, one, key) for name, one in request["RequestItems"].items() for key in one["Keys"]]
        if not 1 <= len(asked) <= _BATCH_GET:
            raise invalid("Too many items requested for the BatchGetItem call")
        found = []
        for name, one, key in asked:
            _refuse_unknown("BatchGetItem", one, frozenset({"Keys", "ConsistentRead"}))
            table = self._table({"TableName": name})
            found.append((name, key, table, table.key_of(kept_item(key))))
        _refuse_duplicates((name, key) for name, _, _, key in found)
        # pynamodb asks for keys in the order of a set, which changes from run to run.
        found.sort(key=lambda one: repr(one[:2]))
        self._generator.shuffle(found)
        left = self._left(len(found))
        answer: dict[str, Any] = {"Responses": {name: [] for name in request["RequestItems"]}, "UnprocessedKeys": {}}
        for name, key, _, _ in found[:left]:
            rest = {**request["RequestItems"][name], "Keys": []}
            answer["UnprocessedKeys"].setdefault(name, rest)["Keys"].append(copied(key))
        for name, _, table, key in found[left:]:
            item = table.get(key)
            if item is not None:
                answer["Responses"][name].append(copied(item))
        return answer

    def _batch_write_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        asked = [(name, part) for name, parts in request["RequestItems"].items() for part in parts]
        if not 1 <= len(asked) <= _BATCH_WRITE:
            raise invalid("Too many items requested for the BatchWriteItem call")
        writes = []
        for name, part in asked:
            ((kind, body),) = part.items()
            makes = {"PutRequest": self._put, "DeleteRequest": self._delete}[kind]
            writes.append((name, part, makes({"TableName": name, **body})))
        _refuse_duplicates(write.target for _, _, write in writes)
        self._generator.shuffle(writes)
        left = self._left(len(writes))
        answer: dict[str, Any] = {"UnprocessedItems": {}}
        for name, part, _ in writes[:left]:
            ((kind, body),) = part.items()
            rest = {kind: {what: copied(kept_item(content)) for what, content in body.items()}}
            answer["UnprocessedItems"].setdefault(name, []).append(rest)
        for _, _, write in writes[left:]:
            write.done()
        return answer

    def _left(self, parts: int) -> int:
        """How many parts are left unprocessed: all but one at most, since DynamoDB refuses the batch otherwise."""
        return max(0, min(self._unprocessed(parts), parts - 1))

    def _transact_write_items(self, request: Mapping[str, Any]) -> dict[str, Any]:
        parts, token = request["TransactItems"], request.get("ClientRequestToken")
        if not 1 <= len(parts) <= _TRANSACTION:
            raise invalid("Member must have length less than or equal to 100")
        if token in self._transactions:
            if self._transactions[token] != parts:
                raise Refused("IdempotentParameterMismatchException", "The token was used for another request")
            return {}
        writes = [self._part(part) for part in parts]
        if len({write.target for write in writes}) < len(writes):
            raise invalid("Transaction request cannot include multiple operations on one item")
        outcomes: list[Item | None] = []
        reasons: list[tuple[str, str]] = []
        for write in writes:
            after, reason = _tried(write)
            outcomes.append(after)
            reasons.append(reason)
        if any(code != "None" for code, _ in reasons):
            raise _cancelled(reasons)
        if sum(size_of(after) for after in outcomes if after is not None) > _LARGEST_TRANSACTION:
            raise invalid("Transaction request cannot be larger than 4 MB")
        for write, after in zip(writes, outcomes, strict=True):
            write.table.set(write.key, after)
        if token is not None:
            self._transactions[token] = parts
        return {}

    def _part(self, part: Mapping[str, Any]) -> _Write:
        ((kind, request),) = part.items()
        makes = {"Delete": self._delete, "Put": self._put, "Update": self._update}
        if kind not in makes:
            raise NotImplementedError(f"a transaction with a {kind}")
        _refuse_unknown(kind, request, _KNOWN[kind])
        return makes[kind](request)


def _refuse_unknown(operation: str, request: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = request.keys() - known - _IGNORED
    if unknown:
        raise NotImplementedError(f"{operation} with {', '.join(sorted(unknown))}")


def _refuse_duplicates(targets: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
    seen = set()
    for target in targets:
        if target in seen:
            raise invalid("Provided list of item keys contains duplicates")
        seen.add(target)


def _refuse_too_large(item: Item, message: str) -> None:
    if size_of(item) > LARGEST_ITEM:
        raise invalid(message)


def _schema(keys: Iterable[Mapping[str, str]], kinds: Mapping[str, str]) -> Schema:
    names = [key["AttributeName"] for key in sorted(keys, key=itemgetter("KeyType"))]
    return Schema(tuple((name, kinds[name]) for name in names))


def _names(request: Mapping[str, Any]) -> expressions.Names:
    return tuple(request.get("ExpressionAttributeNames", {}).items())


def _values(request: Mapping[str, Any]) -> Values:
    return kept_item(request.get("ExpressionAttributeValues", {}))


def _condition(
    request: Mapping[str, Any], values: Values, *others: expressions.Parsed[Any]
) -> Callable[[Item | None], bool]:
    """The condition of a write. `others` are its other expressions. Raises Refused like `_refuse_unused`."""
    if "ConditionExpression" not in request:
        _refuse_unused(request, *others)
        return lambda _: True
    condition = expressions.condition(request["ConditionExpression"], _names(request))
    _refuse_unused(request, condition, *others)
    return lambda before: condition.does(before or {}, values)


def _refuse_unused(request: Mapping[str, Any], *used: expressions.Parsed[Any]) -> None:
    """Raises Refused unless the expressions use exactly the placeholders that the request defines."""
    names = frozenset[str]().union(*(one.names for one in used))
    values = frozenset[str]().union(*(one.values for one in used))
    for what, wanted in (("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)):
        given = request.get(what, {}).keys()
        if given != wanted:
            raise invalid(f"{what}: unused or missing in expressions: {sorted(given ^ wanted)}")


def _key_range(schema: Schema, tests: Sequence[KeyTest], values: Values) -> tuple[Any, list[KeyTest]]:
    """The hash key that a query asks for, and what it asks of the range key."""
    hash_name, *range_names = schema.names
    hashes = [test for test in tests if test.attribute == hash_name and test.operator == "="]
    ranges = [test for test in tests if test.attribute in range_names]
    if len(hashes) != 1 or len(tests) != 1 + len(ranges):
        raise NotImplementedError(f"a query by {tests}")
    return schema.part(0, values[hashes[0].operands[0]]), ranges


def _bounds(partition: Partition, schema: Schema, tests: Sequence[KeyTest], values: Values) -> tuple[int, int]:
    """The indexes of the first key that passes, and of the first one after it that doesn't. Raises Refused."""
    keys = partition.sort_keys
    if not tests:
        return 0, len(keys)
    (test,) = tests
    low, *rest = [schema.part(1, values[operand]) for operand in test.operands]

    def before(part: Any) -> int:
        return bisect_left(keys, part, key=itemgetter(0))

    def beyond(part: Any) -> int:
        return bisect_right(keys, part, key=itemgetter(0))

    match test.operator:
        case "BETWEEN":
            if rest[0] < low:
                raise invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")
            return before(low), beyond(rest[0])
        case "begins_with":
            first = before(low)
            return first, bisect_left(keys, True, lo=first, key=lambda key: not key[0].startswith(low))
        case "=":
            return before(low), beyond(low)
        case "<=":
            return 0, beyond(low)
        case _:
            return beyond(low), len(keys)


def _tried(write: _Write) -> tuple[Item | None, tuple[str, str]]:
    """The item as a part of a transaction would leave it, and the code and message of the reason if it can't."""
    try:
        return write.tried(), ("None", "")
    except ConditionFailed as refused:
        return None, ("ConditionalCheckFailed", refused.message)
    except Refused as refused:
        return None, ("ValidationError", refused.message)


def _cancelled(reasons: Sequence[tuple[str, str]]) -> Refused:
    codes = ", ".join(code for code, _ in reasons)
    return Refused(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=[
            {"Code": code, "Message": message} if message else {"Code": code} for code, message in reasons
        ],
    )
