"""The parameters that the operator chooses for a deployment, and the conditions that depend on them."""

from chalicelib.domain.slicing import MOST_DIALS, MOST_SLOW_DIALS
from infra.template import JSON

#: How many dialers may run at the same time, if the operator doesn't say otherwise.
DEFAULT_DIALERS = 50
#: How many provisioned pollers a queue may have, and how many invocations each runs at the same time.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
MOST_POLLERS, DIALERS_PER_POLLER = 200, 10


def parameters() -> JSON:
    return {
        "Stage": {
            "Type": "String",
            "Default": "prod",
            "AllowedPattern": "[a-z][a-z0-9-]{0,31}",
            "Description": "Tells deployments in one AWS account apart; part of every table's and queue's name.",
        },
        "AllowLoopback": {
            "Type": "String",
            "Default": "false",
            "AllowedValues": ["true", "false"],
            "Description": "Whether start_url and result_url may name the machine itself. For local deployments only.",
        },
        "DialerConcurrency": {
            "Type": "Number",
            "Default": DEFAULT_DIALERS,
            "MinValue": 2,
            "MaxValue": DIALERS_PER_POLLER * MOST_POLLERS,
            "Description": f"How many slices go out at the same time, of {MOST_DIALS} to {MOST_SLOW_DIALS} calls.",
        },
        "DialerPollers": {
            "Type": "Number",
            "Default": 0,
            "MinValue": 0,
            "MaxValue": MOST_POLLERS,
            "Description": f"Pollers that are kept ready, each for {DIALERS_PER_POLLER} slices at a time. "
            "0: Lambda chooses.",
        },
        "PublicUrl": {
            "Type": "String",
            "Default": "",
            "AllowedPattern": "(https?://[^\\s/]+(/[^\\s/]+)*)?",
            "ConstraintDescription": "An address such as https://calls.example.com, without a slash at its end.",
            "Description": "Where the API is reached, for callbacks of providers. Empty: at API Gateway's own address.",
        },
        "AlarmTopic": {
            "Type": "String",
            "Default": "",
            "Description": "The ARN of the SNS topic to which alarms are sent. Empty: only the console shows them.",
        },
        "Retention": {
            "Type": "String",
            # A year and a month: long enough to compare a month with the same month of last year.
            "Default": "400",
            # At least thirty days: numbers are settled in minutes, reports end after a day, and a message that names
            # a number stays in the dead-letter queue for fourteen days.
            "AllowedPattern": "0|[3-9][0-9]|[1-9][0-9]{2,3}",
            "ConstraintDescription": "Days, from 30 to 9999, or 0.",
            "Description": "How many days the record of a call is kept after its outcome. 0: for ever.",
        },
        "TableKey": {
            "Type": "String",
            "Default": "owned",
            "AllowedValues": ["owned", "managed"],
            "Description": "Whose key encrypts the tables: AWS's own, or the account's in KMS, which is billed.",
        },
    }


def conditions() -> JSON:
    return {
        "HasAlarmTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]},
        "HasPublicUrl": {"Fn::Not": [{"Fn::Equals": [{"Ref": "PublicUrl"}, ""]}]},
        "HasPollers": {"Fn::Not": [{"Fn::Equals": [{"Ref": "DialerPollers"}, 0]}]},
        "HasManagedKey": {"Fn::Equals": [{"Ref": "TableKey"}, "managed"]},
    }
