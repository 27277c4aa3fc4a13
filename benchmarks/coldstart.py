"""How long a function takes from a fresh process to its first answer, compared with a hello world of Chalice and boto3.

    python -m benchmarks.coldstart [--rounds N] [--emulator-rounds N]

Every function starts from its package alone, as in Lambda: unpacked, with nothing else on the path, and without storing
bytecode. All are measured in turns, so that a busy machine slows down all of them. The API may take at most one and a
half times as long as the hello world with bytecode. Chalice packs no bytecode, and a hello world without it is so slow
that a comparison with it would prove nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.hello_world import COMPILED, PACKED, package_hello, unpack
from infra.deploy.cloudformation import deploy
from infra.deploy.package import Package, build
from infra.local.cloud import Emulated
from infra.local.emulator import REGION, Emulator, plain_environment

#: how many times as long as the hello world the API may take
LIMIT = 1.5
#: the most bytes that Lambda takes: of a zip that is uploaded directly, and unpacked
_LARGEST = (50_000_000, 250_000_000)
_STAGE = "coldstart"
_TABLES = f"callpacer-{_STAGE}"

#: Runs in the fresh process. It measures CPU time: other programs on the machine don't count.
_PROGRAM = """
import importlib, json, sys, time
folder, handler, event = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 60_000)
sys.path.insert(0, folder)
module, _, function = handler.rpartition(".")
begun = time.process_time()
found = getattr(importlib.import_module(module), function)
imported = time.process_time()
answer = found(event, Context())
print(json.dumps({"import": imported - begun, "answer": time.process_time(), "answered": answer}))
"""


class Unexpected(Exception):
    """A function gave a wrong answer, so its time means nothing."""


@dataclass(frozen=True)
class Function:
    name: str
    handler: str
    event: Mapping[str, Any]
    #: what its answer to the event must contain
    answer: Mapping[str, Any]

    def check(self, answer: Mapping[str, Any]) -> None:
        if not self.answer.items() <= answer.items():
            raise Unexpected(f"{self.name} answered {json.dumps(answer)}")


def _request(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The event of API Gateway for a GET request."""
    return {
        "requestContext": {"resourcePath": path, "httpMethod": "GET", "path": path, "stage": _STAGE},
        "headers": dict(headers),
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }


_TICK = {
    "version": "0",
    "id": "3cbde128-32b6-47aa-9e62-6353f8b06812",
    "account": "000000000000",
    "region": REGION,
    "time": "2026-01-01T00:00:00Z",
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "detail": {},
    "resources": [],
}
API = Function(
    "API",
    "app.app",
    # The token is looked up, and isn't found.
    _request("/api/schedules", {"authorization": "Bearer 3cbde128-32b6-47aa-9e62-6353f8b06812"}),
    {"statusCode": 401},
)
FUNCTIONS = (
    API,
    Function("pacer", "chalicelib.functions.pacer.handle", _TICK, {"dials": 0}),
    Function("dialer", "chalicelib.functions.dialer.handle", {"Records": []}, {"batchItemFailures": []}),
    Function("settler", "chalicelib.functions.settler.handle", _TICK, {"settled": 0}),
)
HELLO = Function("hello world", "app.app", _request("/", {}), {"statusCode": 200})


class _EmptyDatabase(BaseHTTPRequestHandler):
    """DynamoDB with nothing in it, whatever the request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        nothing = b'{"Count":0,"Items":[],"ScannedCount":0}'
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(nothing)))
        self.end_headers()
        self.wfile.write(nothing)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class's own name for it
        pass


@contextmanager
def empty_database() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyDatabase) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Started:
    """One start, in seconds of CPU."""

    #: until the handler's module was imported
    imported: float
    #: from the start of the process to its first answer
    answered: float


def start(folder: Path, function: Function, endpoint: str) -> Started:
    """Start a function in a process of its own, with nothing on its path but the unpacked folder."""
    environment = plain_environment() | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "CALLPACER_TABLES": _TABLES,
        "CALLPACER_DEPLOYMENT": _STAGE,
        "CALLPACER_QUEUE_URL": f"{endpoint}/calls",
        "CALLPACER_DEAD_LETTER_QUEUE_URL": f"{endpoint}/dead",
        "CALLPACER_DIALERS": "50",
        "HELLO_TABLE": f"{_TABLES}-tokens",
    }
    command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM]
    done = subprocess.run(
        [*command, str(folder), function.handler, json.dumps(function.event)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unexpected(f"{function.name}: {done.stderr}")
    # the function's own log and metrics come before it
    measured = json.loads(done.stdout.splitlines()[-1])
    function.check(measured["answered"])
    return Started(measured["import"], measured["answer"])


def by_turns(measures: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """Call each of the measures once in each round. Return their results by name."""
    found: dict[str, list[Any]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def processes(archive: Path, hellos: Mapping[str, Path], work: Path, rounds: int) -> dict[str, list[Started]]:
    """Every function's starts, each from its unpacked zip. Where boto3 comes from makes no difference here."""
    package = unpack(archive, work / "callpacer")
    with empty_database() as endpoint:

        def starting(folder: Path, function: Function) -> Callable[[], Started]:
            return lambda: start(folder, function, endpoint)

        measures = {name: starting(unpack(hellos[name], work / name), HELLO) for name in (PACKED, COMPILED)}
        measures |= {function.name: starting(package, function) for function in FUNCTIONS}
        return by_turns(measures, rounds)


