"""AWS on this machine: the emulator in a child process, and clients for it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.config import Config
from botocore.session import Session

REGION = "us-east-1"
#: seconds within which the emulator has to answer after its start
_STARTUP = 60.0
#: seconds that it may take to stop: its functions finish, then it saves its state
_SHUTDOWN = 120.0


class EmulatorFailed(Exception):
    """The emulator didn't start, or died."""


def listen(port: int) -> socket.socket:
    """A socket that already accepts connections; port 0 is any free one. Raises OSError if the port is taken."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def plain_environment() -> dict[str, str]:
    """The environment of a child process: little of the caller's, and none of its AWS settings and proxies."""
    kept = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }


class Emulator:
    """ministack with its state in one directory, for as long as this process lives."""

    def __init__(self, state: Path) -> None:
        self._state = state
        #: its URL, for AWS clients
        self.endpoint = ""
        #: the emulator's own log
        self.log = state / "emulator.log"
        #: the functions' standard output and error
        self.functions_log = state / "functions.log"
        #: it was killed last time, and has lost all data since its state was last saved
        self.has_lost_state = False
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def client(self, service: str) -> Any:
        return client(service, self.endpoint)

    def start(self, keep_open: int | None = None) -> None:
        """Return when it answers. `keep_open` is a file descriptor that the emulator holds as long as it runs."""
        temporary, unsaved = self._state / "tmp", self._state / "unsaved"
        self.has_lost_state = unsaved.exists()
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with self._listen() as listener, self.log.open("wb") as log:
            port = listener.getsockname()[1]
            self.endpoint = f"http://127.0.0.1:{port}"
            descriptors = [listener.fileno()] + ([keep_open] if keep_open is not None else [])
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "infra.local.emulator_process"),
                    *(str(listener.fileno()), str(self.functions_log), str(unsaved)),
                ],
                cwd=Path(__file__).resolve().parents[2],
                env=plain_environment() | self._settings(port, temporary),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                # Ctrl-C reaches this process alone, which then stops the emulator in order.
                start_new_session=True,
            )
        self._await_answer(port)

    def _listen(self) -> socket.socket:
        """Listen on the last port if it is free: the URLs of stored queues contain it."""
        try:
            return listen(self._last_port())
        except OSError:
            return listen(0)

    def _last_port(self) -> int:
        file = self._state / "emulator.port"
        return int(file.read_text()) if file.exists() else 0

    def _settings(self, port: int, temporary: Path) -> dict[str, str]:
        file = self._state / "emulator.port"
        if not file.exists():
            file.write_text(str(port))
        return {
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": file.read_text(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._state / "aws"),
            "S3_DATA_DIR": str(temporary / "s3"),
            "TMPDIR": str(temporary),
            "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": "WARNING",
            # no other server, and no containers
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{temporary / 'no-docker'}",
        }

    def _await_answer(self, port: int) -> None:
        deadline = time.monotonic() + _STARTUP
        while time.monotonic() < deadline:
            self.check()
            connection = HTTPConnection("127.0.0.1", port, timeout=1)
            try:
                connection.request("GET", "/_ministack/health")
                if connection.getresponse().status == 200:
                    return
            except (OSError, HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()
        self.kill()
        raise EmulatorFailed(f"The AWS emulator doesn't answer; see {self.log}")

    def check(self) -> None:
        """Raises EmulatorFailed if it doesn't run any more."""
        if self._process is not None and self._process.poll() is not None:
            raise EmulatorFailed(f"The AWS emulator died (exit code {self._process.returncode}); see {self.log}")

    def stop(self) -> None:
        """Let the functions finish, and save the state."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_SHUTDOWN)
            except subprocess.TimeoutExpired:
                self.kill()
                raise EmulatorFailed("The AWS emulator doesn't stop; its latest changes aren't saved") from None
        self._clean_up()

    def kill(self) -> None:
        """Stop at once. All changes since the start are lost."""
        if self._process is not None:
            self._process.kill()
            self._clean_up()

    def _clean_up(self) -> None:
        if self._process is not None:
            self._process.communicate()
        self._process = None
        shutil.rmtree(self._state / "tmp", ignore_errors=True)


def client(service: str, endpoint: str) -> Any:
    """A botocore client for the emulator. It ignores the AWS settings of the caller's environment."""
    # Each variable is (its name in the configuration file, in the environment, its default, a conversion).
    session = Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return session.create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 # opens nothing
        config=Config(proxies={}, connect_timeout=5, read_timeout=60),
    )
