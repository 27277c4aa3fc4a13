"""The template makes what the code expects."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pynamodb.models import Model

from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.domain.last_look import CLOCKS_DIFFER
from chalicelib.domain.settling import CLAIM_HELD_FOR
from chalicelib.runtime.metrics import Metric
from chalicelib.storage.database import Database, DynamoDB
from infra.template.alarms import FUNCTIONS as FUNCTION_NAMES
from infra.template.queues import DIALER_TIMEOUT, VISIBILITY_TIMEOUT
from infra.template.template import merge_template

TEMPLATE = merge_template()
RESOURCES = TEMPLATE["Resources"]
CHALICE = Path(__file__).parents[2] / ".chalice"
CONFIG = json.loads((CHALICE / "config.json").read_text())
FUNCTIONS = CONFIG["stages"]["prod"]["lambda_functions"]

#: the alarms' topic, if there is one
TOPIC = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
#: a prefix in whose place the template has CloudFormation's own
PREFIX = "callpacer-${Stage}"


def declared_tables() -> dict[str, dict[str, Any]]:
    return {
        resource["Properties"]["TableName"]["Fn::Sub"]: resource["Properties"]
        for resource in RESOURCES.values()
        if resource.get("Type") == "AWS::DynamoDB::Table"
    }


def models() -> list[type[Model]]:
    database = Database(PREFIX, cast(DynamoDB, None))
    return [value for value in vars(database).values() if isinstance(value, type) and issubclass(value, Model)]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_a_table_is_made_as_its_model_has_it(model: type[Model]) -> None:
    wanted = model._get_connection().get_meta_table().data
    made = declared_tables()[model.Meta.table_name]
    assert made["KeySchema"] == wanted["KeySchema"]
    assert {index["IndexName"]: index["KeySchema"] for index in indexes(made)} == {
        index["IndexName"]: index["KeySchema"] for index in indexes(wanted)
    }
    assert {index["IndexName"]: index["Projection"]["ProjectionType"] for index in indexes(made)} == {
        index.Meta.index_name: index.Meta.projection.projection_type for index in model._indexes.values()
    }
    assert sorted(map(str, made["AttributeDefinitions"])) == sorted(map(str, wanted["AttributeDefinitions"]))
    ttl = model._ttl_attribute()  # type: ignore[no-untyped-call]
    assert made.get("TimeToLiveSpecification", {}).get("AttributeName") == (ttl.attr_name if ttl else None)


def indexes(table: dict[str, Any]) -> list[dict[str, Any]]:
    return list(table.get("GlobalSecondaryIndexes", []))


def test_no_table_is_made_for_nobody() -> None:
    assert set(declared_tables()) == {model.Meta.table_name for model in models()}


def test_tables_cost_by_use() -> None:
    assert {table["BillingMode"] for table in declared_tables().values()} == {"PAY_PER_REQUEST"}


def test_a_message_stays_hidden_longer_than_the_dialer_may_take() -> None:
    assert FUNCTIONS["dialer"]["lambda_timeout"] == DIALER_TIMEOUT
    assert RESOURCES["CallQueue"]["Properties"]["VisibilityTimeout"] == VISIBILITY_TIMEOUT >= 6 * DIALER_TIMEOUT


def test_a_claim_is_waited_for_longer_than_its_holder_lives_by_any_clock() -> None:
    assert timedelta(seconds=DIALER_TIMEOUT) + 2 * CLOCKS_DIFFER < CLAIM_HELD_FOR


@pytest.mark.parametrize("table", [name for name in RESOURCES if RESOURCES[name].get("Type") == "AWS::DynamoDB::Table"])
def test_a_table_outlives_its_stack_but_no_first_deployment_that_fails(table: str) -> None:
    resource = RESOURCES[table]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    # A table that is protected can't be rolled back; it is protected once it is in use.
    properties = resource["Properties"]
    assert "DeletionProtectionEnabled" not in properties
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": {"Fn::If": ["HasManagedKey", True, False]}}


def test_tables_are_encrypted_by_a_key_that_costs_nothing_unless_another_is_asked_for() -> None:
    assert TEMPLATE["Conditions"]["HasManagedKey"] == {"Fn::Equals": [{"Ref": "TableKey"}, "managed"]}
    assert TEMPLATE["Parameters"]["TableKey"]["Default"] == "owned"


@pytest.mark.parametrize(("days", "allowed"), [("0", True), ("30", True), ("400", True), ("29", False), ("-1", False)])
def test_records_outlive_whatever_may_still_be_done_with_a_number(days: str, allowed: bool) -> None:
    assert bool(re.fullmatch(TEMPLATE["Parameters"]["Retention"]["AllowedPattern"], days)) is allowed


def test_queues_are_encrypted() -> None:
    queues = [resource for resource in RESOURCES.values() if resource.get("Type") == "AWS::SQS::Queue"]
    assert [queue["Properties"]["SqsManagedSseEnabled"] for queue in queues] == [True, True]


def test_the_dashboard_is_json_whatever_is_put_in_and_names_only_what_there_is() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = body.replace("callpacer-${Stage}", "${Stage}")
    known = {*RESOURCES, "APIHandler"}
    for reference in re.findall(r"\$\{(\w+)[.\w]*\}", body):
        assert reference in known | {"AWS", "Stage"}, reference
    widgets = json.loads(re.sub(r"\$\{[^}]*\}", "x", body))["widgets"]
    shown = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    assert {metric[1] for metric in shown if len(metric) > 1} >= {str(metric) for metric in Metric}
    # a SEARCH takes the dimensions' names as they are told
    (search,) = (metric[0]["expression"] for metric in shown if len(metric) == 1)
    assert search == "SEARCH('{callpacer,Deployment,Campaign} Deployment=\"x\" CampaignsFailed', 'Sum', 60)"


def alarms() -> dict[str, dict[str, Any]]:
    """By the names that the operator sees, after the stage."""
    found = [one["Properties"] for one in RESOURCES.values() if one.get("Type") == "AWS::CloudWatch::Alarm"]
    return {one["AlarmName"]["Fn::Sub"].removeprefix(f"{PREFIX}-"): one for one in found}


def test_every_alarm_says_what_it_means_and_tells_the_topic() -> None:
    for name, alarm in alarms().items():
        assert alarm["AlarmDescription"].endswith("."), name
        assert alarm["AlarmActions"] == alarm["OKActions"] == TOPIC


def test_every_alarm_has_its_row_in_the_manual() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    manual = manual.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+) \| .+ \| .+ \|$", manual, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    by_function = {name.replace("<function>", kind.lower()) for name in told for kind in FUNCTION_NAMES}
    assert by_function >= alarms().keys()
    assert {name for name in told if "<" not in name} <= alarms().keys()


@pytest.mark.parametrize("tick", ["no-tick", "no-settler-tick"])
def test_ticks_that_are_not_counted_at_all_are_missed(tick: str) -> None:
    assert alarms()[tick]["TreatMissingData"] == "breaching"


def test_alarms_that_compute_take_no_more_metrics_than_cloudwatch_does() -> None:
    computing = {name: alarm["Metrics"] for name, alarm in alarms().items() if "Metrics" in alarm}
    assert computing.keys() == {"deferred", "table-read-throttles", "table-write-throttles"}
    for metrics in computing.values():
        *taken, computed = metrics
        assert len(taken) <= 10
        assert [one["ReturnData"] for one in metrics] == [*[False] * len(taken), True]
        assert "Expression" in computed


def test_no_table_is_throttled_unseen() -> None:
    taken = [one for one in alarms()["table-read-throttles"]["Metrics"] if "MetricStat" in one]
    seen = {one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"] for one in taken}
    assert seen == {name for name in RESOURCES if RESOURCES[name].get("Type") == "AWS::DynamoDB::Table"}
    taken = [one for one in alarms()["table-write-throttles"]["Metrics"] if "MetricStat" in one]
    assert {"Name": "GlobalSecondaryIndexName", "Value": "work"} in [
        dimension for one in taken for dimension in one["MetricStat"]["Metric"]["Dimensions"]
    ]


def test_the_api_is_measured_by_the_name_it_has() -> None:
    api = RESOURCES["RestAPI"]["Properties"]
    assert api["Name"] == api["DefinitionBody"]["info"]["title"] == {"Fn::Sub": PREFIX}
    assert alarms()["api-5xx"]["Dimensions"] == [{"Name": "ApiName", "Value": {"Fn::Sub": PREFIX}}]


def test_the_gateway_answers_in_the_envelope_of_the_api() -> None:
    responses = RESOURCES["RestAPI"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    for response in responses.values():
        assert json.loads(response["responseTemplates"]["application/json"]).keys() == {"status", "error"}
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == 404
    assert str(MAX_BODY_BYTES) in responses["REQUEST_TOO_LARGE"]["responseTemplates"]["application/json"]


@pytest.mark.parametrize("function", ["Pacer", "Settler"])
def test_a_tick_that_fails_is_not_repeated_beside_the_next(function: str) -> None:
    config = merge_template()["Resources"][function]["Properties"]["EventInvokeConfig"]
    assert config == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
