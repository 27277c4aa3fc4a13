"""The queue between pacer and dialer, and the queue for messages that nobody can work on."""

from typing import Any

JSON = dict[str, Any]

_CALLS = "callpacer-${Stage}-calls"
# Composed from its name: two queues that refer to each other would be a circle.
_CALLS_ARN = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + _CALLS
#: seconds the dialer may take for one batch
DIALER_TIMEOUT = 90
#: seconds a message stays hidden while it is worked on: six times the dialer's timeout, as AWS advises
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUT = 6 * DIALER_TIMEOUT


def queues() -> JSON:
    return {
        "CallQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": {"Fn::Sub": _CALLS},
                "VisibilityTimeout": VISIBILITY_TIMEOUT,
                "SqsManagedSseEnabled": True,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
                    "maxReceiveCount": 5,
                },
            },
        },
        "DeadLetterQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": {"Fn::Sub": "callpacer-${Stage}-calls-dead"},
                # Fourteen days, the longest there is: somebody has to look at these.
                "MessageRetentionPeriod": 1_209_600,
                "SqsManagedSseEnabled": True,
                # Nobody else's messages end here.
                "RedriveAllowPolicy": {"redrivePermission": "byQueue", "sourceQueueArns": [{"Fn::Sub": _CALLS_ARN}]},
            },
        },
    }
