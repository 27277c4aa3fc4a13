"""What the functions need beyond what Chalice generates from app.py: environment, event sources, names and roles."""

from infra.template import JSON
from infra.template.roles import identity

#: the prefix of all tables' and queues' names
PREFIX = {"Fn::Sub": "callpacer-${Stage}"}
# Why the functions have the timeouts and sizes in .chalice/config.json, where comments aren't possible:
#
# API      29 s, as long as API Gateway waits. 1,769 MB are one whole processor, since a client waits for the answer.
# Pacer    60 s: then the next tick comes. One processor, since a minute's calls have to be sent before they are due.
# Settler  60 s, likewise.
# Dialer   90 s: it waits some seconds for the last call of a slice, and for that call's deadline. A claim is held a
#          little longer (CLAIM_HELD_FOR). It waits more than it works, and its memory is billed while it waits, so it
#          has 256 MB: with 512, by `make cost`, 60 calls a minute cost half as much again, and are 0.2 s less late.
#
# None has reserved concurrency, which would reduce the account's. The queue's event source is limited instead.


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
    """A tick that fails isn't retried: the next one comes in a minute, and does what was left undone."""
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
            "Events": {
                "DialerSqsEventSource": {
                    "Properties": {
                        # Chalice writes Fn::Sub, too; another function would be merged beside it instead of over it.
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


def _if_pollers(properties: JSON) -> JSON:
    return {"Fn::If": ["HasPollers", properties, {"Ref": "AWS::NoValue"}]}


def _unless_pollers(properties: JSON) -> JSON:
    return {"Fn::If": ["HasPollers", {"Ref": "AWS::NoValue"}, properties]}
