"""A bare Chalice and boto3 hello world, which the functions' starts are compared with."""

import json
import shutil
import zipfile
from pathlib import Path

from infra.deploy.package import chalice_package, compile_all, pack

#: like callpacer's API it has its client made by the first request, and asks the database once
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
#: the same with bytecode, which all others are compared with
COMPILED = "hello world, with bytecode"
#: with bytecode, and the boto3 that is there already: the emulator has nothing to unpack then, which it does anew for
#: each process, and not as fast as Lambda
BARE = "the same, boto3 not packed"


def package_hello(work: Path) -> dict[str, Path]:
    """Its zips by their names: made by Chalice as anybody's would be, and what can be made of that."""
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
