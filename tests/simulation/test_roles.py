"""A function's role allows exactly what its code needs.

What the code needs is recorded while it runs: in stories of the simulation, in all requests that a customer can send to
the API, and in rare situations. Each line of the code that sends a request to AWS must have run, since otherwise its
permission would be unknown. The checker of the simulation shows that no story needs more than the roles allow.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import chalicelib
from chalicelib.storage.stores import Stores
from infra.deploy.package import build
from tests.simulation.recording import Record, everything
from tests.support.permissions import Permission, granted

#: Recording takes a while, and all tests use one record.
# Tracing each line takes two minutes on a slow machine that is busy.
pytestmark = [pytest.mark.xdist_group("roles"), pytest.mark.timeout(600)]

FUNCTIONS = ("APIHandler", "Pacer", "Dialer", "Settler")
#: What Lambda itself does in a function's role, by the policies that AWS manages for it: AWSLambdaBasicExecutionRole,
#: without creating log groups, which the template does, and AWSLambdaSQSQueueExecutionRole.
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}
RECEIVING = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
WRITING = {"dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}

CODE = Path(chalicelib.__file__).parent
STORAGE = {*CODE.glob("storage/*.py")}
USE_CASES = {path for folder in ("api", "calling") for path in CODE.glob(f"{folder}/*.py")}
#: attributes that hold a store or a queue
STORES = {field.name for field in fields(Stores)} - {"database"} | {"dead_letters", "queue", "switch"}
#: methods of pynamodb, and of transactions, that send a request
REQUESTS = {"batch_get", "batch_write", "delete", "get", "put", "query", "refresh", "save", "update"}
#: methods that only programs of the operator call, with the operator's own permissions
OPERATORS = {
    ("Accounts", "limit_concurrent_calls"),
    ("Accounts", "ensure"),
    ("Switch", "is_set"),
    ("Switch", "turn"),
} | {("Tokens", name) for name in ("create", "of_account", "revoke")}


@pytest.fixture(scope="module")
def record() -> Record:
    return everything(all_requesting())


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(build().template.read_text())
    return found


def needed_by_lambda(function: str, template: dict[str, Any]) -> Iterator[Permission]:
    resources = template["Resources"]
    log_group = resources[resources[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
    for action in LOGGING:
        yield action, log_group["Properties"]["LogGroupName"]["Fn::Sub"]
    if function == "Dialer":
        for action in RECEIVING:
            yield action, "calls"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_exactly_what_its_function_needs(function: str, record: Record, template: dict[str, Any]) -> None:
    role = granted(template)[function]
    needed = record.asked[function] | set(needed_by_lambda(function, template))
    wrong = [f"{function} needs {action} on {resource}, and may not" for action, resource in sorted(needed - role)]
    wrong += [f"{function} may {action} on {resource}, and never does" for action, resource in sorted(role - needed)]
    assert not wrong, "\n".join(wrong)


def test_each_function_has_a_role_of_its_own(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    roles = {
        name: resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert roles.keys() == set(FUNCTIONS)
    in_template = [name for name, resource in resources.items() if resource["Type"].startswith("AWS::IAM::")]
    assert sorted(in_template) == sorted(roles.values())


def test_the_dialer_writes_only_calls_tasks_and_the_progress_of_campaigns(template: dict[str, Any]) -> None:
    written = {resource for action, resource in granted(template)["Dialer"] if action in WRITING}
    assert written == {"calls", "tasks", "campaigns"}


def test_only_pacer_dialer_and_settler_send_to_the_queue_and_only_the_dialer_receives(template: dict[str, Any]) -> None:
    at_the_queue = {(function, action) for function, role in granted(template).items() for action, _ in role}
    assert {pair for pair in at_the_queue if pair[1].startswith("sqs:")} == {
        ("Pacer", "sqs:SendMessage"),
        ("Settler", "sqs:SendMessage"),
        ("Dialer", "sqs:SendMessage"),
        *(("Dialer", action) for action in RECEIVING),
    }


def test_no_permission_has_a_wildcard(template: dict[str, Any]) -> None:
    permissions = [one for role in granted(template).values() for one in role]
    assert [one for one in permissions if "*" in "".join(one)] == []


def test_every_line_that_sends_a_request_to_aws_has_run(record: Record) -> None:
    left_out = record.left_out(all_requesting())
    assert not left_out, "not run: " + ", ".join(f"{path.relative_to(CODE)}:{line}" for path, line in left_out)


@pytest.mark.parametrize(
    "name", ["calling/pacer.py", "calling/dialer.py", "calling/settler.py", "api/campaigns.py", "storage/calls.py"]
)
def test_lines_that_send_requests_to_aws_are_recognised(name: str) -> None:
    assert len(requesting(CODE / name)) >= 10


def all_requesting() -> dict[Path, set[int]]:
    return {path: requesting(path) for path in sorted(STORAGE | USE_CASES)}


def requesting(path: Path) -> set[int]:
    """The lines of the file that send a request to AWS."""
    return set(requesting_of_aws(path) if path in STORAGE else requesting_of_storage(path))


def requesting_of_storage(path: Path) -> Iterator[int]:
    """The lines that name a method of a store or a queue which is an attribute itself, as in `self._calls.claim`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Attribute(attr=name)) if name.lstrip("_") in STORES:
                yield node.lineno


def requesting_of_aws(path: Path) -> Iterator[int]:
    for owner in ast.parse(path.read_text()).body:
        for function in ast.iter_child_nodes(owner):
            if (getattr(owner, "name", None), getattr(function, "name", None)) in OPERATORS:
                continue
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="self"))):
                        pass  # a method of its own
                    case ast.Call(func=ast.Attribute(attr=name)) if name in REQUESTS:
                        yield node.lineno
