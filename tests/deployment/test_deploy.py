"""Deploying, to the emulator in AWS's place: what comes up, what is told, and what stays as it was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.models import Campaign, Plan, Status, Window
from chalicelib.storage.campaign_items import to_item
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.deploy import __main__ as program
from infra.deploy import bring_up as bringing_up
from infra.deploy import restore as restoring
from infra.deploy.bring_up import bring_up
from infra.deploy.cloudformation import DeploymentFailed, deploy
from infra.deploy.package import Package, build
from infra.deploy.restore import restore
from infra.deploy.session import aws_session
from infra.local.cloud import Emulated
from infra.local.emulator import Emulator
from infra.operator import halt, tokens

PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 480, 660),), "http://tenant.example/", None)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """One of its own: what is deployed runs each minute, for as long as it lives."""
    with Emulator(tmp_path_factory.mktemp("deployed")) as emulator:
        yield Emulated(emulator.endpoint)


@pytest.fixture(autouse=True)
def _this_python_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS may not take it any more; the emulator does."""
    monkeypatch.setattr(bringing_up, "build_for_aws", build)


def parameters(cloud: Emulated, stage: str) -> dict[str, str]:
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=f"callpacer-{stage}")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def test_it_tells_what_whoever_deployed_wants_to_know(cloud: Emulated) -> None:
    told = bring_up(cloud, "told", {})
    assert "callpacer-told is deployed." in told
    assert ".amazonaws.com/v1/api\n" in told
    assert "dashboards/dashboard/callpacer-told\n" in told
    assert "infra.operator.tokens create --account NAME --stage told" in told
    assert "halted" not in told


def test_the_api_has_one_public_stage(cloud: Emulated) -> None:
    bring_up(cloud, "told", {})
    gateway = cloud.client("apigateway")
    apis = {api["name"]: api["id"] for api in gateway.get_rest_apis()["items"]}
    assert [stage["stageName"] for stage in gateway.get_stages(restApiId=apis["callpacer-told"])["item"]] == ["v1"]


def test_stages_are_apart_and_keep_their_parameters(cloud: Emulated) -> None:
    bring_up(cloud, "one", {"DialerConcurrency": "7"})
    bring_up(cloud, "two", {})
    bring_up(cloud, "one", {"AlarmTopic": "arn:aws:sns:us-east-1:000000000000:night-shift"})
    assert parameters(cloud, "one")["DialerConcurrency"] == "7"
    assert parameters(cloud, "two")["DialerConcurrency"] == "50"
    names = cloud.client("dynamodb").list_tables()["TableNames"]
    assert {"callpacer-one-calls", "callpacer-two-calls"} <= set(names)


def protected(cloud: Emulated, stage: str) -> set[bool]:
    client = cloud.client("dynamodb")
    names = [name for name in client.list_tables()["TableNames"] if name.startswith(f"callpacer-{stage}-")]
    assert len(names) == 10
    return {client.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled", False) for name in names}


def test_tables_are_protected_when_the_deployment_has_succeeded(cloud: Emulated) -> None:
    bring_up(cloud, "kept", {})
    assert protected(cloud, "kept") == {True}
    client = cloud.client("dynamodb")
    client.update_table(TableName="callpacer-kept-calls", DeletionProtectionEnabled=False)
    bring_up(cloud, "kept", {})
    assert protected(cloud, "kept") == {True}


def failing(tmp_path: Path, fault: str) -> Package:
    """The package with an alarm that can't be made, since it is on no metric. All tables are made before it."""
    made = build()
    template = json.loads(made.template.read_text())
    tables = [name for name, one in template["Resources"].items() if one["Type"] == "AWS::DynamoDB::Table"]
    on_nothing = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 0}
    template["Resources"][fault] = {"Type": "AWS::CloudWatch::Alarm", "DependsOn": tables, "Properties": on_nothing}
    (tmp_path / "sam.json").write_text(json.dumps(template))
    return replace(made, template=tmp_path / "sam.json", digest=f"{made.digest}-{fault}")


def test_a_first_deployment_that_fails_leaves_nothing_that_stands_in_the_way(cloud: Emulated, tmp_path: Path) -> None:
    with pytest.raises(DeploymentFailed, match="callpacer-late is ROLLBACK_COMPLETE: Broken: "):
        deploy(failing(tmp_path, "Broken"), "callpacer-late", {"Stage": "late"}, cloud)
    assert not [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if "-late-" in name]
    assert "callpacer-late is deployed." in bring_up(cloud, "late", {})


def test_a_deployment_that_fails_tells_its_own_fault_and_not_an_older_one(cloud: Emulated, tmp_path: Path) -> None:
    bring_up(cloud, "twice", {})
    for fault in ("First", "Second"):
        with pytest.raises(DeploymentFailed, match=f"callpacer-twice is UPDATE_ROLLBACK_COMPLETE: {fault}: "):
            deploy(failing(tmp_path, fault), "callpacer-twice", {}, cloud)
    assert protected(cloud, "twice") == {True}
    # what is there is what is wanted, whatever failed before
    assert "callpacer-twice is deployed." in bring_up(cloud, "twice", {})


