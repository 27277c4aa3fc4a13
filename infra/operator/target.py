"""The deployment that a command works on: the local one that runs here, or one on AWS."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from chalicelib.storage.client import connect
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.deploy.session import aws_session
from infra.local.emulator import client
from infra.local.state import DEFAULT, StateDirectory


class Unusable(Exception):
    """The command can't be carried out; the message is for the user."""


@dataclass(frozen=True)
class Target:
    #: shown to the user
    name: str
    database: Database
    _deployment: Callable[[], str]

    @property
    def switch(self) -> Switch:
        """Raises Unusable if there is no such deployment."""
        return Switch(self.database, self._deployment())


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `find_target` reads."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--local",
        nargs="?",
        const=DEFAULT,
        type=Path,
        metavar="STATE",
        help=f"the local deployment that runs with this state directory ({DEFAULT})",
    )
    target.add_argument("--stage", help="the deployment on AWS (prod)")


def find_target(options: argparse.Namespace) -> Target:
    """The deployment that the options name; else the local one that runs here; else `prod` on AWS. Raises Unusable."""
    if options.stage is None:
        running = StateDirectory(options.local or DEFAULT).running()
        if running is not None:
            database = Database(running.tables, client("dynamodb", running.endpoint))
            return Target(running.tables, database, lambda: running.deployment)
        if options.local is not None:
            raise Unusable(f"No callpacer runs with {options.local}.")
    stack = f"callpacer-{options.stage or 'prod'}"
    try:
        return Target(stack, connect(stack, aws_session()), partial(deployment_of, stack))
    except NoRegionError:
        note = "" if options.stage else "No callpacer runs here, so this is about the one on AWS. "
        raise Unusable(f"{note}Name a region, such as AWS_REGION=us-east-1.") from None


def deployment_of(stack: str) -> str:
    """The id of the CloudFormation stack of this name. Raises Unusable."""
    try:
        cloudformation: Any = aws_session().create_client("cloudformation")
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise Unusable(f"{stack}: {error}") from error
    return str(found["StackId"])
