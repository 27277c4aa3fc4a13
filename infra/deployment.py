"""Puts a package where it is to run, by CloudFormation: the same way on AWS and in the emulator."""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.aws import Cloud
from infra.package import Package

#: seconds between two looks at a deployment under way: a thousandth of what it may take, a second at most
_LONGEST_PAUSE = 1.0


class DeploymentFailed(Exception):
    """CloudFormation refused the template, or a resource in it."""


def deploy(package: Package, stack: str, parameters: Mapping[str, str], cloud: Cloud) -> dict[str, str]:
    """Creates the stack or brings it up to date; nothing happens if nothing changed. Returns its outputs.

    Parameters that aren't named stay as they are. Raises DeploymentFailed.
    """
    cloudformation = cloud.client("cloudformation")
    before = _parameters_of(cloudformation, stack)
    request = {
        "StackName": stack,
        "TemplateURL": _publish(package, {**(before or {}), **parameters}, cloud),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in {**(before or {}), **parameters}.items()
        ],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        if before is None:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentFailed(str(error)) from error
    return await_completion(cloudformation, stack, cloud.patience)


def _publish(package: Package, parameters: Mapping[str, str], cloud: Cloud) -> str:
    """Puts the archive and the template, which is too long for a request, into S3. Returns the template's URL."""
    cloud.make_bucket()
    s3 = cloud.client("s3")
    # Names that another package never has, so that a changed one is deployed.
    archive, template = f"{package.digest}.zip", f"{package.digest}.json"
    with package.archive.open("rb") as content:
        s3.put_object(Bucket=cloud.bucket, Key=archive, Body=content)
    text = json.dumps(_template(package, {"Bucket": cloud.bucket, "Key": archive}, parameters))
    s3.put_object(Bucket=cloud.bucket, Key=template, Body=text.encode())
    return cloud.url(template)


def _template(package: Package, place: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(package.template.read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = dict(place)
    # The emulator hands every parameter on as text, and can't count with some of them.
    numbers = {
        name: int(parameters.get(name, declared["Default"]))
        for name, declared in template["Parameters"].items()
        if declared["Type"] == "Number"
    }
    template["Resources"] = _with_numbers(template["Resources"], numbers)
    return template


def _with_numbers(part: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(part, list):
        return [_with_numbers(element, numbers) for element in part]
    if not isinstance(part, dict):
        return part
    if part.keys() == {"Ref"} and part["Ref"] in numbers:
        return numbers[part["Ref"]]
    return {key: _with_numbers(value, numbers) for key, value in part.items()}


def _parameters_of(cloudformation: Any, stack: str) -> dict[str, str] | None:
    """As they were given last; None if there is no such stack."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}


def await_completion(cloudformation: Any, stack: str, patience: float) -> dict[str, str]:
    """The stack's outputs, as soon as nothing is done to it any more. Raises DeploymentFailed."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        status = description["StackStatus"]
        if status in ("CREATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE"):
            return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
        if not status.endswith("IN_PROGRESS"):
            raise DeploymentFailed(f"{stack} is {status}: {_first_fault(cloudformation, stack)}")
        time.sleep(min(_LONGEST_PAUSE, patience / 1000))
    raise DeploymentFailed(f"{stack} isn't done after {patience:.0f} s")


def _first_fault(cloudformation: Any, stack: str) -> str:
    """Events come newest first; the oldest failure is the cause of the others."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    faults = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return f"{faults[-1]['LogicalResourceId']}: {faults[-1]['ResourceStatusReason']}" if faults else "no reason given"
