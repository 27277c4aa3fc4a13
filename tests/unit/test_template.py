"""The template creates what the code expects."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.calling.dialer import ATTEMPT_REPORTED_WITHIN
from chalicelib.domain.pacing import CLOCKS_DIFFER, MISFIRE_GRACE
from chalicelib.domain.settling import CLAIM_HELD_FOR
from chalicelib.runtime.metrics import Metric
from chalicelib.storage.database import Database
from infra.template.alarms import FUNCTIONS as FUNCTION_NAMES
from infra.template.queues import DIALER_TIMEOUT, VISIBILITY_TIMEOUT
from infra.template.roles import ROLES
from infra.template.template import merge_template
from tests.support.databases import create_tables

TEMPLATE = merge_template()
RESOURCES = TEMPLATE["Resources"]
CHALICE = Path(__file__).parents[2] / ".chalice"
CONFIG = json.loads((CHALICE / "config.json").read_text())
FUNCTIONS = CONFIG["stages"]["prod"]["lambda_functions"]

#: the alarms' topic, if the operator names one
TOPIC = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
#: the prefix of names, as the template has it
PREFIX = "callpacer-${Stage}"


def declared_tables() -> dict[str, dict[str, Any]]:
    """The tables of the template, by their names without the prefix."""
    return {
        resource["Properties"]["TableName"]["Fn::Sub"].removeprefix(f"{PREFIX}-"): resource["Properties"]
        for resource in RESOURCES.values()
        if resource.get("Type") == "AWS::DynamoDB::Table"
    }


class RecordingClient:
    """Records the tables that are created, and creates none."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name == "DescribeTable":
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, operation_name)
        self.tables.setdefault(api_params["TableName"].removeprefix("prefix-"), {}).update(api_params)
        return {}


def expected_tables() -> dict[str, dict[str, Any]]:
    """The tables that the code's models would create, by their names without the prefix."""
    client = RecordingClient()
    create_tables(Database("prefix", client))
    return client.tables


@pytest.mark.parametrize("name", expected_tables())
def test_a_table_has_the_keys_indexes_and_expiry_of_its_model(name: str) -> None:
    declared, expected = declared_tables()[name], expected_tables()[name]
    assert declared["KeySchema"] == expected["KeySchema"]
    assert indexes(declared) == indexes(expected)
    assert sorted(map(str, declared["AttributeDefinitions"])) == sorted(map(str, expected["AttributeDefinitions"]))
    assert declared.get("TimeToLiveSpecification") == expected.get("TimeToLiveSpecification")


def indexes(table: dict[str, Any]) -> dict[str, Any]:
    """Keys and projection of each index."""
    return {
        index["IndexName"]: (index["KeySchema"], index["Projection"])
        for index in table.get("GlobalSecondaryIndexes", [])
    }


def test_every_declared_table_has_a_model() -> None:
    assert declared_tables().keys() == expected_tables().keys()


def test_tables_are_billed_by_use() -> None:
    assert {table["BillingMode"] for table in declared_tables().values()} == {"PAY_PER_REQUEST"}


def test_a_message_stays_hidden_longer_than_the_dialer_may_take() -> None:
    assert FUNCTIONS["dialer"]["lambda_timeout"] == DIALER_TIMEOUT
    assert RESOURCES["CallQueue"]["Properties"]["VisibilityTimeout"] == VISIBILITY_TIMEOUT >= 6 * DIALER_TIMEOUT


def test_a_claim_is_held_longer_than_a_dialer_lives_by_any_clock() -> None:
    assert timedelta(seconds=DIALER_TIMEOUT) + 2 * CLOCKS_DIFFER < min(CLAIM_HELD_FOR, ATTEMPT_REPORTED_WITHIN)


@pytest.mark.parametrize("table", [name for name in RESOURCES if RESOURCES[name].get("Type") == "AWS::DynamoDB::Table"])
def test_a_table_outlives_its_stack_but_not_a_first_deployment_that_fails(table: str) -> None:
    resource = RESOURCES[table]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    # A protected table can't be rolled back. The deployment protects it when it is in use.
    properties = resource["Properties"]
    assert "DeletionProtectionEnabled" not in properties
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": {"Fn::If": ["HasManagedKey", True, False]}}


def test_tables_are_encrypted_with_the_free_key_by_default() -> None:
    assert TEMPLATE["Conditions"]["HasManagedKey"] == {"Fn::Equals": [{"Ref": "TableKey"}, "managed"]}
    assert TEMPLATE["Parameters"]["TableKey"]["Default"] == "owned"


@pytest.mark.parametrize(("days", "allowed"), [("0", True), ("30", True), ("400", True), ("29", False), ("-1", False)])
def test_the_retention_is_thirty_days_or_more_or_for_ever(days: str, allowed: bool) -> None:
    assert bool(re.fullmatch(TEMPLATE["Parameters"]["Retention"]["AllowedPattern"], days)) is allowed


def test_queues_are_encrypted() -> None:
    queues = [resource for resource in RESOURCES.values() if resource.get("Type") == "AWS::SQS::Queue"]
    assert [queue["Properties"]["SqsManagedSseEnabled"] for queue in queues] == [True, True]


