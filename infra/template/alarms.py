"""What wakes the operator; docs/operations.md says of each what it means and what to do."""

from typing import Any

from chalicelib.runtime.metrics import DIMENSION, NAMESPACE, Metric
from infra.template.roles import tables_asked

JSON = dict[str, Any]

#: the functions, by their logical names in the template
FUNCTIONS = ("APIHandler", "Pacer", "Dialer", "Settler")
#: the API's name in API Gateway, by which its metrics are found
API_NAME = "callpacer-${Stage}"
_DEPLOYMENT = {"Name": DIMENSION, "Value": {"Fn::Sub": "callpacer-${Stage}"}}
#: seconds: how old the oldest message may be; one that was sent for the end of the next minute is 75
_OLDEST_MESSAGE = 120
#: milliseconds that one answer of the API in a hundred may take. An upload of 100,000 numbers takes some seconds;
#: API Gateway waits for 29.
_LATENCY = 10_000
#: seconds that one call in a hundred may be late: later ones wait for another slot, unless their pace is slow
_LAG = 2
#: seconds that a tick may take; at 45 it begins nothing new, at 60 it is ended
_LONG_TICK = 30
#: Calls that go back into the queue in five minutes, from which on it matters that they are more than those that end.
_MANY_DEFERRED = 20


def alarms() -> JSON:
    """Each tells the topic in the parameter AlarmTopic, if one is named, when it begins and when it is over."""
    return {**_of_queues(), **_of_calls(), **_of_ticks(), **_of_api(), **_of_tables(), **_of_functions()}


def _of_queues() -> JSON:
    return {
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
    }


def _of_calls() -> JSON:
    ended = " + ".join(f"FILL({metric.name.lower()}, 0)" for metric in (Metric.COMPLETED, Metric.FAILED))
    return {
        "UncertainAlarm": _alarm(
            "uncertain",
            "Nobody can know whether some calls went out.",
            {**_own(Metric.UNCERTAIN), "Statistic": "Sum"},
        ),
        "LostAlarm": _alarm(
            "lost-messages",
            "Numbers were handed over and their messages never came.",
            {**_own(Metric.LOST), "Statistic": "Sum"},
        ),
        "LateCallsAlarm": _alarm(
            "late-calls",
            f"Of a hundred calls one is over {_LAG} seconds late.",
            {**_own(Metric.PACE_LAG), "ExtendedStatistic": "p99"},
            threshold=_LAG,
            minutes=5,
        ),
        "DeferredAlarm": _alarm(
            "deferred",
            "More calls go back into the queue than come to an end.",
            _computed(
                f"IF(deferred >= {_MANY_DEFERRED} AND deferred > {ended}, 1, 0)",
                {metric.name.lower(): _own(metric) for metric in (Metric.DEFERRED, Metric.COMPLETED, Metric.FAILED)},
                seconds=300,
            ),
            # of five minutes each
            minutes=3,
        ),
    }


def _of_ticks() -> JSON:
    found: JSON = {}
    for prefix, who, ticks, duration in (
        ("", "pacer", Metric.TICKS, Metric.TICK_DURATION),
        ("Settler", "settler", Metric.SETTLER_TICKS, Metric.SETTLER_TICK_DURATION),
    ):
        name = f"{prefix.lower()}-tick".removeprefix("-")
        found[f"No{prefix}TickAlarm"] = _alarm(
            f"no-{name}",
            f"The {who} has not come to the end of a tick for three minutes.",
            {**_own(ticks), "Statistic": "Sum"},
            comparison="LessThanThreshold",
            threshold=1,
            minutes=3,
            missing="breaching",
        )
        found[f"Long{prefix}TickAlarm"] = _alarm(
            f"long-{name}",
            f"A tick of the {who} has taken over {_LONG_TICK} seconds.",
            {**_own(duration), "Statistic": "Maximum"},
            threshold=_LONG_TICK,
        )
    found["OutOfTimeAlarm"] = _alarm(
        "out-of-time",
        "A tick had no time left for some campaigns.",
        {**_own(Metric.OUT_OF_TIME), "Statistic": "Sum"},
    )
    found["CampaignsFailedAlarm"] = _alarm(
        "failed-campaigns",
        "Some campaigns were not paced or not settled; the others were.",
        {**_own(Metric.CAMPAIGNS_FAILED), "Statistic": "Sum"},
    )
    return found


def _of_api() -> JSON:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"""
    return {
        "ApiFaultsAlarm": _alarm(
            "api-5xx",
            "The API has answered with a fault of its own.",
            {**_of_gateway("5XXError"), "Statistic": "Sum"},
        ),
        "ApiLatencyAlarm": _alarm(
            "api-latency",
            f"Of a hundred answers of the API one takes over {_LATENCY // 1000} seconds.",
            {**_of_gateway("Latency"), "ExtendedStatistic": "p99"},
            threshold=_LATENCY,
            minutes=5,
        ),
    }


def _of_tables() -> JSON:
    """A table billed by request is throttled too: beyond twice its highest traffic so far, and where keys are hot.

    Each table tells it of itself and each index of itself, and an alarm takes ten metrics at most.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html
    """
    found: JSON = {}
    for kind in ("Read", "Write"):
        throttled = {
            f"m{place}": _of_table(table, index, f"{kind}ThrottleEvents")
            for place, (table, index) in enumerate(tables_asked(kind == "Write"))
        }
        found[f"{kind}ThrottlesAlarm"] = _alarm(
            f"table-{kind.lower()}-throttles",
            f"DynamoDB has held back what {kind.lower()}s tables.",
            _computed("SUM(FILL(METRICS(), 0))", throttled, seconds=60),
            minutes=3,
        )
    return found


def _of_functions() -> JSON:
    found: JSON = {}
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
            # metrics that are computed have their periods each
            **({} if "Metrics" in metric else {"Period": 60}),
            "EvaluationPeriods": minutes,
            "ComparisonOperator": comparison,
            "Threshold": threshold,
            "TreatMissingData": missing,
            "AlarmActions": topic,
            "OKActions": topic,
        },
    }


def _computed(expression: str, metrics: dict[str, JSON], *, seconds: int) -> JSON:
    """From sums over so many seconds.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    taken = [
        {"Id": name, "MetricStat": {"Metric": metric, "Stat": "Sum", "Period": seconds}, "ReturnData": False}
        for name, metric in metrics.items()
    ]
    return {"Metrics": [*taken, {"Id": "computed", "Expression": expression, "ReturnData": True}]}


def _own(metric: Metric) -> JSON:
    return {"Namespace": NAMESPACE, "MetricName": str(metric), "Dimensions": [_DEPLOYMENT]}


def _of_queue(queue: str, metric: str) -> JSON:
    dimension = {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
    return {"Namespace": "AWS/SQS", "MetricName": metric, "Dimensions": [dimension]}


def _of_function(function: str, metric: str) -> JSON:
    dimension = {"Name": "FunctionName", "Value": {"Ref": function}}
    return {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [dimension]}


def _of_gateway(metric: str) -> JSON:
    dimension = {"Name": "ApiName", "Value": {"Fn::Sub": API_NAME}}
    return {"Namespace": "AWS/ApiGateway", "MetricName": metric, "Dimensions": [dimension]}


def _of_table(table: str, index: str | None, metric: str) -> JSON:
    dimensions: list[JSON] = [{"Name": "TableName", "Value": {"Ref": table}}]
    if index is not None:
        dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": index})
    return {"Namespace": "AWS/DynamoDB", "MetricName": metric, "Dimensions": dimensions}
