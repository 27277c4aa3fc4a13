"""The functions, beyond what Chalice generates from app.py: environment, event sources, identities."""

from typing import Any

from infra.template.roles import identity

JSON = dict[str, Any]

#: what the names of all tables and queues begin with
PREFIX = {"Fn::Sub": "callpacer-${Stage}"}
# Why the functions have the times and sizes that stand in .chalice/config.json, where there is no room for reasons:
#
# API      29 s, as long as API Gateway waits. 1,769 MB are one whole processor: it is somebody who waits for answers.
# Pacer    60 s: then the next tick comes. One processor, since a minute's calls have to be out before they are due.
# Settler  60 s, likewise.
# Dialer   90 s: some seconds of waiting for the last call of a slice, and the gateway's deadline for it; claims are
#          waited for a little longer (CLAIM_HELD_FOR). It waits more than it works, and pays for waiting by its memory,
#          so 256 MB: with 512 `make cost` sees 60 calls a minute for half as much again, and calls 0.2 s less late.
#
# None has reserved concurrency, which would take from the account's; the queue's event source is limited instead.


def environment() -> JSON:
    """Every function's variables; chalicelib.runtime.settings reads them."""
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
    """A tick that fails isn't repeated: the next one comes in a minute, and takes up what it left."""
    return {
        "Properties": {
            **identity(function),
            "EventInvokeConfig": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        }
    }


def dialer() -> JSON:
    """The dialer's event source, pointed at the queue that this template makes."""
    return {
        "Properties": {
            **identity("Dialer"),
            "Events": {
                "DialerSqsEventSource": {
                    "Properties": {
                        # Chalice writes Fn::Sub too; another function would be merged beside it, not instead of it.
                        "Queue": {"Fn::Sub": "${CallQueue.Arn}"},
                        "FunctionResponseTypes": ["ReportBatchItemFailures"],
                        # One of the two: pollers that are kept ready have no other bound.
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
