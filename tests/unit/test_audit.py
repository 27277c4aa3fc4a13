"""Which findings of checkov the audit refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.deploy.audit import ACCEPTED, Accepted, AuditFailed, Finding, find_faults, run_checkov

OPEN = Finding("CKV_AWS_1", "Nothing is open", "AWS::SQS::Queue.CallQueue")
MEANT = Accepted("It is meant to be open.", frozenset({"CallQueue"}))


def test_a_finding_that_is_not_accepted_is_a_fault() -> None:
    assert find_faults([OPEN], {}) == ["AWS::SQS::Queue.CallQueue: Nothing is open (CKV_AWS_1)"]
    assert find_faults([OPEN, OPEN], {"CKV_AWS_1": MEANT}) == []


def test_a_check_is_accepted_for_named_resources_only() -> None:
    another = replace(OPEN, resource="AWS::SQS::Queue.AnotherQueue")
    assert find_faults([OPEN, another], {"CKV_AWS_1": MEANT}) == [
        "AWS::SQS::Queue.AnotherQueue: Nothing is open (CKV_AWS_1)"
    ]


def test_a_new_queue_without_encryption_is_a_fault() -> None:
    found = [
        Finding(check, "", f"AWS::X::Y.{resource}") for check, one in ACCEPTED.items() for resource in one.resources
    ]
    assert find_faults(found, ACCEPTED) == []
    unencrypted = Finding("CKV_AWS_27", "The queue is encrypted", "AWS::SQS::Queue.AnotherQueue")
    assert find_faults([*found, unencrypted], ACCEPTED) == [
        "AWS::SQS::Queue.AnotherQueue: The queue is encrypted (CKV_AWS_27)"
    ]


def test_an_accepted_resource_without_a_finding_is_a_fault() -> None:
    assert find_faults([], {"CKV_AWS_1": MEANT}) == [
        "CKV_AWS_1 is accepted for CallQueue, but checkov doesn't report it any more"
    ]


@pytest.mark.parametrize("check", ACCEPTED)
def test_each_accepted_check_has_a_reason(check: str) -> None:
    assert len(ACCEPTED[check].reason.split()) > 5
    assert ACCEPTED[check].reason.endswith(".")


@pytest.mark.parametrize(
    "output",
    [
        "no module of that name",
        "[]",
        '{"passed": 0}',
        '{"results": {"failed_checks": [], "passed_checks": [], "parsing_errors": []}}',
        '{"results": {"failed_checks": [], "passed_checks": [{}], "parsing_errors": ["template.json"]}}',
    ],
)
def test_the_audit_fails_if_checkov_has_checked_nothing(output: str, tmp_path: Path) -> None:
    program = tmp_path / "checkov"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    program.chmod(0o755)
    with pytest.raises(AuditFailed):
        run_checkov(str(program), {})
