"""The package starts fast: nothing is compiled at a start, and no function imports another's modules."""

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
from infra.deploy.package import build, compile_all, pack

#: The modules that each function must not import. asyncio comes with aiohttp, and takes 15 ms by itself.
FORBIDDEN = {
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
#: the modules that no function imports
FORBIDDEN_TO_ALL = {"boto3", "moto", "ministack", "infra", "tests"}
#: the packages that the hello world takes from this environment, besides the module six
HELLO_PACKAGES = ("chalice", "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3")

EACH_FUNCTION = pytest.mark.parametrize(
    "function", [pytest.param(function, id=function.name) for function in FUNCTIONS]
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(build().archive, tmp_path_factory.mktemp("package"))


def after_import(unpacked: Path, function: Function, expression: str) -> set[str]:
    """Import the handler as Lambda does. Returns the value of the expression in that process, a list of names."""
    program = f"""
import json, os, sys
compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == "compile" else None)
sys.path.insert(0, {str(unpacked)!r})
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "callpacer"
import {function.handler.rpartition(".")[0]}
print(json.dumps(list({expression})))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, env={})
    assert (done.returncode, done.stderr) == (0, "")
    return set(json.loads(done.stdout))


def test_every_module_has_bytecode_that_python_does_not_check() -> None:
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
            # made from a hash that isn't checked
            assert int.from_bytes(head[4:8], "little") == 0b01, cached
            assert head[8:] == importlib.util.source_hash(archive.read(name)), cached


@EACH_FUNCTION
def test_nothing_is_compiled_at_a_start(unpacked: Path, function: Function) -> None:
    compiled = after_import(unpacked, function, "compiled")
    assert {name for name in compiled if name.startswith((str(unpacked), "/var/task"))} == set()


def test_a_module_without_bytecode_is_found_to_be_compiled(unpacked: Path, tmp_path: Path) -> None:
    """The control of the test above."""
    shutil.copytree(unpacked, tmp_path / "bare", ignore=shutil.ignore_patterns("pacer.*.pyc"))
    compiled = after_import(tmp_path / "bare", FUNCTIONS[1], "compiled")
    assert {
        str(tmp_path / "bare" / "chalicelib" / name) for name in ("calling/pacer.py", "functions/pacer.py")
    } <= compiled


@EACH_FUNCTION
def test_a_function_imports_no_module_of_another(unpacked: Path, function: Function) -> None:
    forbidden = FORBIDDEN[function.name] | FORBIDDEN_TO_ALL
    assert after_import(unpacked, function, "sys.modules") & forbidden == set()


def test_the_same_sources_make_the_same_archive(tmp_path: Path) -> None:
    """Their folder and their times make no difference."""
    archives = []
    for name in ("first", "second"):
        folder, archive = tmp_path / name, tmp_path / f"{name}.zip"
        shutil.copytree(package.ROOT / "chalicelib", folder, ignore=shutil.ignore_patterns("__pycache__"))
        compile_all(folder)
        pack(folder, archive)
        archives.append(archive.read_bytes())
    assert archives[0] == archives[1]


def origin_of(module: str) -> Path:
    """The file that the module is loaded from."""
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def test_the_api_answers_nearly_as_soon_as_a_hello_world(unpacked: Path, tmp_path: Path) -> None:
    """`make coldstart` measures more, and more exactly."""
    (tmp_path / "app.py").write_text(HELLO_APP)
    for name in HELLO_PACKAGES:
        (tmp_path / name).symlink_to(origin_of(name).parent)
    shutil.copy(origin_of("six"), tmp_path)
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
