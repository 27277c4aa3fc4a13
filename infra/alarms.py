"""What wakes the operator; docs/operations.md says of each what it means and what to do."""

from typing import Any

from chalicelib.metrics import DIMENSION, NAMESPACE, Metric

JSON = dict[str, Any]

#: the functions, by their logical names in the template
FUNCTIONS = ("APIHandler", "Pacer", "Dialer", "Settler")
_DEPLOYMENT = {"Name": DIMENSION, "Value": {"Fn::Sub": "callpacer-${Stage}"}}
#: seconds: how old the oldest message may be; one that was sent for the end of the next minute is 75
_OLDEST_MESSAGE = 120


def alarms() -> JSON:
    """Each tells the topic in the parameter AlarmTopic, if one is named, when it begins and when it is over."""
    found = {
        "DeadLettersAlarm": _alarm(
            "dead-letters",
            "Messages that nobody could deal with lie in the dead-letter queue.",
            {**_of_queue("DeadLetterQueue", "ApproximateNumberOfMessagesVisible"), "Statistic": "Maximum"},
        ),
        "OldestMessageAlarm": _alarm(
            "oldest-message",
            f"Calls wait in the queue for over {_OLDEST_MESSAGE} seconds.",
            {**_of_queue("CallQueue", "ApproximateAgeOfOldestMessage"), "Statistic": "Maximum"},
            threshold=_OLDEST_MESSAGE,
            # A message that came to nothing is hidden for nine minutes; a queue that is stuck stays stuck.
            minutes=3,
        ),
        "NoTickAlarm": _alarm(
            "no-tick",
            "The pacer has not come to the end of a tick for three minutes.",
            {**_own(Metric.TICKS), "Statistic": "Sum"},
            comparison="LessThanThreshold",
            threshold=1,
            minutes=3,
            missing="breaching",
        ),
        "UncertainAlarm": _alarm(
            "uncertain",
            "Nobody can know whether some calls went out.",
            {**_own(Metric.UNCERTAIN), "Statistic": "Sum"},
        ),
    }
    for function in FUNCTIONS:
        name = function.lower()
        found[f"{function}ErrorsAlarm"] = _alarm(
            f"{name}-errors",
            f"{function} has failed.",
            {**_of_function(function, "Errors"), "Statistic": "Sum"},
        )
        found[f"{function}ThrottlesAlarm"] = _alarm(
            f"{name}-throttles",
            f"AWS has held {function} back: the account's concurrency is used up.",
            {**_of_function(function, "Throttles"), "Statistic": "Sum"},
        )
    return found


def _alarm(
    name: str,
    meaning: str,
    metric: JSON,
    *,
    comparison: str = "GreaterThanThreshold",
    threshold: int = 0,
    minutes: int = 1,
    missing: str = "notBreaching",
) -> JSON:
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"callpacer-${{Stage}}-{name}"},
            "AlarmDescription": meaning,
            **metric,
            "Period": 60,
            "EvaluationPeriods": minutes,
            "ComparisonOperator": comparison,
            "Threshold": threshold,
            "TreatMissingData": missing,
            "AlarmActions": topic,
            "OKActions": topic,
        },
    }


def _own(metric: Metric) -> JSON:
    return {"Namespace": NAMESPACE, "MetricName": str(metric), "Dimensions": [_DEPLOYMENT]}


def _of_queue(queue: str, metric: str) -> JSON:
    dimension = {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
    return {"Namespace": "AWS/SQS", "MetricName": metric, "Dimensions": [dimension]}


def _of_function(function: str, metric: str) -> JSON:
    dimension = {"Name": "FunctionName", "Value": {"Ref": function}}
    return {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [dimension]}
