"""The package: AWS accepts the merged template, and the zip has all that the functions need."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from chalice.config import Config
from chalice.deploy.validate import validate_configuration
from packaging.utils import canonicalize_name

from app import app
from infra.deploy import package
from infra.deploy.audit import as_cloudformation
from infra.deploy.package import AWS_PROCESSOR, LOCK, PackagingFailed, build
from tests.support.locks import locked


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(build().template.read_text())
    return found


def functions(template: dict[str, Any]) -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_cloudformation_accepts_the_template(template: dict[str, Any], tmp_path: Path) -> None:
    for function in functions(template).values():
        # AWS may not accept this machine's Python. A package for AWS is built with another one.
        function["Runtime"] = "python3.13"
    (tmp_path / "template.json").write_text(json.dumps(template))
    linter = [sys.executable, "-c", "from cfnlint.runner import main; main()"]
    done = subprocess.run(
        [*linter, "--regions", "us-east-1", "--", str(tmp_path / "template.json")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_serverless_transform_makes_the_expected_resources(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transform that CloudFormation applies, as AWS publishes it."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    resources = as_cloudformation(template)["Resources"]
    made = Counter(one["Type"] for one in resources.values())
    assert made["AWS::Lambda::Function"] == made["AWS::IAM::Role"] == made["AWS::Logs::LogGroup"] == 4
    assert made["AWS::Events::Rule"] == made["AWS::Lambda::EventInvokeConfig"] == 2
    assert made["AWS::Lambda::EventSourceMapping"] == made["AWS::ApiGateway::RestApi"] == 1
    assert made["AWS::DynamoDB::Table"] == 10
    # A deployment that names a stage creates a second one.
    assert [one["Properties"].get("StageName") for one in of_type(resources, "AWS::ApiGateway::Deployment")] == [None]
    assert [one["Properties"]["StageName"] for one in of_type(resources, "AWS::ApiGateway::Stage")] == ["v1"]
    (api,) = of_type(resources, "AWS::ApiGateway::RestApi")
    assert api["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    for group in of_type(resources, "AWS::Logs::LogGroup"):
        assert group["Properties"]["RetentionInDays"] == 30
        assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def of_type(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in resources.values() if one["Type"] == kind]


def test_chalice_accepts_the_configuration() -> None:
    settings = json.loads((package.ROOT / ".chalice" / "config.json").read_text())
    given = {"chalice_app": app, "project_dir": str(package.ROOT)}
    validate_configuration(Config(package.STAGE, user_provided_params=given, config_from_disk=settings))


def test_every_function_has_its_variables_and_its_timeout(template: dict[str, Any]) -> None:
    assert functions(template).keys() == {"APIHandler", "Pacer", "Dialer", "Settler"}
    assert template["Globals"]["Function"]["Environment"]["Variables"].keys() == {
        "CALLPACER_TABLES",
        "CALLPACER_DEPLOYMENT",
        "CALLPACER_QUEUE_URL",
        "CALLPACER_DEAD_LETTER_QUEUE_URL",
        "CALLPACER_DIALERS",
        "CALLPACER_ALLOW_LOOPBACK",
        "CALLPACER_RETENTION_DAYS",
    }
    assert {name: function["Timeout"] for name, function in functions(template).items()} == {
        "APIHandler": 29,
        "Pacer": 60,
        "Dialer": 90,
        "Settler": 60,
    }


def test_the_queue_invokes_the_dialer_with_one_message(template: dict[str, Any]) -> None:
    (source,) = functions(template)["Dialer"]["Events"].values()
    assert source["Properties"] == {
        "Queue": {"Fn::Sub": "${CallQueue.Arn}"},
        "BatchSize": 1,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {
            "Fn::If": ["HasPollers", {"Ref": "AWS::NoValue"}, {"MaximumConcurrency": {"Ref": "DialerConcurrency"}}]
        },
        "ProvisionedPollerConfig": {
            "Fn::If": [
                "HasPollers",
                {"MinimumPollers": {"Ref": "DialerPollers"}, "MaximumPollers": {"Ref": "DialerPollers"}},
                {"Ref": "AWS::NoValue"},
            ]
        },
    }


def test_the_gateway_passes_bodies_on_unchanged(template: dict[str, Any]) -> None:
    api = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    assert api["x-amazon-apigateway-binary-media-types"] == ["*/*"]


def test_an_unchanged_package_is_not_built_again() -> None:
    first = build()
    made = first.archive.stat().st_mtime_ns
    assert build() == first
    assert first.archive.stat().st_mtime_ns == made


def test_only_what_functions_need_is_packed() -> None:
    with zipfile.ZipFile(build().archive) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    assert {"app.py", "chalicelib", "chalice", "pynamodb", "aiohttp", "tzdata"} <= top
    assert not top & {"infra", "tests", "ministack", "moto", "boto3", "bin"}


def packed(archive: Path) -> dict[str, str]:
    """The version of each package in a zip, by its name."""
    with zipfile.ZipFile(archive) as content:
        found = [
            message_from_bytes(content.read(name))
            for name in content.namelist()
            if name.endswith(".dist-info/METADATA")
        ]
    return {canonicalize_name(one["Name"]): one["Version"] for one in found}


@pytest.mark.parametrize(("processor", "machine"), [(AWS_PROCESSOR, "aarch64"), ("x86_64", "x86_64")])
def test_a_package_holds_just_what_the_lock_names_for_its_processor(processor: str, machine: str) -> None:
    archive = build(processor=processor).archive
    platform = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    assert packed(archive) == locked(package.ROOT / LOCK, platform)
    with zipfile.ZipFile(archive) as content:
        extensions = [name for name in content.namelist() if name.endswith(".so")]
    assert extensions != []
    assert [name for name in extensions if f"-{machine}-linux-gnu" not in name] == []


def test_chalice_in_the_package_is_the_one_that_is_locked_for_the_tests() -> None:
    """Chalice copies its own runtime into what it packs."""
    with zipfile.ZipFile(build().archive) as archive:
        shipped = archive.read("chalice/app.py").decode()
    version = locked(package.ROOT / "requirements-dev.txt")["chalice"]
    assert re.findall(r"^__version__\b.* = '(.+)'$", shipped, re.MULTILINE) == [version]


@pytest.mark.parametrize("fault", ["another hash", "no hash"])
def test_a_file_that_the_lock_has_no_hash_of_is_not_packed(tmp_path: Path, fault: str) -> None:
    for source in ("app.py", ".chalice/config.json"):
        (tmp_path / source).parent.mkdir(exist_ok=True)
        shutil.copy(package.ROOT / source, tmp_path / source)
    hashes = {"another hash": f" --hash=sha256:{64 * '0'}", "no hash": ""}
    version = locked(package.ROOT / LOCK)["six"]
    (tmp_path / LOCK).write_text(f"six=={version}{hashes[fault]}\n")
    with pytest.raises(PackagingFailed, match=r"(?i)hash"):
        build(tmp_path / "build", tmp_path)


@pytest.mark.parametrize(
    ("missing", "error"),
    [("pynamodb/", "No module named 'pynamodb'"), ("botocore/data/sqs/", "Unknown service: 'sqs'")],
)
def test_a_zip_that_lacks_a_package_or_a_service_is_refused(tmp_path: Path, missing: str, error: str) -> None:
    """The packages of this environment must not replace it."""
    complete = build()
    shutil.copy(complete.template, tmp_path / "sam.json")
    with zipfile.ZipFile(complete.archive) as whole, zipfile.ZipFile(tmp_path / "deployment.zip", "w") as part:
        for name in whole.namelist():
            if not name.startswith(missing):
                part.writestr(name, whole.read(name))
    with pytest.raises(PackagingFailed, match=error):
        package.check_complete(tmp_path, tmp_path / "unpacked")


def test_another_source_makes_another_package(tmp_path: Path) -> None:
    for source in ("app.py", "chalicelib/calling/pacer.py", "requirements.txt", ".chalice/config.json"):
        copy = tmp_path / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package.ROOT / source, copy)
    before = package.digest_of(tmp_path, "python3.13")
    (tmp_path / "chalicelib" / "__pycache__").mkdir()
    (tmp_path / "chalicelib" / "__pycache__" / "pacer.pyc").write_text("left over")
    assert package.digest_of(tmp_path, "python3.13") == before
    assert package.digest_of(tmp_path, "python3.12") != before
    (tmp_path / "chalicelib" / "calling" / "pacer.py").write_text("changed")
    assert package.digest_of(tmp_path, "python3.13") != before


def test_another_lock_makes_another_package(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("six==1.17.0")
    before = package.digest_of(tmp_path, "python3.13")
    (tmp_path / LOCK).write_text("six==1.17.1")
    assert package.digest_of(tmp_path, "python3.13") != before
