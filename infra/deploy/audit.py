"""Audits the template with checkov, which knows security rules for AWS.

    python -m infra.deploy.audit CHECKOV

CHECKOV is the path of the program. It reads the template as CloudFormation does, after the SAM transform. Each finding
has to be fixed, or to be accepted in ACCEPTED with its reason, for each resource. An accepted finding that isn't
reported any more has to be removed from ACCEPTED. cfn-lint reads the template too, in tests/deployment/test_package.py.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from samtranslator.translator.transform import transform

from infra.deploy.package import build
from infra.template import JSON


@dataclass(frozen=True)
class Accepted:
    """A check whose findings are accepted, and for which resources. A new resource has to be added by hand."""

    reason: str
    #: by their logical names
    resources: frozenset[str]


_FUNCTIONS = frozenset({"APIHandler", "Pacer", "Dialer", "Settler"})
_LOG_GROUPS = frozenset({"ApiHandlerLogGroup", "PacerLogGroup", "DialerLogGroup", "SettlerLogGroup"})
_STAGE = frozenset({"RestAPIv1Stage"})
_QUEUES = frozenset({"CallQueue", "DeadLetterQueue"})
_TABLES = frozenset(
    {
        *("AccountsTable", "CallsTable", "CampaignsTable", "CatalogTable", "ChunksTable"),
        *("LogTable", "OperatorTable", "ReceiptsTable", "TasksTable", "TokensTable"),
    }
)

#: The accepted findings, by their check: https://www.checkov.io/5.Policy%20Index/cloudformation.html
ACCEPTED = {
    "CKV_AWS_27": Accepted(
        "Queues are encrypted with SQS's own keys (SqsManagedSseEnabled), which the check doesn't consider.", _QUEUES
    ),
    "CKV_AWS_73": Accepted(
        "Log lines and metrics show each call; X-Ray would be billed for each request and show less.", _STAGE
    ),
    "CKV_AWS_76": Accepted(
        "Metrics count requests, and the API logs its faults. Access logs need a role that is set for all APIs of an "
        "account, and a deployment should not change that.",
        _STAGE,
    ),
    "CKV_AWS_115": Accepted(
        "Reserved concurrency is taken from the account's; the dialer's event source is limited instead.", _FUNCTIONS
    ),
    "CKV_AWS_116": Accepted(
        "The dialer's queue has a dead-letter queue; a client of the API gets the error; the next tick does what a "
        "failed tick left undone.",
        _FUNCTIONS,
    ),
    "CKV_AWS_117": Accepted(
        "Functions need no address in a private network, and they need the internet to reach tenants.", _FUNCTIONS
    ),
    "CKV_AWS_119": Accepted(
        "Tables are encrypted with a key of AWS's own, or the account's if TableKey asks for it; a key that customers "
        "manage needs their policy, and is billed for each request.",
        _TABLES,
    ),
    "CKV_AWS_120": Accepted(
        "Answers differ by account and from one moment to the next; none may come from a cache.", _STAGE
    ),
    "CKV_AWS_158": Accepted(
        "CloudWatch Logs encrypts with its own key. Lines hold no whole number and no token.", _LOG_GROUPS
    ),
    "CKV_AWS_173": Accepted(
        "Variables hold names and URLs, and no secrets; Lambda encrypts them with its own key.", _FUNCTIONS
    ),
}


class AuditFailed(Exception):
    """checkov could not read the template, or could not be run."""


@dataclass(frozen=True)
class Finding:
    check: str
    name: str
    #: type and logical name, such as AWS::SQS::Queue.CallQueue
    resource: str

    @property
    def logical_name(self) -> str:
        return self.resource.rpartition(".")[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy.audit", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("checkov", metavar="CHECKOV", help="the path of the program")
    program = parser.parse_args(arguments).checkov
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    try:
        template = as_cloudformation(json.loads(build().template.read_text()))
        faults = find_faults(run_checkov(program, template), ACCEPTED)
    except (AuditFailed, OSError) as error:
        faults = [str(error)]
    print("\n".join(faults) or f"checkov reports only the {len(ACCEPTED)} checks that are accepted.")
    return 1 if faults else 0


def as_cloudformation(template: JSON) -> JSON:
    """The template after the SAM transform, by the code that AWS publishes. The environment has to name a region."""
    source = copy.deepcopy(template)
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "packages", "Key": "deployment.zip"}
    policies = SimpleNamespace(load=dict)  # the template uses no policy that AWS manages
    transformed: JSON = transform(source, {}, policies)
    return transformed


def run_checkov(program: str, template: JSON) -> list[Finding]:
    """Raises AuditFailed, OSError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.json"
        file.write_text(json.dumps(template))
        done = subprocess.run(
            # Its built-in rules only: it downloads nothing.
            [
                *(program, "--file", str(file), "--framework", "cloudformation"),
                *("--output", "json", "--skip-download"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        results = json.loads(done.stdout)["results"]
    except (ValueError, KeyError, TypeError):
        raise AuditFailed(f"checkov: {done.stdout}{done.stderr}") from None
    if results["parsing_errors"] or not results["passed_checks"]:
        raise AuditFailed(f"checkov has not read the template: {done.stderr}")
    return [Finding(one["check_id"], one["check_name"], one["resource"]) for one in results["failed_checks"]]


def find_faults(findings: Iterable[Finding], accepted: Mapping[str, Accepted]) -> list[str]:
    """One line for each finding that isn't accepted, and for each accepted resource without a finding."""
    found = list(findings)
    expected = {(check, resource) for check, one in accepted.items() for resource in one.resources}
    faults = [
        f"{one.resource}: {one.name} ({one.check})" for one in found if (one.check, one.logical_name) not in expected
    ]
    unused = expected - {(one.check, one.logical_name) for one in found}
    return faults + [
        f"{check} is accepted for {resource}, but checkov doesn't report it any more"
        for check, resource in sorted(unused)
    ]


if __name__ == "__main__":
    sys.exit(main())