def test_the_dashboard_is_json_and_refers_only_to_existing_resources() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = body.replace("callpacer-${Stage}", "${Stage}")
    known = {*RESOURCES, "APIHandler"}
    for reference in re.findall(r"\$\{(\w+)[.\w]*\}", body):
        assert reference in known | {"AWS", "Stage"}, reference
    widgets = json.loads(re.sub(r"\$\{[^}]*\}", "x", body))["widgets"]
    shown = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    assert {metric[1] for metric in shown if len(metric) > 1} >= {str(metric) for metric in Metric}
    # A SEARCH needs the dimensions in the order in which the metric has them.
    (search,) = (metric[0]["expression"] for metric in shown if len(metric) == 1)
    assert search == "SEARCH('{callpacer,Deployment,Campaign} Deployment=\"x\" CampaignsFailed', 'Sum', 60)"


def alarms() -> dict[str, dict[str, Any]]:
    """The alarms, by their names without the prefix."""
    found = [one["Properties"] for one in RESOURCES.values() if one.get("Type") == "AWS::CloudWatch::Alarm"]
    return {one["AlarmName"]["Fn::Sub"].removeprefix(f"{PREFIX}-"): one for one in found}


def test_every_alarm_has_a_description_and_notifies_the_topic() -> None:
    for name, alarm in alarms().items():
        assert alarm["AlarmDescription"].endswith("."), name
        assert alarm["AlarmActions"] == alarm["OKActions"] == TOPIC


def test_every_alarm_has_a_row_in_the_operators_manual() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    manual = manual.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+) \| .+ \| .+ \|$", manual, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    by_function = {name.replace("<function>", kind.lower()) for name in documented for kind in FUNCTION_NAMES}
    assert by_function >= alarms().keys()
    assert {name for name in documented if "<" not in name} <= alarms().keys()


def test_the_alarm_on_late_calls_sees_calls_that_are_still_made() -> None:
    """One call in a hundred may be over a second late. A call that is later than the misfire grace has no lag."""
    alarm = alarms()["late-calls"]
    assert (alarm["ExtendedStatistic"], alarm["Threshold"]) == ("p99", 1)
    assert timedelta(seconds=alarm["Threshold"]) < MISFIRE_GRACE


@pytest.mark.parametrize("tick", ["no-tick", "no-settler-tick"])
def test_a_missing_count_of_ticks_raises_the_alarm(tick: str) -> None:
    assert alarms()[tick]["TreatMissingData"] == "breaching"


def test_an_alarm_that_computes_has_at_most_the_ten_metrics_that_cloudwatch_allows() -> None:
    computing = {name: alarm["Metrics"] for name, alarm in alarms().items() if "Metrics" in alarm}
    assert computing.keys() == {"deferred", "table-read-throttles", "table-write-throttles"}
    for metrics in computing.values():
        *inputs, computed = metrics
        assert len(inputs) <= 10
        assert [one["ReturnData"] for one in metrics] == [*[False] * len(inputs), True]
        assert "Expression" in computed


def test_alarms_watch_the_throttles_of_every_table() -> None:
    reads = [one for one in alarms()["table-read-throttles"]["Metrics"] if "MetricStat" in one]
    watched = {one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"] for one in reads}
    assert watched == {name for name in RESOURCES if RESOURCES[name].get("Type") == "AWS::DynamoDB::Table"}
    writes = [one for one in alarms()["table-write-throttles"]["Metrics"] if "MetricStat" in one]
    assert {"Name": "GlobalSecondaryIndexName", "Value": "work"} in [
        dimension for one in writes for dimension in one["MetricStat"]["Metric"]["Dimensions"]
    ]


def test_the_alarm_on_the_api_has_the_apis_name() -> None:
    api = RESOURCES["RestAPI"]["Properties"]
    assert api["Name"] == api["DefinitionBody"]["info"]["title"] == {"Fn::Sub": PREFIX}
    assert alarms()["api-5xx"]["Dimensions"] == [{"Name": "ApiName", "Value": {"Fn::Sub": PREFIX}}]


def test_the_gateways_own_answers_have_the_form_of_the_apis_errors() -> None:
    responses = RESOURCES["RestAPI"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    for response in responses.values():
        assert json.loads(response["responseTemplates"]["application/json"]).keys() == {"status", "error"}
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == 404
    assert str(MAX_BODY_BYTES) in responses["REQUEST_TOO_LARGE"]["responseTemplates"]["application/json"]


def test_the_dialer_is_updated_before_each_function_that_sends_to_its_queue() -> None:
    senders = {function for function, allowed in ROLES.items() if "SendMessage" in allowed.get("CallQueue", "")}
    assert senders == {"Pacer", "Settler", "Dialer"}
    senders.remove("Dialer")
    assert [RESOURCES[sender].get("DependsOn") for sender in senders] == [["Dialer"]] * len(senders)
    assert "DependsOn" not in RESOURCES["Dialer"]


@pytest.mark.parametrize("function", ["Pacer", "Settler"])
def test_a_failed_tick_is_not_retried(function: str) -> None:
    config = merge_template()["Resources"][function]["Properties"]["EventInvokeConfig"]
    assert config == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
