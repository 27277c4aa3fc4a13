"""Deploying to the emulator instead of AWS: what is created, what is printed, and what is kept."""

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
from infra.template.parameters import DEFAULT_DIALERS
from infra.template.parameters import parameters as template_parameters

PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 480, 660),), "http://tenant.example/", None)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """An emulator of its own, since what is deployed runs each minute until the emulator ends."""
    with Emulator(tmp_path_factory.mktemp("deployed")) as emulator:
        yield Emulated(emulator.endpoint)


@pytest.fixture(autouse=True)
def _build_with_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS may not accept this Python any more. The emulator does."""
    monkeypatch.setattr(bringing_up, "build_for_aws", build)


def parameters(cloud: Emulated, stage: str) -> dict[str, str]:
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=f"callpacer-{stage}")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def test_a_deployment_prints_its_urls_and_the_next_command(cloud: Emulated) -> None:
    printed = bring_up(cloud, "told", {})
    assert "callpacer-told is deployed." in printed
    assert ".amazonaws.com/v1/api\n" in printed
    assert "dashboards/dashboard/callpacer-told\n" in printed
    assert "infra.operator.tokens create --account NAME --stage told" in printed
    assert "halted" not in printed


def test_the_api_has_one_public_stage(cloud: Emulated) -> None:
    bring_up(cloud, "told", {})
    gateway = cloud.client("apigateway")
    apis = {api["name"]: api["id"] for api in gateway.get_rest_apis()["items"]}
    assert [stage["stageName"] for stage in gateway.get_stages(restApiId=apis["callpacer-told"])["item"]] == ["v1"]


def test_stages_are_separate_and_keep_their_parameters(cloud: Emulated) -> None:
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
    properties = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 0}
    template["Resources"][fault] = {"Type": "AWS::CloudWatch::Alarm", "DependsOn": tables, "Properties": properties}
    (tmp_path / "sam.json").write_text(json.dumps(template))
    return replace(made, template=tmp_path / "sam.json", digest=f"{made.digest}-{fault}")


def test_after_a_first_deployment_that_fails_no_table_is_left_and_the_next_one_succeeds(
    cloud: Emulated, tmp_path: Path
) -> None:
    with pytest.raises(DeploymentFailed, match="callpacer-late is ROLLBACK_COMPLETE: Broken: "):
        deploy(failing(tmp_path, "Broken"), "callpacer-late", {"Stage": "late"}, cloud)
    assert not [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if "-late-" in name]
    assert "callpacer-late is deployed." in bring_up(cloud, "late", {})


def test_a_deployment_that_fails_names_its_own_fault_and_not_an_older_one(cloud: Emulated, tmp_path: Path) -> None:
    bring_up(cloud, "twice", {})
    for fault in ("First", "Second"):
        with pytest.raises(DeploymentFailed, match=f"callpacer-twice is UPDATE_ROLLBACK_COMPLETE: {fault}: "):
            deploy(failing(tmp_path, fault), "callpacer-twice", {}, cloud)
    assert protected(cloud, "twice") == {True}
    # The stack is as the package needs it, so there is nothing to update.
    assert "callpacer-twice is deployed." in bring_up(cloud, "twice", {})


def deployed_code(cloud: Emulated, stack: str) -> tuple[set[str], str]:
    """The keys of the functions' code in S3, and when the dialer was updated last."""
    body = cloud.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    made = [one for one in body["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
    dialer = cloud.client("lambda").get_function_configuration(FunctionName=f"{stack}-dialer")
    return {function["Properties"]["Code"]["S3Key"] for function in made}, dialer["LastModified"]


def test_a_package_with_another_digest_updates_the_functions_though_the_template_is_the_same(cloud: Emulated) -> None:
    """A change of the lock changes the digest, and nothing else."""
    first = build()
    second = replace(first, digest=first.digest[::-1])
    seen = []
    for made in (first, second, second):
        deploy(made, "callpacer-locked", {"Stage": "locked"}, cloud)
        seen.append(deployed_code(cloud, "callpacer-locked"))
    (_, before), (_, after), (_, unchanged) = seen
    assert [keys for keys, _ in seen] == [{f"{one.digest}.zip"} for one in (first, second, second)]
    assert before < after == unchanged


def test_a_deployment_over_another_ones_tables_is_halted(cloud: Emulated) -> None:
    outputs = deploy(build(), "callpacer-restored", {"Stage": "restored"}, cloud)
    database = Database(outputs["Tables"], cloud.client("dynamodb"))
    to_item(database.campaigns, Campaign("acme", 1, PLAN, Status.RUNNING)).save()
    printed = bring_up(cloud, "restored", {})
    assert "It is halted" in printed
    assert "infra.operator.halt off --stage restored" in printed
    assert not Switch(database, outputs["Deployment"]).is_on()


def test_a_halted_deployment_stays_halted_when_it_is_deployed_again(cloud: Emulated) -> None:
    bring_up(cloud, "again", {})
    outputs = deploy(build(), "callpacer-again", {"Stage": "again"}, cloud)
    database = Database(outputs["Tables"], cloud.client("dynamodb"))
    switch = Switch(database, outputs["Deployment"])
    assert switch.is_on()
    switch.turn(on=False, now=datetime.now(UTC))
    assert "It is halted" in bring_up(cloud, "again", {})


@dataclass(frozen=True)
class EmulatedRestores(Emulated):
    """An emulator that describes every table as restored, with the source and the time, as AWS does."""

    source: str = ""
    at: datetime | None = None

    def client(self, service: str) -> Any:
        client = super().client(service)
        return RestoredTablesClient(client, self.source, self.at) if service == "dynamodb" else client


class RestoredTablesClient:
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


def test_a_restored_deployment_has_the_items_of_the_source_and_is_halted(cloud: Emulated) -> None:
    bring_up(cloud, "was", {"DialerConcurrency": "7"})
    client = cloud.client("dynamodb")
    before = Database("callpacer-was", client)
    to_item(before.campaigns, Campaign("acme", 1, PLAN, Status.RUNNING)).save()
    at = datetime.now(UTC)
    lines: list[str] = []
    cloud = EmulatedRestores(cloud.endpoint, source="was", at=at)
    printed = restore(cloud, "was", at, "now", progress=lines.append)
    assert "callpacer-now-calls: restore started" in lines
    assert parameters(cloud, "now") == {**parameters(cloud, "was"), "Stage": "now"}
    assert "callpacer-now is deployed." in printed
    assert "It is halted" in printed
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
def without_region_and_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No region and no credentials."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("without_region_and_credentials")
def test_a_deployment_without_a_region_or_credentials_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([]) == 1
    assert capsys.readouterr().err == "Not deployed: Name a region, such as AWS_REGION=us-east-1.\n"
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        with monkeypatch.context() as named:
            named.setenv(name, "us-east-1")
            assert program.main([]) == 1
            assert "credentials" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--dialers=1", "--dialers=1001", "--dialers=many", "--pollers=1", "--pollers=201"])
def test_numbers_that_lambda_refuses_are_refused_before_deploying(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        program.main([option])
    assert option.partition("=")[2] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dialers", "pollers", "expected"),
    [(None, None, None), (1000, None, 1000), (None, 150, 1500), (None, 0, DEFAULT_DIALERS)],
)
def test_pollers_bring_their_dialers_and_without_them_the_default_holds_again(
    dialers: int | None, pollers: int | None, expected: int | None
) -> None:
    assert program.concurrency(dialers, pollers) == expected
    assert template_parameters()["DialerConcurrency"]["Default"] == DEFAULT_DIALERS


@pytest.mark.usefixtures("without_region_and_credentials")
def test_the_operators_commands_name_a_missing_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no local deployment runs there
    for code in (halt.main([]), tokens.main(["list", "--account", "acme"])):
        assert code == 1
    printed = "No callpacer runs here, so this is about the one on AWS. Name a region, such as AWS_REGION=us-east-1.\n"
    assert capsys.readouterr().err == 2 * printed


@pytest.mark.usefixtures("without_region_and_credentials")
def test_aws_region_wins_over_aws_default_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert aws_session().get_config_variable("region") == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "us-gov-west-1")
    assert aws_session().get_config_variable("region") == "us-gov-west-1"


@pytest.mark.usefixtures("without_region_and_credentials")
def test_the_operators_commands_read_aws_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no local deployment runs there
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert halt.main([]) == 1
    assert "credentials" in capsys.readouterr().err
