"""What the functions need beyond what Chalice generates from app.py: environment, event sources, names and roles."""

from infra.template import JSON
from infra.template.rest_api import GATEWAY_STAGE
from infra.template.roles import identity

#: the prefix of all tables' and queues' names
PREFIX = {"Fn::Sub": "callpacer-${Stage}"}
# Why the functions have the timeouts and sizes in .chalice/config.json, where comments aren't possible:
#
# API      29 s, as long as API Gateway waits. 1,769 MB are one whole processor, since a client waits for the answer.
# Pacer    60 s, until the next tick. One processor, since a minute's calls have to be sent before they are due.
# Settler  60 s and one processor, likewise.
# Dialer   90 s: the last call of a slice is due some seconds later, and may take its whole deadline. The settler waits
#          longer than that for the outcome of a claim (CLAIM_HELD_FOR). 256 MB, because memory is billed while the
#          dialer waits, and it waits more than it works. By `make cost`, 512 MB would raise the cost of 60 calls a
#          minute by half, and make them 0.2 s less late.
#
# No function has reserved concurrency, which would reduce the account's. The dialer's event source has a limit instead.


def environment() -> JSON:
    """Every function's variables. `chalicelib.runtime.settings` reads them."""
    return {
        "CALLPACER_TABLES": PREFIX,
        "CALLPACER_DEPLOYMENT": {"Ref": "AWS::StackId"},
        "CALLPACER_QUEUE_URL": {"Ref": "CallQueue"},
        "CALLPACER_DEAD_LETTER_QUEUE_URL": {"Ref": "DeadLetterQueue"},
        "CALLPACER_DIALERS": {"Ref": "DialerConcurrency"},
        "CALLPACER_ALLOW_LOOPBACK": {"Ref": "AllowLoopback"},
        "CALLPACER_RETENTION_DAYS": {"Ref": "Retention"},
    }


def once_a_minute(function: str) -> JSON:
    """A tick that fails isn't retried: the next tick comes within a minute, and does the rest of the work."""
    return {
        "Properties": {
            **identity(function),
            "EventInvokeConfig": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        }
    }


def dialer() -> JSON:
    """The dialer's event source, with the queue that this template makes."""
    return {
        "Properties": {
            **identity("Dialer"),
            "Environment": {"Variables": {"CALLPACER_PUBLIC_URL": _public_url()}},
            "Events": {
                "DialerSqsEventSource": {
                    "Properties": {
                        # Fn::Sub, as Chalice writes it. Any other function would be added to Chalice's, not replace it.
                        "Queue": {"Fn::Sub": "${CallQueue.Arn}"},
                        "FunctionResponseTypes": ["ReportBatchItemFailures"],
                        # One of the two: the number of provisioned pollers is itself a limit.
                        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
                        "ScalingConfig": _unless_pollers({"MaximumConcurrency": {"Ref": "DialerConcurrency"}}),
                        "ProvisionedPollerConfig": _if_pollers(
                            {"MinimumPollers": {"Ref": "DialerPollers"}, "MaximumPollers": {"Ref": "DialerPollers"}}
                        ),
                    }
                }
            },
        }
    }


def _public_url() -> JSON:
    """Where the world reaches the API: the operator's own domain, or the stage of API Gateway."""
    own = {"Fn::Sub": "https://${RestAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}/" + GATEWAY_STAGE}
    return {"Fn::If": ["HasPublicUrl", {"Ref": "PublicUrl"}, own]}


def _if_pollers(properties: JSON) -> JSON:
    return {"Fn::If": ["HasPollers", properties, {"Ref": "AWS::NoValue"}]}


def _unless_pollers(properties: JSON) -> JSON:
    return {"Fn::If": ["HasPollers", {"Ref": "AWS::NoValue"}, properties]}
