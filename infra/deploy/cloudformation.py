"""Puts a package where it is to run, by CloudFormation: the same way on AWS and in the emulator."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.cloud import Cloud
from infra.deploy.package import Package
from infra.deploy.waiting import WaitedInVain, Waiting

#: seconds between two looks at a deployment under way: a thousandth of what it may take, a second at most
_LONGEST_PAUSE = 1.0
#: A stack whose first deployment failed, or was never carried out. It can only be deleted:
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_NEVER_WAS = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"})


class DeploymentFailed(Exception):
    """CloudFormation refused the template, or a resource in it."""


def deploy(
    package: Package, stack: str, parameters: Mapping[str, str], cloud: Cloud, waiting: Waiting | None = None
) -> dict[str, str]:
    """Creates the stack or brings it up to date; nothing happens if nothing changed. Returns its outputs.

    Parameters that aren't named stay as they are. A stack whose first deployment failed is deleted first: it holds
    nothing, since CloudFormation has taken back what it had made. Raises DeploymentFailed.
    """
    cloudformation, waiting = cloud.client("cloudformation"), waiting or Waiting()
    clear(cloudformation, stack, cloud.patience, waiting)
    before = parameters_of(cloudformation, stack)
    kept = {name: value for name, value in (before or {}).items() if name in _declared(package)}
    wanted = {**kept, **parameters}
    # Events of the stack carry the token of the operation they belong to.
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
        # It may have been rolled back before; then it was rolled back to this.
        return _outputs(_describe(cloudformation, stack))
    return await_completion(cloudformation, stack, token, cloud.patience, waiting)


def _declared(package: Package) -> Mapping[str, Any]:
    declared: Mapping[str, Any] = json.loads(package.template.read_text())["Parameters"]
    return declared


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


def parameters_of(cloudformation: Any, stack: str) -> dict[str, str] | None:
    """As they were given last; None if there is no such stack."""
    found = find_stack(cloudformation, stack)
    if found is None:
        return None
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}


def find_stack(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    """By its name or id; None if there is no such stack."""
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
    """Deletes a stack that never came to be, so that another can have its name. Raises DeploymentFailed."""
    found = find_stack(cloudformation, stack)
    if found is None or found["StackStatus"] not in _NEVER_WAS:
        return
    # Only by its id is a stack found that has been deleted.
    identifier, token = found["StackId"], str(uuid.uuid4())
    cloudformation.delete_stack(StackName=stack, ClientRequestToken=token)
    _await(cloudformation, identifier, "DELETE_COMPLETE", token, patience, waiting)


def await_completion(cloudformation: Any, stack: str, token: str, patience: float, waiting: Waiting) -> dict[str, str]:
    """The stack's outputs, as soon as nothing is done to it any more. Raises DeploymentFailed.

    `token` is what the operation was asked for with: only its failures are told.
    """
    return _outputs(_await(cloudformation, stack, "COMPLETE", token, patience, waiting))


def _await(
    cloudformation: Any, stack: str, wanted: str, token: str, patience: float, waiting: Waiting
) -> dict[str, Any]:
    """The stack, when its status ends in what is wanted and nothing was rolled back."""
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
    """Events come newest first; the operation's oldest failure is the cause of its others."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
    faults = [
        event
        for page in pages
        for event in page["StackEvents"]
        if event.get("ClientRequestToken") == token and event["ResourceStatus"].endswith("FAILED")
    ]
    return f"{faults[-1]['LogicalResourceId']}: {faults[-1]['ResourceStatusReason']}" if faults else "no reason given"
