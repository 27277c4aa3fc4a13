"""Deploys a package with CloudFormation, to AWS and to the emulator in the same way."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.cloud import Cloud
from infra.deploy.package import Package
from infra.deploy.waiting import WaitedInVain, Waiting

#: The most seconds between two checks of a deployment under way. The pause is a thousandth of the time that the
#: deployment may take, if that is less.
_LONGEST_PAUSE = 1.0
#: States of a stack whose first deployment failed or was never carried out. Such a stack can only be deleted:
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_NEVER_WAS = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"})


class DeploymentFailed(Exception):
    """CloudFormation refused the template, or could not make one of its resources."""


def deploy(
    package: Package, stack: str, parameters: Mapping[str, str], cloud: Cloud, waiting: Waiting | None = None
) -> dict[str, str]:
    """Creates the stack, or updates it if anything has changed. Returns its outputs.

    Parameters that aren't given keep their values. A stack whose first deployment failed is deleted first: it is empty,
    since CloudFormation has deleted what it had made. Raises DeploymentFailed.
    """
    cloudformation, waiting = cloud.client("cloudformation"), waiting or Waiting()
    clear(cloudformation, stack, cloud.patience, waiting)
    before = parameters_of(cloudformation, stack)
    kept = {name: value for name, value in (before or {}).items() if name in _declared(package)}
    wanted = {**kept, **parameters}
    # Each event of the stack carries the token of the operation that it belongs to.
    token = str(uuid.uuid4())
    request = {
        "StackName": stack,
        "TemplateURL": _publish(package, wanted, cloud),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "ClientRequestToken": token,
    }
    try:
        if before is None:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentFailed(str(error)) from error
        # The package hasn't changed either, because its digest is in the template's CodeUri. If the stack was rolled
        # back before, it was rolled back to this very template.
        return _outputs(_describe(cloudformation, stack))
    return await_completion(cloudformation, stack, token, cloud.patience, waiting)


def _declared(package: Package) -> Mapping[str, Any]:
    declared: Mapping[str, Any] = json.loads(package.template.read_text())["Parameters"]
    return declared


def _publish(package: Package, parameters: Mapping[str, str], cloud: Cloud) -> str:
    """Uploads the archive and the template to S3. Returns the template's URL: as text it is too long for a request."""
    cloud.make_bucket()
    s3 = cloud.client("s3")
    # The keys hold the digest. CloudFormation updates functions only if the key of their code changes.
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
    # The emulator passes every parameter on as text, and fails where it needs a number.
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


def parameters_of(cloudformation: Any, stack: str) -> dict[str, str] | None:
    """The values of the last deployment; None if there is no such stack."""
    found = find_stack(cloudformation, stack)
    if found is None:
        return None
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}


def find_stack(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    """Finds a stack by its name or id; None if there is no such stack."""
    try:
        return _describe(cloudformation, stack)
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def _describe(cloudformation: Any, stack: str) -> dict[str, Any]:
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return dict(found)


def _outputs(description: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def clear(cloudformation: Any, stack: str, patience: float, waiting: Waiting) -> None:
    """Deletes a stack whose first deployment failed, to free its name. Raises DeploymentFailed."""
    found = find_stack(cloudformation, stack)
    if found is None or found["StackStatus"] not in _NEVER_WAS:
        return
    # A deleted stack is found by its id only.
    identifier, token = found["StackId"], str(uuid.uuid4())
    cloudformation.delete_stack(StackName=stack, ClientRequestToken=token)
    _await(cloudformation, identifier, "DELETE_COMPLETE", token, patience, waiting)


def await_completion(cloudformation: Any, stack: str, token: str, patience: float, waiting: Waiting) -> dict[str, str]:
    """Waits for the operation that was requested with `token`. Returns the stack's outputs.

    Raises DeploymentFailed with a failure of this operation, not of an earlier one.
    """
    return _outputs(_await(cloudformation, stack, "COMPLETE", token, patience, waiting))


def _await(
    cloudformation: Any, stack: str, wanted: str, token: str, patience: float, waiting: Waiting
) -> dict[str, Any]:
    """Waits until nothing is in progress. Raises DeploymentFailed unless the status ends with `wanted`, or if anything
    was rolled back.
    """
    description: dict[str, Any] = {}

    def done() -> bool:
        nonlocal description
        description = find_stack(cloudformation, stack) or {"StackStatus": "DELETE_COMPLETE"}
        return not description["StackStatus"].endswith("IN_PROGRESS")

    try:
        pause = min(_LONGEST_PAUSE, patience / 1000)
        waiting.until(done, what=stack, at_most=patience, between=pause)
    except WaitedInVain as error:
        raise DeploymentFailed(str(error)) from error
    status = description["StackStatus"]
    if not status.endswith(wanted) or "ROLLBACK" in status:
        raise DeploymentFailed(f"{stack} is {status}: {_first_fault(cloudformation, stack, token)}")
    return description


def _first_fault(cloudformation: Any, stack: str, token: str) -> str:
    """The operation's oldest failure, which caused the others. Events come newest first."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
    faults = [
        event
        for page in pages
        for event in page["StackEvents"]
        if event.get("ClientRequestToken") == token and event["ResourceStatus"].endswith("FAILED")
    ]
    return f"{faults[-1]['LogicalResourceId']}: {faults[-1]['ResourceStatusReason']}" if faults else "no reason given"
