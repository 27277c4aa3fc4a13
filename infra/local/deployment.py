"""The local deployment: a whole callpacer on one machine, with no AWS account.

An emulator takes AWS's place. It has the tables, the queue, the event sources and the functions, all from the package
that AWS would get. Only the HTTP API is served beside it, by Chalice's local server, on a port of its own.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chalicelib.runtime.settings import Settings
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from chalicelib.storage.tokens import TokenTaken
from infra.accounts import open_account
from infra.deploy.cloudformation import DeploymentFailed, deploy
from infra.deploy.package import PackagingFailed, build
from infra.local.cloud import Emulated
from infra.local.emulator import Emulator, EmulatorFailed, listen, plain_environment
from infra.local.state import Running, StateDirectory, StateInUse
from infra.template.rest_api import GATEWAY_STAGE

STAGE = "local"
#: the account that gets a token at the start
ACCOUNT = "demo"
#: how many slices go out at the same time; each needs a process of its own here, which takes seconds to start
DIALERS = 4
#: seconds within which the API's server has to answer after its start
_STARTUP = 60.0
#: seconds that the API's server may take to stop: as long as the longest request, and a little more
_SHUTDOWN = 35.0


class LocalDeploymentFailed(Exception):
    """The local deployment can't start, or can't go on; the message is for the user."""


class LocalDeployment:
    """A whole callpacer with its state in one directory.

    A context manager: inside it the API answers, and calls are paced and made. Several can run side by side.
    """

    def __init__(
        self,
        state: Path,
        port: int = 0,
        token: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`port` is the API's, 0 for any free one. Without a token the last one is used, or a new one.

        `progress` takes one line.
        """
        self._state = StateDirectory(state)
        self._port = port
        self._wanted_token = token
        self._progress = progress
        self._emulator = Emulator(self._state.directory)
        self._api: subprocess.Popen[bytes] | None = None
        #: the API's URL, `/api` included
        self.url = ""
        #: the same API behind the emulator's API Gateway: the deployed function, which is slower
        self.gateway_url = ""
        #: a token of the account `demo`
        self.token = ""
        #: the variables that the functions read
        self.environment: dict[str, str] = {}
        #: the log of the API's server
        self.api_log = self._state.directory / "api.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The emulator's URL, for AWS clients."""
        return self._emulator.endpoint

    @property
    def directory(self) -> Path:
        """Where its state is: the value of `--local` for the operator's commands."""
        return self._state.directory

    @property
    def functions_log(self) -> Path:
        """The log of pacer, dialer and settler."""
        return self._emulator.functions_log

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    def client(self, service: str) -> Any:
        """A botocore client for the emulator."""
        return self._emulator.client(service)

    def database(self) -> Database:
        """Its tables, over a connection of their own."""
        return Database(self.settings.tables, self.client("dynamodb"))

    def open_account(self, account: str, token: str | None = None) -> tuple[str, str]:
        """Give an account a token; see `infra.accounts.open_account`."""
        return open_account(self.database(), account, token)

    def start(self) -> None:
        """Return when everything answers. Raises LocalDeploymentFailed; then nothing is left running."""
        try:
            with self._listen() as listener:
                self._start(listener)
        except BaseException as error:
            self.stop()
            if isinstance(error, (DeploymentFailed, EmulatorFailed, PackagingFailed)):
                raise LocalDeploymentFailed(str(error)) from error
            raise

    def _listen(self) -> socket.socket:
        try:
            return listen(self._port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise LocalDeploymentFailed(f"Port {self._port}: {reason}. Choose another with --port.") from None

    def _start(self, listener: socket.socket) -> None:
        lock = self._acquire_state()
        self._progress("packaging")
        package = build()
        self._progress("starting the emulator of AWS")
        self._emulator.start(keep_open=lock)
        if self._emulator.has_lost_state:
            self._halt()
        self._progress("deploying")
        port = listener.getsockname()[1]
        parameters = {
            "Stage": STAGE,
            "AllowLoopback": "true",
            "DialerConcurrency": str(DIALERS),
            "PublicUrl": f"http://127.0.0.1:{port}",
        }
        outputs = deploy(package, f"callpacer-{STAGE}", parameters, Emulated(self.endpoint))
        self.environment = {
            "CALLPACER_TABLES": outputs["Tables"],
            "CALLPACER_DEPLOYMENT": outputs["Deployment"],
            "CALLPACER_QUEUE_URL": outputs["QueueUrl"],
            "CALLPACER_DEAD_LETTER_QUEUE_URL": outputs["DeadLetterQueueUrl"],
            "CALLPACER_DIALERS": outputs["Dialers"],
            "CALLPACER_ALLOW_LOOPBACK": parameters["AllowLoopback"],
        }
        self.gateway_url = f"{self.endpoint}/restapis/{outputs['RestAPIId']}/{GATEWAY_STAGE}/_user_request_/api"
        self._switch_on_if_new()
        self.token = self._ensure_token()
        self.url = f"{parameters['PublicUrl']}/api"
        self._api = self._serve(listener)
        self._await_api(port)
        settings = self.settings
        self._state.announce(Running(os.getpid(), self.url, self.endpoint, settings.tables, settings.deployment))

    def _acquire_state(self) -> int:
        try:
            return self._state.acquire()
        except StateInUse as error:
            raise LocalDeploymentFailed(
                f"callpacer already runs with {error}. Choose another directory with --state."
            ) from None

    def _halt(self) -> None:
        """Halt it at once: it may have lost the claims of numbers that it has called."""
        name = f"callpacer-{STAGE}"
        for found in self.client("cloudformation").describe_stacks()["Stacks"]:
            if found["StackName"] == name:
                Switch(Database(name, self.client("dynamodb")), found["StackId"]).turn(on=False, now=datetime.now(UTC))
                self._progress(
                    "it was killed, and has lost what it stored since it was last stopped. It is halted, because it "
                    "may have lost calls and would make them again. End the halt with: "
                    f".venv/bin/python -m infra.operator.halt off --local {self.directory}"
                )

    def _switch_on_if_new(self) -> None:
        """Leave the switch as it is if it was turned before."""
        switch = Switch(self.database(), self.settings.deployment)
        if not switch.is_set():
            switch.turn(on=True, now=datetime.now(UTC))

    def _ensure_token(self) -> str:
        file = self._state.directory / "token"
        token = self._wanted_token or (file.read_text() if file.exists() else None)
        try:
            token, _ = self.open_account(ACCOUNT, token)
        except TokenTaken:
            raise LocalDeploymentFailed(f"This token is not {ACCOUNT}'s, but another account's.") from None
        file.touch(mode=0o600)
        file.write_text(token)
        return token

    def _serve(self, listener: socket.socket) -> subprocess.Popen[bytes]:
        """Start the API in a process of its own: it reads its settings from the environment of its process."""
        with self.api_log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "infra.local.server", str(listener.fileno())],
                cwd=Path(__file__).resolve().parents[2],
                env=plain_environment() | {"AWS_ENDPOINT_URL": self.endpoint} | self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                # Ctrl-C reaches this process alone, which then stops the others in order.
                start_new_session=True,
            )

    def _await_api(self, port: int) -> None:
        """Wait for an answer. The socket accepts connections before the server has started."""
        connection = HTTPConnection("127.0.0.1", port, timeout=0.5)
        deadline = time.monotonic() + _STARTUP
        while time.monotonic() < deadline:
            self.check()
            try:
                connection.request("GET", "/api")
                connection.getresponse()
            except OSError:
                continue
            finally:
                connection.close()
            return
        raise LocalDeploymentFailed(f"The API's server doesn't answer; see {self.api_log}")

    def check(self) -> None:
        """Raises LocalDeploymentFailed if the emulator or the API's server has died."""
        try:
            self._emulator.check()
        except EmulatorFailed as error:
            raise LocalDeploymentFailed(str(error)) from error
        if self._api is not None and self._api.poll() is not None:
            raise LocalDeploymentFailed(f"The API's server died (exit code {self._api.returncode}); see {self.api_log}")

    def stop(self) -> None:
        """Let requests and functions finish, and save the state. Another Ctrl-C ends it at once, without saving."""
        try:
            if self._api is not None:
                self._api.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._api.wait(_SHUTDOWN)
            self._emulator.stop()
        except EmulatorFailed as error:
            raise LocalDeploymentFailed(str(error)) from error
        finally:
            if self._api is not None:
                self._api.kill()
                self._api.communicate()
                self._api = None
            self._emulator.kill()
            self._state.release()