def deployed_code(cloud: Emulated, stack: str) -> tuple[set[str], str]:
    """The keys of the functions' code in S3, and when the dialer was updated last."""
    body = cloud.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    made = [one for one in body["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
    dialer = cloud.client("lambda").get_function_configuration(FunctionName=f"{stack}-dialer")
    return {function["Properties"]["Code"]["S3Key"] for function in made}, dialer["LastModified"]


def test_a_package_with_another_digest_updates_the_functions_though_the_template_is_the_same(cloud: Emulated) -> None:
    """As after a change of the lock, which is part of the digest and of nothing else."""
    first = build()
    second = replace(first, digest=first.digest[::-1])
    seen = []
    for made in (first, second, second):
        deploy(made, "callpacer-locked", {"Stage": "locked"}, cloud)
        seen.append(deployed_code(cloud, "callpacer-locked"))
    (_, before), (_, after), (_, unchanged) = seen
    assert [keys for keys, _ in seen] == [{f"{one.digest}.zip"} for one in (first, second, second)]
    assert before < after == unchanged


def test_it_dials_unless_it_finds_what_another_deployment_left(cloud: Emulated) -> None:
    outputs = deploy(build(), "callpacer-restored", {"Stage": "restored"}, cloud)
    database = Database(outputs["Tables"], cloud.client("dynamodb"))
    to_item(database.campaigns, Campaign("acme", 1, PLAN, Status.RUNNING)).save()
    told = bring_up(cloud, "restored", {})
    assert "It is halted" in told
    assert "infra.operator.halt off --stage restored" in told
    assert not Switch(database, outputs["Deployment"]).is_on()


def test_what_is_deployed_again_stays_halted(cloud: Emulated) -> None:
    bring_up(cloud, "again", {})
    outputs = deploy(build(), "callpacer-again", {"Stage": "again"}, cloud)
    database = Database(outputs["Tables"], cloud.client("dynamodb"))
    switch = Switch(database, outputs["Deployment"])
    assert switch.is_on()
    switch.turn(on=False, now=datetime.now(UTC))
    assert "It is halted" in bring_up(cloud, "again", {})


@dataclass(frozen=True)
class Remembering(Emulated):
    """It tells of every table that was restored, as AWS does and the emulator doesn't, from where and of when."""

    source: str = ""
    at: datetime | None = None

    def client(self, service: str) -> Any:
        client = super().client(service)
        return RememberingTables(client, self.source, self.at) if service == "dynamodb" else client


class RememberingTables:
    def __init__(self, client: Any, source: str, at: datetime | None) -> None:
        self._client = client
        self._source = source
        self._at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_table(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803 # as botocore has it
        described: dict[str, Any] = self._client.describe_table(TableName=TableName)
        arn = described["Table"]["TableArn"].replace("callpacer-now-", f"callpacer-{self._source}-")
        described["Table"]["RestoreSummary"] = {"SourceTableArn": arn, "RestoreDateTime": self._at}
        return described


def test_a_restored_backup_has_what_was_there_and_is_halted(cloud: Emulated) -> None:
    bring_up(cloud, "was", {"DialerConcurrency": "7"})
    client = cloud.client("dynamodb")
    before = Database("callpacer-was", client)
    to_item(before.campaigns, Campaign("acme", 1, PLAN, Status.RUNNING)).save()
    at = datetime.now(UTC)
    lines: list[str] = []
    cloud = Remembering(cloud.endpoint, source="was", at=at)
    told = restore(cloud, "was", at, "now", progress=lines.append)
    assert "callpacer-now-calls: restore started" in lines
    assert parameters(cloud, "now") == {**parameters(cloud, "was"), "Stage": "now"}
    assert "callpacer-now is deployed." in told
    assert "It is halted" in told
    after = Database("callpacer-now", client)
    assert [item.id for item in after.campaigns.scan()] == [1]
    described = client.describe_table(TableName="callpacer-now-calls")["Table"]
    assert described["DeletionProtectionEnabled"]
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName="callpacer-now")["Stacks"]
    switch = Switch(after, stack["StackId"])
    assert not switch.is_on()
    switch.turn(on=True, now=datetime.now(UTC))
    assert "It is halted" not in bring_up(cloud, "now", {})
    lines.clear()
    assert "callpacer-now is deployed." in restore(cloud, "was", at, "now", progress=lines.append)
    assert "callpacer-now-calls: restored before, or still being restored" in lines


@pytest.mark.parametrize("text", ["yesterday", "2026-11-24T12:00:00"])
def test_a_backups_time_names_its_zone(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        restoring.main(["--to", "now", "--at", text])
    assert "2026-11-24T12:00:00Z" in capsys.readouterr().err


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No region and no credentials."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("nowhere")
def test_without_a_region_or_credentials_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([]) == 1
    assert capsys.readouterr().err == "Not deployed: Name a region, such as AWS_REGION=us-east-1.\n"
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        with monkeypatch.context() as named:
            named.setenv(name, "us-east-1")
            assert program.main([]) == 1
            assert "credentials" in capsys.readouterr().err


@pytest.mark.usefixtures("nowhere")
def test_whoever_looks_after_a_deployment_is_told_that_the_region_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no local deployment runs there
    for code in (halt.main([]), tokens.main(["list", "--account", "acme"])):
        assert code == 1
    said = "No callpacer runs here, so this is about the one on AWS. Name a region, such as AWS_REGION=us-east-1.\n"
    assert capsys.readouterr().err == 2 * said


@pytest.mark.usefixtures("nowhere")
def test_of_two_regions_in_the_environment_the_one_that_is_not_a_default_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert aws_session().get_config_variable("region") == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "us-gov-west-1")
    assert aws_session().get_config_variable("region") == "us-gov-west-1"


@pytest.mark.usefixtures("nowhere")
def test_whoever_names_a_region_by_aws_region_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no local deployment runs there
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert halt.main([]) == 1
    assert "credentials" in capsys.readouterr().err
