"""The package under AWS's own runtime client. Each function handles an event of the shape that AWS sends.

The emulator holds the deployed tables and queues. Its rules and its event source are off, so it invokes nothing.
"""

import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.hello_world import unpack
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.accounts import open_account
from infra.deploy.cloudformation import deploy
from infra.deploy.package import build
from infra.local.cloud import Emulated
from infra.local.emulator import REGION, Emulator
from tests.support.caller import wait
from tests.support.execution_environment import ExecutionEnvironment, Function, Machine, lay_out_runtime
from tests.support.http import event, multipart
from tests.support.runtime_api import Kind, Outcome
from tests.support.tenant import Tenant, serve
from tests.support.ticks import TICK, disable_triggers

STAGE = "runtime"
ACCOUNT = "acme"
NUMBERS = ("tel:+12223330001", "tel:+12223330002;ani=7778889999", "tel:+12223330003")
#: Overlapping windows are paced separately, so their calls are due together.
WINDOWS = [{"profile": "steady", "start_time": "00:00", "end_time": "24:00"}] * len(NUMBERS)
#: so that the next call is at most six seconds away, and may be three seconds late
PER_MINUTE = 10
#: seconds until start_url answers
SECONDS_PER_CALL = 1.0

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the runtime client is made for Linux alone"),
    # All of them read one story, which takes a while.
    pytest.mark.xdist_group("runtime"),
]


class Deployment:
    """A deployment in the emulator."""

    def __init__(self, emulator: Emulator, machine: Machine) -> None:
        package = build()
        parameters = {"Stage": STAGE, "AllowLoopback": "true"}
        outputs = deploy(package, f"callpacer-{STAGE}", parameters, Emulated(emulator.endpoint))
        self.machine = machine
        self.sqs = emulator.client("sqs")
        self.queue_url = outputs["QueueUrl"]
        self.database = Database(outputs["Tables"], emulator.client("dynamodb"))
        self._functions = emulator.client("lambda")
        disable_triggers(emulator.client, STAGE)
        Switch(self.database, outputs["Deployment"]).turn(on=True, now=datetime.now(UTC))
        template = json.loads(package.template.read_text())
        self.resources: Sequence[str] = list(template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"])

    def function(self, name: str) -> Function:
        """The deployed function, with the names and variables that CloudFormation gave it."""
        return Function.of(self._functions.get_function_configuration(FunctionName=f"callpacer-{STAGE}-{name}"))

    def receive_all(self) -> list[dict[str, Any]]:
        """All messages of the queue, each when it becomes visible."""
        received: list[dict[str, Any]] = []
        while self._waiting():
            answer = self.sqs.receive_message(
                QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]
            )
            received += answer.get("Messages", [])
        return received

    def _waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))


@dataclass
class Api:
    """The API's function, invoked as API Gateway invokes it."""

    environment: ExecutionEnvironment
    resources: Sequence[str]
    token: str

    def ask(self, method: str, target: str, **fields: str | bytes) -> tuple[int, Any]:
        """The status and the JSON of the answer. The fields are sent as a multipart form, base64-encoded."""
        headers = {"Host": "callpacer.example", "Authorization": f"Bearer {self.token}"}
        if fields:
            headers["Content-Type"] = "multipart/form-data; boundary=B"
        request = event(self.resources, method, f"/api{target}", multipart(**fields) if fields else b"", headers)
        outcome = self.environment.invoke(request)
        assert outcome.kind is Kind.RESPONSE, outcome
        body = outcome.body["body"]
        if outcome.body.get("isBase64Encoded"):
            body = base64.b64decode(body).decode()
        return outcome.body["statusCode"], json.loads(body)


@dataclass
class Story:
    """A campaign from its upload to its end. Each step is an invocation."""

    tenant: Tenant
    created: tuple[int, Any]
    read_back: tuple[int, Any]
    paced: Outcome
    #: the messages that the pacer sent
    messages: Sequence[Mapping[str, Any]]
    #: the outcome of the invocation that made the calls, and of two that got the same messages: one during the calls,
    #: and one without a database
    dialled: Outcome
    dialled_again: Outcome
    dialled_without_tables: Outcome
    settled: Outcome
    #: the campaign and its calls, as the API shows them afterwards
    shown: Any
    calls: Any
    #: the dialer's output
    log: str


