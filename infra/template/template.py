"""The template that is merged over the one that Chalice generates from app.py.

A dictionary is merged key by key. Anything else replaces what Chalice wrote.
"""

from infra.template import JSON
from infra.template.alarms import alarms
from infra.template.dashboard import dashboard
from infra.template.functions import PREFIX, dialer, environment, once_a_minute
from infra.template.parameters import conditions, parameters
from infra.template.queues import queues
from infra.template.rest_api import rest_api
from infra.template.roles import identity, roles
from infra.template.tables import tables

_CONSOLE = "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home"


def merge_template() -> JSON:
    return {
        "Parameters": parameters(),
        "Conditions": conditions(),
        "Globals": {"Function": {"Environment": {"Variables": environment()}}},
        "Resources": {
            **tables(),
            **queues(),
            "APIHandler": {"Properties": identity("APIHandler")},
            "Dialer": dialer(),
            # The dialer is updated first, so that it can read the messages of the new pacer and the new settler.
            "Pacer": {**once_a_minute("Pacer"), "DependsOn": ["Dialer"]},
            "Settler": {**once_a_minute("Settler"), "DependsOn": ["Dialer"]},
            **roles(),
            "RestAPI": rest_api(),
            **alarms(),
            "Dashboard": dashboard(),
        },
        "Outputs": {
            "Tables": {"Value": PREFIX},
            "Deployment": {"Value": {"Ref": "AWS::StackId"}},
            "QueueUrl": {"Value": {"Ref": "CallQueue"}},
            "DeadLetterQueueUrl": {"Value": {"Ref": "DeadLetterQueue"}},
            "Dialers": {"Value": {"Ref": "DialerConcurrency"}},
            "DashboardURL": {"Value": {"Fn::Sub": f"{_CONSOLE}#dashboards/dashboard/${{Dashboard}}"}},
        },
    }
