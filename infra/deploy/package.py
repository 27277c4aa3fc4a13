"""Packages the functions: the zip and the CloudFormation template that are deployed, on AWS and on a laptop alike.

python -m infra.deploy.package            # for whatever Python and processor this is
python -m infra.deploy.package --for-aws  # only with a Python that Lambda still takes, and for the processor used there
"""

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from infra.template.template import merge_template

ROOT = Path(__file__).resolve().parents[2]
#: what goes into a package, besides the Python that makes it
SOURCES = ("app.py", "chalicelib", "requirements.txt", ".chalice")
#: the Pythons in which new functions can be made on AWS
AWS_PYTHONS = ((3, 12), (3, 13))
#: What functions on AWS run on: it costs a fifth less. A laptop's run on its own.
AWS_PROCESSOR = "arm64"
OWN_PROCESSOR = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
STAGE = "prod"
#: the API's stage in API Gateway, as .chalice/config.json has it
GATEWAY_STAGE = "v1"
#: The AWS services that functions have clients for. What botocore knows of four hundred others isn't packed: it would
#: be most of the package, and botocore looks through it all for each client.
SERVICES = ("dynamodb", "sqs", "lambda")
#: The one time zone that anything asks for, of six hundred files.
ZONE = Path("America/New_York")
_CHALICE = "from chalice.cli import main; main()"
#: where Lambda unpacks it
_TASK_ROOT = "/var/task"
#: folders among the sources that Python and Chalice keep for themselves
_LEFTOVERS = frozenset({"__pycache__", "deployed", "deployments"})


class WrongPython(Exception):
    """What AWS runs is built by another Python; the message says how."""


class PackagingFailed(Exception):
    """The package could not be made; the message is for whoever asked for it."""


@dataclass(frozen=True)
class Package:
    #: the CloudFormation template, in which every CodeUri names the archive
    template: Path
    #: the zip that all functions share
    archive: Path
    #: tells this package from any that another source makes
    digest: str


def build(output: Path = ROOT / "build", project: Path = ROOT, processor: str = OWN_PROCESSOR) -> Package:
    """The package of these sources. Made anew only if something in it has changed."""
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}-{processor}"
    place = output / runtime
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place / "lock"):
        digest = _digest(project, runtime)
        stamp, finished = place / "digest", place / "package"
        package = Package(finished / "sam.json", finished / "deployment.zip", digest)
        if stamp.exists() and stamp.read_text() == digest and package.template.exists() and package.archive.exists():
            return package
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix="work-") as work:
            made = _make(project, Path(work), processor)
            shutil.rmtree(finished, ignore_errors=True)
            made.rename(finished)
        stamp.write_text(digest)
        return package


def build_for_aws() -> Package:
    """Raises WrongPython, PackagingFailed."""
    running = sys.version_info[:2]
    if running not in AWS_PYTHONS:
        raise WrongPython(
            f"What is deployed to AWS is built with Python 3.12 or 3.13; this is {running[0]}.{running[1]}.\n"
            "Make the environment anew with one of them: make clean install PYTHON=python3.13"
        )
    return build(processor=AWS_PROCESSOR)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Two stacks that start together don't package over each other."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _files(project: Path) -> Iterator[Path]:
    for source in SOURCES:
        path = project / source
        if path.is_file():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            within = file.relative_to(project)
            # Chalice keeps notes of its own beside its configuration.
            if (
                file.is_file()
                and "__pycache__" not in within.parts
                and within.parts[1] not in ("deployed", "deployments")
            ):
                yield file


def _digest(project: Path, runtime: str) -> str:
    digest = hashlib.sha256()
    for file in _files(project):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(project)} {len(content)}\n".encode())
        digest.update(content)
    digest.update(json.dumps([merge_template(), runtime, version("chalice")]).encode())
    digest.update(Path(__file__).read_bytes() + importlib.util.MAGIC_NUMBER)
    return digest.hexdigest()


