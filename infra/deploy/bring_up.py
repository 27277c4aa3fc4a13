"""Brings a deployment up, or up to date: package, stack, table protection, and the operator's switch."""

from collections.abc import Mapping
from datetime import UTC, datetime

from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.deploy.cloud import Cloud
from infra.deploy.cloudformation import deploy
from infra.deploy.package import build_for_aws
from infra.deploy.tables import declared_tables, name_of, protect
from infra.deploy.waiting import Waiting


def bring_up(cloud: Cloud, stage: str, parameters: Mapping[str, str], waiting: Waiting | None = None) -> str:
    """Deploy, and return what the operator needs to know: the endpoint, and whether the deployment is halted.

    A new deployment is switched on unless its tables already hold campaigns: then they come from a backup. Raises
    WrongPython, PackagingFailed, DeploymentFailed and the errors of botocore.
    """
    package, waiting = build_for_aws(), waiting or Waiting()
    outputs = deploy(package, f"callpacer-{stage}", {**parameters, "Stage": stage}, cloud, waiting)
    dynamodb = cloud.client("dynamodb")
    for properties in declared_tables().values():
        protect(dynamodb, name_of(properties, stage), waiting)
    database = Database(outputs["Tables"], dynamodb)
    switch = Switch(database, outputs["Deployment"])
    if not switch.is_set() and not any(database.campaigns.scan(limit=1)):
        switch.turn(on=True, now=datetime.now(UTC))
    halted = "" if switch.is_on() else _HALTED.format(stage=stage)
    return _DEPLOYED.format(stage=stage, endpoint=f"{outputs['EndpointURL']}api", **outputs) + halted


_DEPLOYED = """\
callpacer-{stage} is deployed.

  endpoint     {endpoint}
  dashboard    {DashboardURL}
  first token  .venv/bin/python -m infra.operator.tokens create --account NAME --stage {stage}
"""
_HALTED = """
It is halted: it makes no calls. Either its tables hold the campaigns of another deployment, or somebody has halted it.
Read «A restored backup» in docs/operations.md before you switch it on:

  .venv/bin/python -m infra.operator.halt off --stage {stage}
"""
