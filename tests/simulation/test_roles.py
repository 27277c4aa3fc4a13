"""A function's role lets it do all that its code asks for, and nothing that it doesn't.

What the code asks for is recorded: in stories of the simulation, of all that a customer can ask of the API, and of what
seldom happens. A line that asks for something and isn't run would leave its permission unknown, so none may be left
out. Besides, no story that the simulation tells may ask for more than the roles let it.
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

#: recording takes a while, and what is recorded serves them all
pytestmark = pytest.mark.xdist_group("roles")

FUNCTIONS = ("APIHandler", "Pacer", "Dialer", "Settler")
#: What Lambda does in a function's role, whatever the code does: as in the policies that AWS manages for it,
#: AWSLambdaBasicExecutionRole (but for making log groups, which the template does) and AWSLambdaSQSQueueExecutionRole.
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
TAKE = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
WRITE = {"dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}

CODE = Path(chalicelib.__file__).parent
STORAGE = {*CODE.glob("storage/*.py")}
USE_CASES = {*CODE.glob("api/*.py"), *CODE.glob("calling/*.py")}
#: attributes that lead to AWS
LEADING = {field.name for field in fields(Stores)} - {"database"} | {"dead_letters", "queue", "switch"}
#: methods of pynamodb, and of transactions
ASKING = {"batch_get", "batch_write", "delete", "get", "put", "query", "refresh", "save", "update"}
#: what only programs of the operator ask for, with the operator's own permissions
OPERATORS = {("Accounts", "ensure"), ("Switch", "is_set"), ("Switch", "turn")} | {
    ("Tokens", name) for name in ("create", "of_account", "revoke")
}


@pytest.fixture(scope="module")
def record() -> Record:
    return everything(all_asking())


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(build().template.read_text())
    return found


def asked_by_lambda(function: str, template: dict[str, Any]) -> Iterator[Permission]:
    resources = template["Resources"]
    log_group = resources[resources[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
    for action in LOG:
        yield action, log_group["Properties"]["LogGroupName"]["Fn::Sub"]
    if function == "Dialer":
        for action in TAKE:
            yield action, "calls"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_has_what_its_function_asks_for_and_no_more(
    function: str, record: Record, template: dict[str, Any]
) -> None:
    role = granted(template)[function]
    asked = record.asked[function] | set(asked_by_lambda(function, template))
    wrong = [f"{function} asks for {action} on {resource}, and may not" for action, resource in sorted(asked - role)]
    wrong += [f"{function} may {action} on {resource}, and never asks" for action, resource in sorted(role - asked)]
    assert not wrong, "\n".join(wrong)


def test_each_function_has_a_role_of_its_own(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    roles = {
        name: resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert roles.keys() == set(FUNCTIONS)
    made = [name for name, resource in resources.items() if resource["Type"].startswith("AWS::IAM::")]
    assert sorted(made) == sorted(roles.values())


def test_the_dialer_writes_nothing_but_what_becomes_of_calls(template: dict[str, Any]) -> None:
    written = {resource for action, resource in granted(template)["Dialer"] if action in WRITE}
    assert written == {"calls", "tasks"}


def test_only_the_dialer_takes_from_the_queue_and_only_the_pacer_puts_in(template: dict[str, Any]) -> None:
    at_the_queue = {(function, action) for function, role in granted(template).items() for action, _ in role}
    assert {pair for pair in at_the_queue if pair[1].startswith("sqs:")} == {
        ("Pacer", "sqs:SendMessage"),
        ("Dialer", "sqs:SendMessage"),
        *(("Dialer", action) for action in TAKE),
    }
    assert ("sqs:SendMessage", "calls") not in granted(template)["Dialer"]


def test_nothing_is_permitted_by_a_star(template: dict[str, Any]) -> None:
    permissions = [one for role in granted(template).values() for one in role]
    assert [one for one in permissions if "*" in "".join(one)] == []


def test_every_line_that_asks_for_something_is_in_the_record(record: Record) -> None:
    left_out = record.left_out(all_asking())
    assert not left_out, "not run: " + ", ".join(f"{path.relative_to(CODE)}:{line}" for path, line in left_out)


@pytest.mark.parametrize(
    "name",
    ["calling/pacer.py", "calling/dialer.py", "calling/settler.py", "api/campaigns.py", "storage/calls.py"],
)
def test_lines_that_ask_for_something_are_known(name: str) -> None:
    assert len(asking(CODE / name)) >= 10


def all_asking() -> dict[Path, set[int]]:
    return {path: asking(path) for path in sorted(STORAGE | USE_CASES)}


def asking(path: Path) -> set[int]:
    """The lines of the file that ask for something."""
    return set(asking_of_aws(path) if path in STORAGE else asking_of_storage(path))


def asking_of_storage(path: Path) -> Iterator[int]:
    """The lines that name something of a store or a queue, which is an attribute itself: `self._calls.claim`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Attribute(attr=name)) if name.lstrip("_") in LEADING:
                yield node.lineno


def asking_of_aws(path: Path) -> Iterator[int]:
    for owner in ast.parse(path.read_text()).body:
        for function in ast.iter_child_nodes(owner):
            if (getattr(owner, "name", None), getattr(function, "name", None)) in OPERATORS:
                continue
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="self"))):
                        pass  # a method of its own
                    case ast.Call(func=ast.Attribute(attr=name)) if name in ASKING:
                        yield node.lineno
