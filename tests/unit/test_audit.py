"""What the second look at the template lets pass."""

from pathlib import Path

import pytest

from infra.deploy.audit import ACCEPTED, AuditFailed, Finding, judge, look

OPEN = Finding("CKV_AWS_1", "Nothing is open", "AWS::SQS::Queue.CallQueue")


def test_what_is_found_and_not_accepted_is_a_fault() -> None:
    assert judge([OPEN], {}) == ["AWS::SQS::Queue.CallQueue: Nothing is open (CKV_AWS_1)"]
    assert judge([OPEN, OPEN], {"CKV_AWS_1": "It is meant to be open."}) == []


def test_what_is_accepted_for_nothing_is_a_fault() -> None:
    assert judge([], {"CKV_AWS_1": "It was meant to be open."}) == ["CKV_AWS_1 is accepted, and isn't found any more"]


@pytest.mark.parametrize("check", ACCEPTED)
def test_each_exception_has_its_reason_in_words(check: str) -> None:
    assert len(ACCEPTED[check].split()) > 5
    assert ACCEPTED[check].endswith(".")


@pytest.mark.parametrize(
    "said",
    [
        "no module of that name",
        "[]",
        '{"passed": 0}',
        '{"results": {"failed_checks": [], "passed_checks": [], "parsing_errors": []}}',
        '{"results": {"failed_checks": [], "passed_checks": [{}], "parsing_errors": ["template.json"]}}',
    ],
)
def test_a_program_that_has_not_looked_lets_nothing_pass(said: str, tmp_path: Path) -> None:
    program = tmp_path / "checkov"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    with pytest.raises(AuditFailed):
        look(str(program), {})
