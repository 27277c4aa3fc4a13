"""A second look at the template, beside cfn-lint's: by checkov, which knows what is held to be safe.

    python -m infra.deploy.audit CHECKOV

CHECKOV is the program. It sees what CloudFormation sees, after the transform. What it finds has to be mended, or
accepted here with the reason; what is accepted and isn't found any more has to go.
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
from typing import Any

from samtranslator.translator.transform import transform

from infra.deploy.package import build

JSON = dict[str, Any]

#: Why what checkov finds is as it is to be: by its check, https://www.checkov.io/5.Policy%20Index/cloudformation.html
ACCEPTED = {
    "CKV_AWS_27": "Queues are encrypted with SQS's own keys (SqsManagedSseEnabled), which the check doesn't look at.",
    "CKV_AWS_73": "Log lines and metrics tell of each call; X-Ray would bill each request to tell less.",
    "CKV_AWS_76": "Metrics count requests, and the API logs its faults. Access logs need a role that is set for "
    "all APIs of an account, and is not a deployment's to set.",
    "CKV_AWS_115": "Reserved concurrency is taken from the account's; the dialer's event source is limited instead.",
    "CKV_AWS_116": "The dialer's queue has a dead-letter queue; whoever asks the API is answered; a tick that fails is "
    "made up for by the next.",
    "CKV_AWS_117": "Functions need no address in a network of one's own, and do need the internet, to reach tenants.",
    "CKV_AWS_119": "Tables are encrypted with a key of AWS's own, or the account's if TableKey asks for it; a key that "
    "customers manage needs their policy, and bills each request.",
    "CKV_AWS_120": "Answers differ by account and from one moment to the next; none may come from a cache.",
    "CKV_AWS_158": "CloudWatch Logs encrypts with its own key. Lines hold no whole number and no token.",
    "CKV_AWS_173": "Variables hold names and URLs, and no secrets; Lambda encrypts them with its own key.",
}


class AuditFailed(Exception):
    """checkov could not look at the template."""


@dataclass(frozen=True)
class Finding:
    check: str
    name: str
    resource: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy.audit", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("checkov", metavar="CHECKOV", help="the program")
    program = parser.parse_args(arguments).checkov
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    try:
        faults = judge(look(program, as_cloudformation(json.loads(build().template.read_text()))), ACCEPTED)
    except (AuditFailed, OSError) as error:
        faults = [str(error)]
    print("\n".join(faults) or f"checkov finds nothing but what is accepted in {len(ACCEPTED)} points.")
    return 1 if faults else 0


def as_cloudformation(template: JSON) -> JSON:
    """What CloudFormation makes of it before it makes anything else, by the transform that AWS publishes.

    A region has to be named by the environment.
    """
    published = copy.deepcopy(template)
    for resource in published["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "packages", "Key": "deployment.zip"}
    policies = SimpleNamespace(load=dict)  # those that AWS manages, of which none is used
    made: JSON = transform(published, {}, policies)
    return made


def look(program: str, template: JSON) -> list[Finding]:
    """Raises AuditFailed, OSError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.json"
        file.write_text(json.dumps(template))
        done = subprocess.run(
            # Its own rules only: it asks nobody.
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


def judge(findings: Iterable[Finding], accepted: Mapping[str, str]) -> list[str]:
    """What is wrong, a line each."""
    found = list(findings)
    faults = [f"{one.resource}: {one.name} ({one.check})" for one in found if one.check not in accepted]
    idle = accepted.keys() - {one.check for one in found}
    return faults + [f"{check} is accepted, and isn't found any more" for check in sorted(idle)]


if __name__ == "__main__":
    sys.exit(main())
