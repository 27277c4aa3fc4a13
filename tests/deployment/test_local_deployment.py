"""The local deployment from outside: the API's server, the functions, and the tools."""

import http.client
import json
import os
import socket
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.storage.tokens import Tokens
from infra.local.deployment import STAGE, LocalDeployment, LocalDeploymentFailed
from infra.operator import halt, limits, tokens
from tests.support.ticks import TICK

TOO_LARGE = {"status": "error", "error": f"The request body is larger than the limit of {MAX_BODY_BYTES} bytes."}
NOT_FOUND = {"status": "error", "error": "Not found."}


def connect(deployment: LocalDeployment) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection(deployment.url.split("/")[2], timeout=30))


def request(
    deployment: LocalDeployment, method: str, path: str, body: Any = None, token: str | None = None
) -> tuple[int, Any]:
    with connect(deployment) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {token or deployment.token}"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def send_raw(deployment: LocalDeployment, text: str) -> str:
    """Send these bytes. Returns all that the server sends until it closes the connection."""
    host, port = deployment.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(text.encode())
        with connection.makefile("rb") as answer:
            return answer.read().decode()


def test_all_tests_of_the_deployment_run_in_one_worker(
    request: pytest.FixtureRequest, deployment: LocalDeployment
) -> None:
    """Otherwise each worker would start a deployment of its own, too many for the machine."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@deployment"), deployment


def test_the_api_accepts_only_a_valid_token(deployment: LocalDeployment) -> None:
    assert request(deployment, "GET", "/api/schedules")[0] == 200
    assert request(deployment, "GET", "/api/schedules", token="somebody-else")[0] == 401


def test_braces_and_bars_may_stand_in_a_query(deployment: LocalDeployment) -> None:
    status, answer = request(deployment, "GET", '/api/schedules?limit={"a"|["b"]}')
    assert (status, list(answer)) == (422, ["limit"])


def test_a_path_without_a_route_is_not_found(deployment: LocalDeployment) -> None:
    assert request(deployment, "GET", "/api/nowhere") == (404, NOT_FOUND)
    assert request(deployment, "GET", "/") == (404, NOT_FOUND)


def test_an_answer_is_not_delayed_by_nagles_algorithm(deployment: LocalDeployment) -> None:
    """It would delay each answer by 40 ms."""
    with connect(deployment) as connection:

        def seconds() -> float:
            began = time.perf_counter()
            connection.request("GET", "/api/schedules", headers={"Authorization": f"Bearer {deployment.token}"})
            connection.getresponse().read()
            return time.perf_counter() - began

        assert min(seconds() for _ in range(30)) < 0.03


def test_a_body_over_the_gateways_limit_is_refused(deployment: LocalDeployment) -> None:
    assert request(deployment, "POST", "/api/schedules", b"x" * 11_000_000) == (413, TOO_LARGE)


def test_a_body_may_come_in_chunks(deployment: LocalDeployment) -> None:
    nickname = f"chunks {time.time_ns()}"
    pieces = iter([b'{"days": ["mon"], ', b'"nickname": "', nickname.encode(), b'"}'])
    status, answer = request(deployment, "POST", "/api/schedules", pieces)
    assert (status, answer["response"]["nickname"]) == (200, nickname)


@pytest.mark.parametrize("header", ["Content-Length: many", "Transfer-Encoding: chunked"])
def test_a_malformed_length_is_a_bad_request(deployment: LocalDeployment, header: str) -> None:
    answer = send_raw(deployment, f"POST /api/schedules HTTP/1.1\r\nHost: here\r\n{header}\r\n\r\nxyz\r\n")
    assert answer.startswith("HTTP/1.1 400 ")
    assert json.loads(answer.partition("\r\n\r\n")[2])["status"] == "error"


@pytest.mark.parametrize("line", ['GET "a" "b" "c"', 'G"ET / HTTP/1.1', "GET / HTTP/9.9", 'GET / HTTP/"'])
def test_a_first_line_that_is_no_http_is_answered_in_the_envelope(deployment: LocalDeployment, line: str) -> None:
    answer = send_raw(deployment, f"{line}\r\nHost: here\r\nConnection: close\r\n\r\n")
    body = json.loads(answer[answer.index("{") :])
    assert (body.keys(), body["status"]) == ({"status", "error"}, "error")
    assert '"' not in body["error"]


def test_an_answer_to_head_has_no_body(deployment: LocalDeployment) -> None:
    head = "HEAD /api/schedules HTTP/1.1\r\nHost: here\r\n\r\n"
    get = "GET /api/nowhere HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    first, _, rest = send_raw(deployment, head + get).partition("\r\n\r\n")
    assert rest.startswith("HTTP/1.1 404 "), first


@pytest.mark.parametrize("name", ["pacer", "settler"])
def test_the_minutely_functions_run(deployment: LocalDeployment, name: str) -> None:
    functions = deployment.client("lambda")
    answer = functions.invoke(FunctionName=f"callpacer-{STAGE}-{name}", Payload=json.dumps(TICK))
    assert (answer["StatusCode"], answer.get("FunctionError")) == (200, None), answer["Payload"].read()


def test_each_minutely_function_has_a_rule(deployment: LocalDeployment) -> None:
    rules = deployment.client("events").list_rules()["Rules"]
    assert sorted(rule["ScheduleExpression"] for rule in rules) == ["rate(1 minute)"] * 2


def test_the_queue_invokes_the_dialer(deployment: LocalDeployment) -> None:
    (mapping,) = deployment.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert mapping["EventSourceArn"].endswith(":callpacer-local-calls")
    assert (mapping["BatchSize"], mapping["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])


def test_no_second_deployment_starts_with_the_same_state(deployment: LocalDeployment) -> None:
    with pytest.raises(LocalDeploymentFailed, match="already"):
        LocalDeployment(deployment.directory).start()
    assert request(deployment, "GET", "/api/schedules")[0] == 200


def test_a_taken_port_is_named_in_the_error(deployment: LocalDeployment, tmp_path: Path) -> None:
    port = int(deployment.url.split("/")[2].split(":")[1])
    with pytest.raises(LocalDeploymentFailed, match=f"Port {port}: .* --port"):
        LocalDeployment(tmp_path / "state", port).start()
    assert not (tmp_path / "state").exists()


class TestHalt:
    """The halt tool. It halts nothing here, since other tests wait for calls of the same deployment."""

    def test_a_new_deployment_dials(self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]) -> None:
        assert halt.main(["--local", str(deployment.directory)]) == 0
        assert capsys.readouterr().out == "callpacer-local dials.\n"

    def test_the_tool_prints_that_no_deployment_runs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert halt.main(["on", "--local", str(tmp_path)]) == 1
        assert "No callpacer runs" in capsys.readouterr().err


class TestLimits:
    def test_the_tool_sets_shows_and_removes_the_limit_of_an_account(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tokens.main(["create", "--account", "limited", "--local", str(deployment.directory)])
        capsys.readouterr()
        account = ["--account", "limited", "--local", str(deployment.directory)]
        for arguments, shown in (
            (["--concurrent-calls", "50"], "50"),
            ([], "50"),
            (["--concurrent-calls", "none"], "none"),
        ):
            assert limits.main([*account, *arguments]) == 0
            assert capsys.readouterr().out == f"concurrent calls: {shown}\n"

    def test_the_tool_refuses_an_account_or_a_limit_that_there_is_not(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        state = ["--local", str(deployment.directory)]
        assert limits.main(["--account", "nobody", *state]) == 1
        assert "There is no account nobody." in capsys.readouterr().err
        for wrong in ("0", "10001", "-1", "many"):
            with pytest.raises(SystemExit):
                limits.main(["--account", "limited", "--concurrent-calls", wrong, *state])


class TestTokens:
    """The token tool, on the tables of the running deployment."""

    def run(self, deployment: LocalDeployment, command: str, *arguments: str) -> int:
        return tokens.main([command, "--local", str(deployment.directory), *arguments])

    def test_create_prints_a_valid_token_and_a_secret(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(deployment, "create", "--account", "tool-create") == 0
        printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
        assert printed["secret:"].startswith("whsec_")
        assert request(deployment, "GET", "/api/schedules", token=printed["token:"]) == (200, [])

    def test_an_account_keeps_its_secret(self, deployment: LocalDeployment) -> None:
        (first, secret), (second, same) = (deployment.open_account("tool-secret") for _ in range(2))
        assert (first != second, secret == same) == (True, True)

    def test_list_shows_only_the_beginning_of_tokens(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token, _ = deployment.open_account("tool-list")
        assert self.run(deployment, "list", "--account", "tool-list") == 0
        listed = capsys.readouterr().out
        assert listed.startswith(f"{token[:8]}…")
        assert token not in listed

    def test_a_token_is_stored_as_a_digest(self, deployment: LocalDeployment) -> None:
        token, _ = deployment.open_account("tool-digest")
        stored = json.dumps(
            deployment.client("dynamodb").scan(TableName=f"{deployment.settings.tables}-tokens")["Items"]
        )
        assert token[:8] in stored
        assert token not in stored

    def test_a_revoked_token_is_refused(self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]) -> None:
        (token, _), (other, _) = (deployment.open_account("tool-revoke") for _ in range(2))
        assert self.run(deployment, "revoke", "--account", "tool-revoke", token[:8]) == 0
        assert capsys.readouterr().out.startswith(f"revoked {token[:8]}…")
        assert request(deployment, "GET", "/api/schedules", token=token)[0] == 401
        assert request(deployment, "GET", "/api/schedules", token=other)[0] == 200

    def test_only_tokens_of_the_named_account_can_be_revoked(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token, _ = deployment.open_account("tool-own")
        assert self.run(deployment, "revoke", "--account", "tool-stranger", token) == 1
        assert "No token of tool-stranger" in capsys.readouterr().err
        assert Tokens(deployment.database()).account_of(token) == "tool-own"

    def test_a_prefix_of_several_tokens_revokes_none(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for ending in "ab":
            deployment.open_account("tool-twins", f"twin-tokens-0000-{ending}")
        assert self.run(deployment, "revoke", "--account", "tool-twins", "twin-tok") == 1
        assert "Several tokens" in capsys.readouterr().err
        assert self.run(deployment, "revoke", "--account", "tool-twins", "twin-tokens-0000-a") == 0
        (left,) = Tokens(deployment.database()).of_account("tool-twins")
        assert self.run(deployment, "revoke", "--account", "tool-twins", left.digest[:12]) == 0

    def test_a_token_of_another_account_is_refused(
        self, deployment: LocalDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(deployment, "create", "--account", "tool-thief", "--token", deployment.token) == 1
        assert "another account" in capsys.readouterr().err

    @pytest.mark.parametrize("account", ["", "a/b", "ä", "a" * 65])
    def test_an_account_name_that_does_not_fit_a_key_is_refused(
        self, deployment: LocalDeployment, account: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            self.run(deployment, "create", "--account", account)
        assert "letters, digits" in capsys.readouterr().err

    def test_the_tool_prints_that_no_deployment_runs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert tokens.main(["list", "--account", "a", "--local", str(tmp_path)]) == 1
        assert "No callpacer runs" in capsys.readouterr().err
