"""Builds what is deployed: a zip that holds all functions, and a CloudFormation template. AWS and laptops get the same.

python -m infra.deploy.package            # for this Python and this processor
python -m infra.deploy.package --for-aws  # for AWS's processor; refuses a Python that Lambda takes no new functions for

Chalice writes the template and packs the sources. The dependencies are installed from requirements.txt, the lock, into
the folder that Chalice packs as it is: https://aws.github.io/chalice/topics/packaging.html. Chalice's own installer
isn't used: it fetches wheels for another processor by name and version alone, and ignores hashes.
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
#: The lock of all that is shipped. `make lock` writes it.
LOCK = "requirements.txt"
#: What a package is made of, besides the Python that makes it. Another lock makes another package.
SOURCES = ("app.py", "chalicelib", LOCK, ".chalice")
#: The Pythons that Lambda takes new functions for, of those that callpacer runs on.
AWS_PYTHONS = ((3, 12), (3, 13))
#: The processor of functions on AWS: a fifth cheaper than x86_64. On a laptop they run on its own processor.
AWS_PROCESSOR = "arm64"
OWN_PROCESSOR = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
STAGE = "prod"
#: The AWS services that functions have clients for. botocore describes four hundred more. They aren't packed: they
#: would be most of the package, and botocore reads through all of them to make a client.
SERVICES = ("dynamodb", "sqs", "lambda")
#: The only time zone that is packed, of six hundred files. No other is used.
ZONE = Path("America/New_York")
_CHALICE = "from chalice.cli import main; main()"
#: Wheels for this glibc or an older one run in Lambda, which has glibc 2.34 from Python 3.12 on:
#: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
#: the folder in a project that Chalice packs as it is
_VENDORED = "vendor"
#: the folder in which Lambda unpacks the zip
_TASK_ROOT = "/var/task"


class WrongPython(Exception):
    """This Python can't build for AWS. The message says which one can."""


class PackagingFailed(Exception):
    """The package could not be made. The message is for the user of the command."""


@dataclass(frozen=True)
class Package:
    #: the CloudFormation template; in it every CodeUri names the archive
    template: Path
    #: the zip that all functions share
    archive: Path
    #: Other sources, another lock or another Python give another digest.
    digest: str


def build(output: Path = ROOT / "build", project: Path = ROOT, processor: str = OWN_PROCESSOR) -> Package:
    """Builds the package, unless it is there already and nothing in it has changed."""
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}-{processor}"
    place = output / runtime
    place.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(place / "lock"):
        digest = digest_of(project, runtime)
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
            "Make a new environment with one of them: make clean install PYTHON=python3.13"
        )
    return build(processor=AWS_PROCESSOR)


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Two stacks that start together would otherwise write over each other's package."""
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
            # Chalice keeps files of its own beside its configuration.
            if (
                file.is_file()
                and "__pycache__" not in within.parts
                and within.parts[1] not in ("deployed", "deployments")
            ):
                yield file


def digest_of(project: Path, runtime: str) -> str:
    digest = hashlib.sha256()
    for file in _files(project):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(project)} {len(content)}\n".encode())
        digest.update(content)
    digest.update(json.dumps([merge_template(), runtime, version("chalice")]).encode())
    digest.update(Path(__file__).read_bytes() + importlib.util.MAGIC_NUMBER)
    return digest.hexdigest()


def _make(project: Path, work: Path, processor: str) -> Path:
    """Packages a copy of the sources, so that later changes don't get in and Chalice adds no files to the sources."""
    sources, result, overlay = work / "sources", work / "package", work / "overlay.json"
    for file in _files(project):
        copy = sources / file.relative_to(project)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    # Chalice must not find the lock: it would install from it, too.
    lock = (sources / LOCK).rename(work / LOCK)
    _install(lock, sources / _VENDORED, processor)
    config = sources / ".chalice" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lambda_architecture": processor}))
    overlay.write_text(json.dumps(merge_template()))
    chalice_package(sources, result, "--stage", STAGE, "--merge-template", str(overlay))
    _make_light(result / "deployment.zip", work / "light")
    check_complete(result, work / "unpacked")
    return result


def _install(lock: Path, folder: Path, processor: str) -> None:
    """Installs what the lock names, as wheels for Lambda. A file whose hash isn't in the lock is refused.

    uv evaluates the lock's markers for that platform; pip would evaluate them for this machine.
    """
    how = ["--require-hashes", "--only-binary", ":all:", "--link-mode", "copy", "--quiet"]
    where = ["--python", sys.executable, "--python-platform", _PLATFORMS[processor], "--target", str(folder)]
    _run([sys.executable, "-m", "uv", "pip", "install", *how, *where, "--requirement", str(lock)], os.environ)
    # Programs for a terminal name this machine's Python, and records hold their hashes. Without both, the zip is the
    # same on all machines.
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for leftover in (*folder.glob("*.dist-info/RECORD"), folder / ".lock"):
        leftover.unlink(missing_ok=True)


def chalice_package(sources: Path, result: Path, *options: str) -> None:
    """Has Chalice package a project."""
    output = _run(
        [sys.executable, "-c", _CHALICE, "--project-dir", str(sources), "package", *options, str(result)],
        _environment(os.environ),
    )
    if "Could not install dependencies" in output:
        raise PackagingFailed(output)


def _make_light(archive: Path, unpacked: Path) -> None:
    """Makes functions start faster: adds bytecode, which wheels lack, and removes files that no function reads."""
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
    """Puts bytecode beside every module. Python loads it without comparing it with the module.

    Lambda can't keep bytecode that it compiles. A zip doesn't keep the times from which Python usually sees whether
    bytecode is up to date. The sources stay: tracebacks show them, and another Python than this one compiles them.
    """
    # Tracebacks name paths in Lambda, not on this machine.
    how = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _TASK_ROOT]
    # The order of a constant set depends on the hash seed. With a fixed seed the bytecode is always the same.
    _run([sys.executable, "-m", "compileall", *how, str(folder)], {"PYTHONHASHSEED": "0"})


def pack(folder: Path, archive: Path) -> None:
    """The same content is always the same archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(str(file.relative_to(folder)))
                entry.compress_type = zipfile.ZIP_DEFLATED
                # All users may read it: Lambda runs functions as another user than the one that unpacks the zip.
                entry.external_attr = 0o644 << 16
                packed.writestr(entry, file.read_bytes())


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment without AWS settings, since packaging makes no request to AWS."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("AWS_", "CALLPACER_"))}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | nowhere | {"AWS_DEFAULT_REGION": "us-east-1"}


def check_complete(result: Path, unpacked: Path) -> None:
    """Imports every function from the zip alone, and makes every client.

    Only the zip is on the path: this environment's packages would hide that one is missing. Extension modules for
    another processor can't be loaded here; their packages fall back to Python code.
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
    """Returns what the program printed to both outputs. Raises PackagingFailed with it if the program fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    output = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        raise PackagingFailed(output)
    return output


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
