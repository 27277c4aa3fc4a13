"""One deployment, brought up or up to date: package, stack, protected tables, and the operator's switch."""

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
    """Deploys, protects the tables, and answers what whoever deployed wants to know. Raises what went wrong."""
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
    return _TOLD.format(stage=stage, endpoint=f"{outputs['EndpointURL']}api", **outputs) + halted


_TOLD = """\
callpacer-{stage} is deployed.

  endpoint     {endpoint}
  dashboard    {DashboardURL}
  first token  .venv/bin/python -m infra.operator.tokens create --account NAME --stage {stage}
"""
_HALTED = """
It is halted, and dials nobody: it found the campaigns of another deployment, or somebody has halted it. Read
docs/operations.md, «A restored backup», before you let it go on:

  .venv/bin/python -m infra.operator.halt off --stage {stage}
"""
