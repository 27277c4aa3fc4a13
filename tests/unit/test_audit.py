"""Which findings of checkov the audit accepts."""

from pathlib import Path

import pytest

from infra.deploy.audit import ACCEPTED, AuditFailed, Finding, find_faults, run_checkov

OPEN = Finding("CKV_AWS_1", "Nothing is open", "AWS::SQS::Queue.CallQueue")


def test_what_is_found_and_not_accepted_is_a_fault() -> None:
    assert find_faults([OPEN], {}) == ["AWS::SQS::Queue.CallQueue: Nothing is open (CKV_AWS_1)"]
    assert find_faults([OPEN, OPEN], {"CKV_AWS_1": "It is meant to be open."}) == []


def test_what_is_accepted_and_not_found_is_a_fault() -> None:
    assert find_faults([], {"CKV_AWS_1": "It was meant to be open."}) == [
        "CKV_AWS_1 is accepted, but checkov doesn't report it any more"
    ]


@pytest.mark.parametrize("check", ACCEPTED)
def test_each_exception_has_its_reason_in_words(check: str) -> None:
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
def test_a_program_that_has_not_read_the_template_lets_nothing_pass(output: str, tmp_path: Path) -> None:
    program = tmp_path / "checkov"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    program.chmod(0o755)
    with pytest.raises(AuditFailed):
        run_checkov(str(program), {})
