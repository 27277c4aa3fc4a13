"""A hello world of Chalice and boto3, with which the starts of the functions are compared."""

import json
import shutil
import zipfile
from pathlib import Path

from infra.deploy.package import chalice_package, compile_all, pack

#: like callpacer's API, it creates its client in the first request, and sends one request to the database
HELLO_APP = """
import os

import boto3
from chalice import Chalice

app = Chalice(app_name="hello")


@app.route("/")
def index():
    boto3.client("dynamodb").get_item(TableName=os.environ["HELLO_TABLE"], Key={"digest": {"S": "nobody"}})
    return {"hello": "world"}
"""
_HELLO_CONFIG = {"version": "2.0", "app_name": "hello", "stages": {"dev": {}}}
#: as Chalice packages it, boto3 included
PACKED = "hello world, as Chalice packages it"
#: the same with bytecode: all others are compared with it
COMPILED = "hello world, with bytecode"
#: with bytecode, and with the boto3 that is installed already: then the emulator has nothing to unpack. It unpacks anew
#: for each process, and slower than Lambda.
BARE = "the same, boto3 not packed"


def package_hello(work: Path) -> dict[str, Path]:
    """The zips by name: PACKED as Chalice makes it, and COMPILED and BARE made from that."""
    project, result = work / "project", work / "package"
    (project / ".chalice").mkdir(parents=True)
    (project / "app.py").write_text(HELLO_APP)
    (project / "requirements.txt").write_text("boto3\n")
    (project / ".chalice" / "config.json").write_text(json.dumps(_HELLO_CONFIG))
    chalice_package(project, result)
    made = {PACKED: result / "deployment.zip", COMPILED: work / "compiled.zip", BARE: work / "bare.zip"}
    unpacked = unpack(made[PACKED], work / "unpacked")
    compile_all(unpacked)
    pack(unpacked, made[COMPILED])
    for part in unpacked.iterdir():
        if part.is_dir() and part.name not in ("chalice", "__pycache__"):
            shutil.rmtree(part)
    pack(unpacked, made[BARE])
    return made


def unpack(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder
