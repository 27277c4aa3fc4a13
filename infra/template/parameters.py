"""What the operator chooses for one deployment, and the conditions that follow from it."""

from typing import Any

from chalicelib.domain.slicing import MOST_DIALS, MOST_SLOW_DIALS

JSON = dict[str, Any]


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
            "Description": "May start_url and result_url name the machine itself? Only ever on a laptop.",
        },
        "DialerConcurrency": {
            "Type": "Number",
            "Default": 50,
            "MinValue": 2,
            "MaxValue": 2000,
            "Description": f"How many slices go out at the same time, of {MOST_DIALS} to {MOST_SLOW_DIALS} calls.",
        },
        "DialerPollers": {
            "Type": "Number",
            "Default": 0,
            "MinValue": 0,
            "MaxValue": 200,
            "Description": "Pollers that are kept ready, each for ten slices at a time; 0: as Lambda sees fit.",
        },
        "AlarmTopic": {
            "Type": "String",
            "Default": "",
            "Description": "The ARN of the SNS topic that alarms are told to; empty: the console alone shows them.",
        },
        "Retention": {
            "Type": "String",
            # A year and a month: long enough to compare a month with the same month of last year.
            "Default": "400",
            # Not fewer than thirty days: numbers are settled in minutes, reports end after a day, and the last
            # message that may name a number lies in the dead-letter queue for fourteen days.
            "AllowedPattern": "0|[3-9][0-9]|[1-9][0-9]{2,3}",
            "ConstraintDescription": "Days, from 30 to 9999, or 0.",
            "Description": "How many days what became of each number is kept after its outcome; 0: for ever.",
        },
        "TableKey": {
            "Type": "String",
            "Default": "owned",
            "AllowedValues": ["owned", "managed"],
            "Description": "Whose key encrypts the tables: one of AWS's own, or the account's in KMS, which costs.",
        },
    }


def conditions() -> JSON:
    return {
        "HasAlarmTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]},
        "HasPollers": {"Fn::Not": [{"Fn::Equals": [{"Ref": "DialerPollers"}, 0]}]},
        "HasManagedKey": {"Fn::Equals": [{"Ref": "TableKey"}, "managed"]},
    }