def _make(project: Path, work: Path, processor: str) -> Path:
    """Packages a copy of the sources: nothing that changes meanwhile gets in, and Chalice leaves nothing behind."""
    sources, result, overlay = work / "sources", work / "package", work / "overlay.json"
    for file in _files(project):
        copy = sources / file.relative_to(project)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    config = sources / ".chalice" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lambda_architecture": processor}))
    overlay.write_text(json.dumps(merge_template()))
    chalice_package(sources, result, "--stage", STAGE, "--merge-template", str(overlay))
    _make_light(result / "deployment.zip", work / "light")
    check_complete(result, work / "unpacked")
    return result


def chalice_package(sources: Path, result: Path, *options: str) -> None:
    """What Chalice itself makes of a project."""
    said = _run(
        [sys.executable, "-c", _CHALICE, "--project-dir", str(sources), "package", *options, str(result)],
        _environment(os.environ),
    )
    if "Could not install dependencies" in said:
        raise PackagingFailed(said)


def _make_light(archive: Path, unpacked: Path) -> None:
    """Makes functions start faster: with bytecode, which wheels don't have, and without what no function looks at."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unpacked)
    for known in (unpacked / "botocore" / "data").iterdir():
        if known.is_dir() and known.name not in SERVICES:
            shutil.rmtree(known)
    zones = unpacked / "tzdata" / "zoneinfo"
    for zone in zones.rglob("*"):
        if zone.is_file() and zone.suffix != ".py" and zone != zones / ZONE:
            zone.unlink()
    compile_all(unpacked)
    pack(unpacked, archive)


def compile_all(folder: Path) -> None:
    """Puts bytecode beside every module, which Python then takes without a look at the module.

    Lambda can't keep what it compiles, and a zip doesn't keep the times by which Python usually tells whether bytecode
    is still good. The sources stay, for tracebacks and for another Python than the one that has packaged.
    """
    # The places of tracebacks are those in Lambda, not those of this machine.
    how = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _TASK_ROOT]
    # Sets, and so constants that are sets, have an order of their own with each hash seed.
    _run([sys.executable, "-m", "compileall", *how, str(folder)], {"PYTHONHASHSEED": "0"})


def pack(folder: Path, archive: Path) -> None:
    """The same content is always the same archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(str(file.relative_to(folder)))
                entry.compress_type = zipfile.ZIP_DEFLATED
                # Lambda runs as another user than the one it unpacks as.
                entry.external_attr = 0o644 << 16
                packed.writestr(entry, file.read_bytes())


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's, without what ties it to an AWS account: packaging asks AWS nothing."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("AWS_", "CALLPACER_"))}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | nowhere | {"AWS_DEFAULT_REGION": "us-east-1"}


def check_complete(result: Path, unpacked: Path) -> None:
    """Imports every function from the zip alone, and makes every client: what is missing there would be found in the
    caller's packages. What is compiled for another processor isn't tried; Python's own code stands in for it.
    """
    with zipfile.ZipFile(result / "deployment.zip") as archive:
        archive.extractall(unpacked)
    template = json.loads((result / "sam.json").read_text())
    modules = sorted(
        {
            resource["Properties"]["Handler"].rpartition(".")[0]
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::Serverless::Function"
        }
    )
    program = """
import importlib, sys, zoneinfo
zoneinfo.reset_tzpath(to=())
unpacked, modules, services = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
sys.path.insert(0, unpacked)
for module in modules:
    importlib.import_module(module)
from botocore.session import get_session
for service in services:
    get_session().create_client(service)
"""
    _run(
        [sys.executable, "-I", "-S", "-c", program, str(unpacked), " ".join(modules), " ".join(SERVICES)],
        _environment({}),
    )


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    """What the program said, both ways."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        raise PackagingFailed(said)
    return said


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.package", description=__doc__.partition("\n")[0])
    parser.add_argument("--for-aws", action="store_true", help="refuse a Python that Lambda takes no new functions for")
    arguments = parser.parse_args()
    try:
        package = build_for_aws() if arguments.for_aws else build()
    except WrongPython as error:
        print(error, file=sys.stderr)
        return 1
    except PackagingFailed as error:
        print(f"Packaging failed:\n{error}", file=sys.stderr)
        return 1
    print(f"{package.template}\n{package.archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
