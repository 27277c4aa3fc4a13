"""The package starts fast: nothing is compiled at a start, and no function imports what is another's."""

import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.coldstart import API, FUNCTIONS, HELLO, LIMIT, Function, by_turns, empty_database, start
from benchmarks.hello_world import HELLO_APP, unpack
from infra.deploy import package
from infra.deploy.package import PackagingFailed, build, compile_all, pack

#: What belongs to one function's start and not to another's. asyncio comes with aiohttp, and is 15 ms by itself.
STRANGERS = {
    "API": {
        "aiohttp",
        "asyncio",
        "chalicelib.calling.pacer",
        "chalicelib.calling.dialer",
        "chalicelib.calling.settler",
    },
    "pacer": {
        "aiohttp",
        "asyncio",
        "python_multipart",
        "chalicelib.api",
        "chalicelib.calling.dialer",
        "chalicelib.calling.settler",
    },
    "dialer": {"python_multipart", "chalicelib.api", "chalicelib.calling.pacer", "chalicelib.calling.settler"},
    "settler": {
        "aiohttp",
        "asyncio",
        "python_multipart",
        "chalicelib.api",
        "chalicelib.calling.pacer",
        "chalicelib.calling.dialer",
    },
}
#: no function's at all
NOBODYS = {"boto3", "moto", "ministack", "infra", "tests"}
#: what the hello world has from this environment, beside six, which is a module and no package
HELLO_PACKAGES = ("chalice", "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3")

EACH = pytest.mark.parametrize("function", [pytest.param(function, id=function.name) for function in FUNCTIONS])


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(build().archive, tmp_path_factory.mktemp("package"))


def imported(unpacked: Path, function: Function, then: str) -> set[str]:
    """Runs the handler's import as Lambda does, and answers the set of names that the program says at the end."""
    program = f"""
import json, os, sys
compiled = []
sys.addaudithook(lambda event, told: compiled.append(str(told[1])) if event == "compile" else None)
sys.path.insert(0, {str(unpacked)!r})
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "callpacer"
import {function.handler.rpartition(".")[0]}
print(json.dumps(list({then})))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, env={})
    assert (done.returncode, done.stderr) == (0, "")
    return set(json.loads(done.stdout))


def test_every_module_has_bytecode_that_is_never_compared_with_it() -> None:
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(build().archive) as archive:
        names = set(archive.namelist())
        modules = {name for name in names if name.endswith(".py")}
        assert {"app.py", "chalicelib/calling/pacer.py", "botocore/client.py", "aiohttp/client.py", "six.py"} <= modules
        for name in modules:
            folder, _, module = name.rpartition("/")
            cached = f"{folder}/__pycache__/{module[:-3]}.{tag}.pyc".lstrip("/")
            head = archive.read(cached)[:16]
            assert head[:4] == importlib.util.MAGIC_NUMBER, cached
            # made from a hash, which isn't looked at
            assert int.from_bytes(head[4:8], "little") == 0b01, cached
            assert head[8:] == importlib.util.source_hash(archive.read(name)), cached


@EACH
def test_nothing_is_compiled_at_a_start(unpacked: Path, function: Function) -> None:
    compiled = imported(unpacked, function, "compiled")
    assert {name for name in compiled if name.startswith((str(unpacked), "/var/task"))} == set()


def test_what_is_compiled_is_seen(unpacked: Path, tmp_path: Path) -> None:
    """The control of the one above."""
    shutil.copytree(unpacked, tmp_path / "bare", ignore=shutil.ignore_patterns("pacer.*.pyc"))
    compiled = imported(tmp_path / "bare", FUNCTIONS[1], "compiled")
    assert {str(tmp_path / "bare" / "chalicelib" / name) for name in ("pacer.py", "functions/pacer.py")} <= compiled


@EACH
def test_a_function_imports_nothing_that_is_anothers(unpacked: Path, function: Function) -> None:
    assert imported(unpacked, function, "sys.modules") & (STRANGERS[function.name] | NOBODYS) == set()


def test_a_zip_that_lacks_a_service_is_noticed(tmp_path: Path) -> None:
    made = build()
    shutil.copy(made.template, tmp_path / "sam.json")
    with zipfile.ZipFile(made.archive) as whole, zipfile.ZipFile(tmp_path / "deployment.zip", "w") as part:
        for name in whole.namelist():
            if not name.startswith("botocore/data/sqs/"):
                part.writestr(name, whole.read(name))
    with pytest.raises(PackagingFailed, match="Unknown service: 'sqs'"):
        package._check_complete(tmp_path, tmp_path / "unpacked")


def test_the_same_sources_make_the_same_archive(tmp_path: Path) -> None:
    """Wherever they lie, and whenever they were written."""
    archives = []
    for place in ("here", "there"):
        shutil.copytree(package.ROOT / "chalicelib", tmp_path / place, ignore=shutil.ignore_patterns("__pycache__"))
        compile_all(tmp_path / place)
        pack(tmp_path / place, tmp_path / f"{place}.zip")
        archives.append((tmp_path / f"{place}.zip").read_bytes())
    assert archives[0] == archives[1]


def test_the_api_answers_nearly_as_soon_as_a_hello_world(unpacked: Path, tmp_path: Path) -> None:
    """`make coldstart` measures more of it, and more exactly."""
    (tmp_path / "app.py").write_text(HELLO_APP)
    for name in HELLO_PACKAGES:
        origin = importlib.util.find_spec(name)
        assert origin is not None
        assert origin.origin is not None
        (tmp_path / name).symlink_to(Path(origin.origin).parent)
    six = importlib.util.find_spec("six")
    assert six is not None
    assert six.origin is not None
    shutil.copy(six.origin, tmp_path)
    compile_all(tmp_path)
    with empty_database() as endpoint:
        starts = by_turns(
            {
                "hello": lambda: start(tmp_path, HELLO, endpoint).answered,
                "API": lambda: start(unpacked, API, endpoint).answered,
            },
            rounds=5,
        )
    assert min(starts["API"]) <= LIMIT * min(starts["hello"])
