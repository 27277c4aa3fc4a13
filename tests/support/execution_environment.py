"""A function from the unpacked package, in a process of its own under AWS's runtime client, as Lambda runs it.

Its environment is the one that Lambda documents: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
The runtime client is beside the package, as in Lambda. Nothing else of this machine's Python can be imported.
"""

import importlib.util
import queue
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from infra.local.emulator import REGION, plain_environment
from tests.support.runtime_api import Invocation, Outcome, RuntimeApi, serve_runtime_api

#: the runtime client, its C extension, and what it imports
_RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")


@dataclass(frozen=True)
class Function:
    """A deployed function."""

    name: str
    arn: str
    handler: str
    #: seconds that an invocation may take
    timeout: int
    #: MB
    memory: int
    #: the variables that the template sets
    variables: Mapping[str, str]

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Self:
        """From the answer of Lambda's GetFunctionConfiguration."""
        return cls(
            configuration["FunctionName"],
            configuration["FunctionArn"],
            configuration["Handler"],
            configuration["Timeout"],
            configuration["MemorySize"],
            configuration["Environment"]["Variables"],
        )

    def with_variables(self, **variables: str) -> Self:
        return replace(self, variables={**self.variables, **variables})

    def with_handler(self, handler: str) -> Self:
        return replace(self, handler=handler)

    def environment(self, api: str, task_root: Path, runtime: Path, endpoint: str) -> dict[str, str]:
        """The process's environment; `endpoint` is the URL of AWS."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        # In Lambda, the credentials are temporary and those of the function's role.
        return {
            **plain_environment(),
            "AWS_SESSION_TOKEN": "local",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef",
            "AWS_LAMBDA_RUNTIME_API": api,
            "AWS_REGION": REGION,
            "LAMBDA_RUNTIME_DIR": str(runtime),
            "LAMBDA_TASK_ROOT": str(task_root),
            "PYTHONPATH": f"{task_root}:{runtime}",
            "TZ": ":UTC",
            "_HANDLER": self.handler,
            **self.variables,
        }


class ExecutionEnvironment:
    """One process of a function, which handles one event after another."""

    def __init__(self, function: Function, api: RuntimeApi, process: subprocess.Popen[bytes], log: Path) -> None:
        self._function = function
        self._api = api
        self._process = process
        self._log = log

    def begin(self, event: Mapping[str, Any]) -> Invocation:
        """Send an event, without waiting for the outcome."""
        root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            deadline=int((time.time() + self._function.timeout) * 1000),
            arn=self._function.arn,
            trace_id=f"Root={root};Parent=53995c3f42cd8ad8;Sampled=0",
            event=event,
        )
        self._api.put(invocation)
        return invocation

    def end(self) -> Outcome:
        """The next outcome. Fails if the process dies, or exceeds the function's timeout."""
        deadline = time.monotonic() + self._function.timeout
        while time.monotonic() < deadline:
            try:
                return self._api.outcomes.get(timeout=0.2)
            except queue.Empty:
                assert self._process.poll() is None, self.output()
        raise AssertionError(f"{self._function.name} takes longer than {self._function.timeout} s\n{self.output()}")

    def invoke(self, event: Mapping[str, Any]) -> Outcome:
        invocation = self.begin(event)
        outcome = self.end()
        assert outcome.request_id in (invocation.request_id, ""), outcome
        return outcome

    def output(self) -> str:
        """What it has written to standard output and error so far."""
        return self._log.read_text()


@dataclass(frozen=True)
class Machine:
    """The machine on which execution environments are started."""

    task_root: Path
    #: the folder of the runtime client
    runtime: Path
    #: the URL of AWS
    endpoint: str
    #: the folder of their output
    logs: Path

    @contextmanager
    def start(self, function: Function) -> Iterator[ExecutionEnvironment]:
        log = self.logs / f"{function.name}-{uuid.uuid4().hex[:8]}.log"
        with serve_runtime_api() as api, log.open("wb") as output:
            process = subprocess.Popen(
                # The runtime client takes the handler as its argument; -S hides this environment's packages.
                [sys.executable, "-S", "-m", "awslambdaric", function.handler],
                cwd=self.task_root,
                env=function.environment(api.address, self.task_root, self.runtime, self.endpoint),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield ExecutionEnvironment(function, api, process, log)
            finally:
                process.kill()
                process.wait()


def lay_out_runtime(folder: Path) -> Path:
    """Put the runtime client into a folder of its own, as Lambda does with /var/runtime."""
    folder.mkdir()
    for name in _RUNTIME:
        found = importlib.util.find_spec(name)
        assert found is not None, f"{name} is not installed"
        assert found.origin is not None
        origin = Path(found.origin)
        source = origin.parent if found.submodule_search_locations else origin
        (folder / source.name).symlink_to(source)
    return folder