def invocations(package: Package, hellos: Mapping[str, Path], rounds: int) -> dict[str, list[float]]:
    """The seconds that first invocations on the emulator take, with unpacking."""
    with tempfile.TemporaryDirectory() as state, Emulator(Path(state)) as emulator:
        deploy(package, f"callpacer-{_STAGE}", {"Stage": _STAGE}, Emulated(emulator.endpoint))
        events, functions = emulator.client("events"), emulator.client("lambda")
        for rule in events.list_rules()["Rules"]:
            # nothing else may start functions
            events.disable_rule(Name=rule["Name"])
        names = {found["Handler"]: found["FunctionName"] for found in functions.list_functions()["Functions"]}

        def invoking(name: str, function: Function) -> Callable[[], float]:
            return lambda: _invoke(functions, name, function)

        measures = {}
        for number, (title, archive) in enumerate(hellos.items()):
            functions.create_function(
                FunctionName=f"hello-{number}",
                Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
                Role="arn:aws:iam::000000000000:role/hello",
                Handler=HELLO.handler,
                Code={"ZipFile": archive.read_bytes()},
                Environment={"Variables": {"HELLO_TABLE": f"{_TABLES}-tokens"}},
                MemorySize=1769,
                Timeout=60,
            )
            measures[title] = invoking(f"hello-{number}", HELLO)
        measures |= {function.name: invoking(names[function.handler], function) for function in FUNCTIONS}
        return by_turns(measures, rounds)


def _invoke(functions: Any, name: str, function: Function) -> float:
    # A changed configuration makes the emulator start the function anew.
    timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
    functions.update_function_configuration(FunctionName=name, Timeout=61 if timeout == 60 else 60)
    begun = time.perf_counter()
    answered = functions.invoke(FunctionName=name, Payload=json.dumps(function.event))
    answer = json.load(answered["Payload"])
    taken = time.perf_counter() - begun
    function.check(answer)
    return taken


def table(columns: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Medians in milliseconds, each with its ratio to that of the compiled hello world."""
    lines = [f"{'':36}" + "".join(f"{title:>24}" for title in columns)]
    for name in next(iter(columns.values())):
        cells = ((median(times[name]), median(times[COMPILED])) for times in columns.values())
        lines.append(f"{name:36}" + "".join(f"{1000 * own:>14.0f} ms {own / hello:>5.2f} x" for own, hello in cells))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coldstart", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=15, help="how often each function is started in a process (15)")
    parser.add_argument(
        "--emulator-rounds", type=int, default=5, help="how often each function is invoked on the emulator (5)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        package, hellos = build(), package_hello(work / "hello")
        sizes = {"callpacer": size(package.archive), "hello world": size(hellos[PACKED])}
        for name, (zipped, unzipped) in sizes.items():
            print(f"{name}: {zipped / 1e6:.1f} MB, unpacked {unzipped / 1e6:.1f} MB")
        started = processes(package.archive, hellos, work, options.rounds)
        columns: dict[str, dict[str, list[float]]] = {
            "import": {name: [one.imported for one in starts] for name, starts in started.items()},
            "first answer": {name: [one.answered for one in starts] for name, starts in started.items()},
        }
        print(f"\nCPU time of a fresh process, median of {options.rounds}\n{table(columns)}\n", flush=True)
        invoked = {"first invocation": invocations(package, hellos, options.emulator_rounds)}
        print(f"On the emulator, with unpacking, median of {options.emulator_rounds}\n{table(invoked)}\n", flush=True)
    faults = [
        f"The API's {title} takes {ratio:.2f} times as long as the hello world's; the limit is {LIMIT}"
        for title, times in (columns | invoked).items()
        if (ratio := median(times[API.name]) / median(times[COMPILED])) > LIMIT
    ]
    if any(own > most for own, most in zip(sizes["callpacer"], _LARGEST, strict=True)):
        faults.append("The package is larger than Lambda allows")
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


def size(archive: Path) -> tuple[int, int]:
    """In bytes, packed and unpacked."""
    with zipfile.ZipFile(archive) as packed:
        return archive.stat().st_size, sum(entry.file_size for entry in packed.infolist())


if __name__ == "__main__":
    sys.exit(main())
