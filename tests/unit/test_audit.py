"""Which findings of checkov the audit refuses."""

from pathlib import Path

import pytest

from infra.deploy.audit import ACCEPTED, AuditFailed, Finding, find_faults, run_checkov

OPEN = Finding("CKV_AWS_1", "Nothing is open", "AWS::SQS::Queue.CallQueue")


def test_a_finding_that_is_not_accepted_is_a_fault() -> None:
    assert find_faults([OPEN], {}) == ["AWS::SQS::Queue.CallQueue: Nothing is open (CKV_AWS_1)"]
    assert find_faults([OPEN, OPEN], {"CKV_AWS_1": "It is meant to be open."}) == []


def test_an_accepted_check_without_a_finding_is_a_fault() -> None:
    assert find_faults([], {"CKV_AWS_1": "It was meant to be open."}) == [
        "CKV_AWS_1 is accepted, but checkov doesn't report it any more"
    ]


@pytest.mark.parametrize("check", ACCEPTED)
def test_each_accepted_check_has_a_reason(check: str) -> None:
    assert len(ACCEPTED[check].split()) > 5
    assert ACCEPTED[check].endswith(".")


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
