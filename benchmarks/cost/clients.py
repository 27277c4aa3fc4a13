"""Clients that count the units for which each request would be billed, and that take its time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.cost import units
from benchmarks.cost.ledger import Ledger, Line
from benchmarks.cost.machine import MACHINE
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.fake_aws.greenlets import wait
from tests.fake_aws.sqs import SimulatedSQS
from tests.fake_aws.values import Item, kept_item, size_of

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
#: parameters with which an answer doesn't show all that is read and billed
_HIDES = ("FilterExpression", "ProjectionExpression")


@dataclass(frozen=True)
class _Index:
    key: tuple[str, ...]
    #: the attributes that it holds; None: all of them
    holds: frozenset[str] | None

    def entry(self, item: Item | None) -> units.Entry | None:
        """The item's entry in this index; None if the index doesn't hold the item."""
        if item is None or any(name not in item for name in self.key):
            return None
        held = item if self.holds is None else {name: item[name] for name in self.holds if name in item}
        return units.Entry(tuple(str(item[name]) for name in self.key), str(sorted(held.items())), size_of(held))


@dataclass(frozen=True)
class _Table:
    name: str
    key: tuple[str, ...]
    indexes: tuple[_Index, ...]


@dataclass(frozen=True)
class _Write:
    """A write of one item, before it is carried out."""

    table: _Table
    key: Mapping[str, Any]
    #: the whole new item, if the request has it
    put: Item | None
    before: Item | None


class CountingDynamoDB:
    """A client of the simulated tables that counts units by AWS's rules."""

    def __init__(self, client: SimulatedDynamoDB, ledger: Ledger, prefix: str) -> None:
        """`prefix` is the prefix of the tables' names."""
        self._client = client
        self._ledger = ledger
        self._prefix = prefix
        self._tables: dict[str, _Table] = {}

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name == "CreateTable":
            self._note_table(api_params)
        machine = MACHINE.get(None)
        if machine is None:
            return self._client._make_api_call(operation_name, api_params)
        wait(machine.ask(_items(operation_name, api_params)))
        if operation_name in _WRITES or operation_name in ("BatchWriteItem", "TransactWriteItems"):
            return self._write(operation_name, api_params)
        answer = self._client._make_api_call(operation_name, api_params)
        self._note_read(operation_name, api_params, answer)
        return answer

    def _note_table(self, request: Mapping[str, Any]) -> None:
        key = _names(request["KeySchema"])
        indexes = []
        for index in request.get("GlobalSecondaryIndexes", []):
            holds = None
            if index["Projection"]["ProjectionType"] != "ALL":
                others = index["Projection"].get("NonKeyAttributes", ())
                holds = frozenset({*key, *_names(index["KeySchema"]), *others})
            indexes.append(_Index(_names(index["KeySchema"]), holds))
        name = request["TableName"]
        self._tables[name] = _Table(name, key, tuple(indexes))

    # reads

    def _note_read(self, operation: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if operation == "BatchGetItem":
            for name, requested in request["RequestItems"].items():
                _refuse_hiding(requested)
                found = [size_of(kept_item(item)) for item in answer["Responses"][name]]
                missing = len(requested["Keys"]) - len(found)
                reads = units.batch_read_units([*found, *[0] * missing], consistent=_is_consistent(requested))
                self._note(operation, name, reads=reads)
            return
        _refuse_hiding(request)
        consistent = _is_consistent(request)
        if operation == "GetItem":
            reads = units.read_units(size_of(kept_item(answer.get("Item", {}))), consistent=consistent)
        elif operation == "Query":
            sizes = (size_of(kept_item(item)) for item in answer["Items"])
            reads = units.query_units(sizes, consistent=consistent)
        else:
            raise NotImplementedError(operation)
        self._note(operation, request["TableName"], reads=reads)

    # writes

    def _write(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        writes = list(self._writes(operation, request))
        try:
            return self._client._make_api_call(operation, request)
        finally:
            transactional = operation == "TransactWriteItems"
            for table in {write.table.name for write in writes}:
                of_table = [write for write in writes if write.table.name == table]
                count = sum(self._units(write, transactional=transactional) for write in of_table)
                self._note(operation, table, writes=count)

    def _writes(self, operation: str, request: Mapping[str, Any]) -> Iterable[_Write]:
        if operation == "BatchWriteItem":
            for name, parts in request["RequestItems"].items():
                for part in parts:
                    ((_, body),) = part.items()
                    yield self._written({"TableName": name, **body})
        elif operation == "TransactWriteItems":
            for part in request["TransactItems"]:
                ((_, body),) = part.items()
                yield self._written(body)
        else:
            yield self._written(request)

    def _written(self, body: Mapping[str, Any]) -> _Write:
        table = self._tables[body["TableName"]]
        put = kept_item(body["Item"]) if "Item" in body else None
        key = body["Key"] if put is None else {name: put[name] for name in table.key}
        return _Write(table, key, put, self._read(table, key))

    def _read(self, table: _Table, key: Mapping[str, Any]) -> Item | None:
        answer = self._client._make_api_call("GetItem", {"TableName": table.name, "Key": dict(key)})
        return kept_item(answer["Item"]) if "Item" in answer else None

    def _units(self, write: _Write, *, transactional: bool) -> int:
        """A refused write is billed by the item that exists, or by the one that would be put."""
        after = self._read(write.table, write.key)
        larger = max((item for item in (after, write.put) if item is not None), key=size_of, default={})
        before = write.before or {}
        own = units.write_units(size_of(before), size_of(larger), transactional=transactional)
        return own + sum(
            units.index_units(index.entry(write.before), index.entry(after)) for index in write.table.indexes
        )

    def _note(self, operation: str, table: str, *, reads: float = 0.0, writes: int = 0) -> None:
        line = Line(MACHINE.get().function, table.removeprefix(f"{self._prefix}-"), operation)
        self._ledger.note_dynamodb(line, reads=reads, writes=writes)


class CountingSQS:
    def __init__(self, client: SimulatedSQS, ledger: Ledger, sent: Callable[[], None]) -> None:
        """`sent` is called when there are new messages."""
        self._client = client
        self._ledger = ledger
        self._sent = sent

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        entries = request["Entries"]
        wait(MACHINE.get().ask(len(entries)))
        payload = sum(len(entry["MessageBody"].encode()) for entry in entries)
        self._ledger.sqs["SendMessageBatch"] += units.sqs_requests(payload)
        answer = self._client.send_message_batch(**request)
        self._sent()
        return answer

    def send_message(self, **request: Any) -> dict[str, Any]:
        raise NotImplementedError("only dead letters are sent one by one, and there are none here")


def _names(keys: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in keys)


def _is_consistent(request: Mapping[str, Any]) -> bool:
    return bool(request.get("ConsistentRead", False))


def _refuse_hiding(request: Mapping[str, Any]) -> None:
    """Refuse a read whose answer doesn't show all that was read, since the units are counted by the answer."""
    hiding = [name for name in _HIDES if name in request]
    if hiding:
        raise NotImplementedError(", ".join(hiding))


def _items(operation: str, request: Mapping[str, Any]) -> int:
    """How many items the request names. A query counts as one."""
    if operation == "BatchGetItem":
        return sum(len(requested["Keys"]) for requested in request["RequestItems"].values())
    if operation == "BatchWriteItem":
        return sum(map(len, request["RequestItems"].values()))
    return len(request.get("TransactItems", (1,)))
