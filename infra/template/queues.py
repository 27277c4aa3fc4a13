"""The queue between pacer and dialer, and the dead-letter queue for messages that fail."""

from infra.template import JSON

_CALLS = "callpacer-${Stage}-calls"
# Composed from its name: if both queues referred to each other, CloudFormation could make neither first.
_CALLS_ARN = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + _CALLS
#: seconds the dialer may take for one slice
DIALER_TIMEOUT = 90
#: seconds for which a message is hidden while it is worked on: six times the dialer's timeout, as AWS advises
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
                # Fourteen days, the longest possible: the operator has to read these messages.
                "MessageRetentionPeriod": 1_209_600,
                "SqsManagedSseEnabled": True,
                # No other queue may move messages here.
                "RedriveAllowPolicy": {"redrivePermission": "byQueue", "sourceQueueArns": [{"Fn::Sub": _CALLS_ARN}]},
            },
        },
    }