@pytest.fixture(scope="module")
def deployment(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("lambda")
    task_root = unpack(build().archive, folder / "task")
    return Deployment(emulator, Machine(task_root, lay_out_runtime(folder / "runtime"), emulator.endpoint, folder))


def sqs_event(messages: Sequence[Mapping[str, Any]], queue: str) -> dict[str, Any]:
    """The event of Lambda's event source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:{queue}",
                "awsRegion": REGION,
            }
            for message in messages
        ]
    }


def _run_story(deployment: Deployment, tenant: Tenant, running: Mapping[str, ExecutionEnvironment]) -> Story:
    token, _ = open_account(deployment.database, ACCOUNT)
    api = Api(running["api"], deployment.resources, token)
    # Dialers that have started don't make the calls late.
    for name in ("dialer", "second dialer"):
        running[name].invoke({"Records": []})
    created = api.ask("POST", "/schedules", days='["mon","tue","wed","thu","fri","sat","sun"]', nickname="täglich")
    read_back = api.ask("GET", f"/schedules/{created[1]['response']['id']}")
    pace = {"period": "1", "amount_per_period": str(PER_MINUTE), "time_between_periods": "0"}
    api.ask("POST", "/profiles", nickname="steady", **pace)
    status, answer = api.ask(
        "POST",
        "/campaigns",
        start_date="2026-01-01",
        end_date="2099-12-31",
        schedule="täglich",
        profiles=json.dumps(WINDOWS),
        start_url=tenant.start_url,
        result_url=tenant.result_url,
        phone_numbers="\r\n".join(NUMBERS).encode(),
    )
    assert status == 200, answer
    campaign = answer["response"]["id"]
    api.ask("POST", "/campaigns/start", campaign_id=str(campaign))
    paced = running["pacer"].invoke(TICK)
    messages = deployment.receive_all()
    batch = sqs_event(messages, f"callpacer-{STAGE}-calls")
    running["dialer"].begin(batch)
    wait(lambda: len(tenant.calls) == len(NUMBERS), patience=30, pause=0.02)
    dialled_again = running["second dialer"].invoke(batch)
    dialled = running["dialer"].end()
    dialled_without_tables = running["dialer without tables"].invoke(batch)
    settled = running["settler"].invoke(TICK)
    _, shown = api.ask("GET", f"/campaigns/{campaign}")
    _, calls = api.ask("GET", f"/campaigns/{campaign}/calls")
    log = running["dialer"].output()
    return Story(
        tenant,
        created,
        read_back,
        paced,
        messages,
        dialled,
        dialled_again,
        dialled_without_tables,
        settled,
        shown,
        calls,
        log,
    )


@pytest.fixture(scope="module")
def story(deployment: Deployment) -> Iterator[Story]:
    functions = {name: deployment.function(name) for name in ("api", "pacer", "dialer", "settler")}
    functions["second dialer"] = functions["dialer"]
    functions["dialer without tables"] = functions["dialer"].with_variables(CALLPACER_TABLES="nowhere")
    with ExitStack() as stack:
        tenant = stack.enter_context(serve(SECONDS_PER_CALL))
        running = {
            title: stack.enter_context(deployment.machine.start(function)) for title, function in functions.items()
        }
        yield _run_story(deployment, tenant, running)


def test_a_schedule_is_created_from_an_encoded_form_and_read_back(story: Story) -> None:
    status, created = story.created
    assert (status, created["response"]["nickname"]) == (200, "täglich")
    status, read_back = story.read_back
    assert status == 200
    assert (read_back["schedule_id"], read_back["nickname"]) == (created["response"]["id"], "täglich")
    assert read_back["days"] == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def test_a_tick_puts_the_calls_that_are_due_into_the_queue(story: Story) -> None:
    assert story.paced.kind is Kind.RESPONSE
    assert story.paced.body["dials"] == len(NUMBERS)
    assert story.messages


def test_each_call_is_made_once_and_reported(story: Story) -> None:
    assert sorted(story.tenant.numbers_called()) == sorted(NUMBERS)
    assert sorted(report.form["phone_number"] for report in story.tenant.reports) == sorted(NUMBERS)


def test_no_finished_message_is_named_as_failed(story: Story) -> None:
    assert (story.dialled.kind, story.dialled.body) == (Kind.RESPONSE, {"batchItemFailures": []})


def test_a_message_that_comes_twice_makes_no_second_call(story: Story) -> None:
    assert story.dialled_again.kind is Kind.RESPONSE
    assert len(story.tenant.calls) == len(NUMBERS)


def test_failed_messages_are_named_in_the_answer(story: Story) -> None:
    named = {failure["itemIdentifier"] for failure in story.dialled_without_tables.body["batchItemFailures"]}
    assert named == {message["MessageId"] for message in story.messages}


def test_outcomes_are_settled(story: Story) -> None:
    assert story.settled.body == {"settled": len(NUMBERS)}
    assert (story.shown["status"], story.shown["progress"]["completed"]) == ("completed", len(NUMBERS))
    assert [(call["state"], call["report"]) for call in story.calls] == [("completed", "delivered")] * len(NUMBERS)


def test_a_function_logs_only_json_and_each_line_once(story: Story) -> None:
    """The runtime client has a log handler of its own. With both handlers, each line would come twice."""
    lines = [json.loads(line) for line in story.log.splitlines()]
    logged = [line["message"] for line in lines if "message" in line]
    assert logged.count("completed: http_200") == len(NUMBERS)


def test_after_an_exception_of_its_handler_a_function_handles_the_next_event(deployment: Deployment) -> None:
    without_settings = deployment.function("pacer").with_variables(CALLPACER_TABLES="", CALLPACER_QUEUE_URL="")
    with deployment.machine.start(without_settings) as pacer:
        for _ in range(2):
            outcome = pacer.invoke(TICK)
            assert (outcome.kind, outcome.body["errorType"]) == (Kind.ERROR, "MissingSettings")
            assert "CALLPACER_TABLES" in outcome.body["errorMessage"]
            assert "CALLPACER_QUEUE_URL" in outcome.body["errorMessage"]


def test_a_handler_that_is_not_in_the_package_is_an_error_at_the_start(deployment: Deployment) -> None:
    """Packages of this environment can't be imported."""
    without_handler = deployment.function("pacer").with_handler("moto.mock_aws")
    with deployment.machine.start(without_handler) as environment:
        outcome = environment.invoke(TICK)
        assert (outcome.kind, outcome.body["errorType"]) == (Kind.INIT_ERROR, "Runtime.ImportModuleError")
        assert "No module named 'moto'" in outcome.body["errorMessage"]
