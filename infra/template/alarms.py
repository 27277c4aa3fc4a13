"""The CloudWatch alarms. docs/operations.md explains each of them, and what to do."""

from chalicelib.runtime.metrics import DIMENSION, NAMESPACE, Metric
from infra.template import JSON
from infra.template.roles import tables_used

#: the functions, by their logical names in the template
FUNCTIONS = ("APIHandler", "Pacer", "Dialer", "Settler")
#: the API's name in API Gateway, by which its metrics are found
API_NAME = "callpacer-${Stage}"
_DEPLOYMENT = {"Name": DIMENSION, "Value": {"Fn::Sub": "callpacer-${Stage}"}}
#: How many seconds old the oldest message may be. A message waits up to 75 seconds for its calls, the pacer's horizon.
_OLDEST_MESSAGE = 120
#: milliseconds that one answer of the API in a hundred may take. An upload of 100,000 numbers takes some seconds;
#: API Gateway waits for 29.
_LATENCY = 10_000
#: How many seconds late one call in a hundred may be. Except at a slow pace, a call that is over two seconds late isn't
#: made, so it isn't part of the metric.
_LAG = 1
#: How many seconds a tick may take. After 45 it starts nothing new, after 60 the function times out.
_LONG_TICK = 30
#: How many calls have to be deferred in five minutes for the alarm. Fewer don't matter, even if fewer still have ended.
_MANY_DEFERRED = 20


def alarms() -> JSON:
    """Each alarm notifies the topic in the parameter AlarmTopic, if there is one, when it begins and when it ends."""
    return {
        **_queue_alarms(),
        **_call_alarms(),
        **_tick_alarms(),
        **_api_alarms(),
        **_table_alarms(),
        **_function_alarms(),
    }


def _queue_alarms() -> JSON:
    return {
        "DeadLettersAlarm": _alarm(
            "dead-letters",
            "The dead-letter queue holds messages that failed, or can't be read.",
            {**_queue_metric("DeadLetterQueue", "ApproximateNumberOfMessagesVisible"), "Statistic": "Maximum"},
        ),
        "OldestMessageAlarm": _alarm(
            "oldest-message",
            f"Slices wait in the queue for over {_OLDEST_MESSAGE} seconds.",
            {**_queue_metric("CallQueue", "ApproximateAgeOfOldestMessage"), "Statistic": "Maximum"},
            threshold=_OLDEST_MESSAGE,
            # A message whose invocation failed is hidden for nine minutes. After that its age is high for a moment.
            minutes=3,
        ),
    }


def _call_alarms() -> JSON:
    ended = " + ".join(f"FILL({metric.name.lower()}, 0)" for metric in (Metric.COMPLETED, Metric.FAILED))
    return {
        "UncertainAlarm": _alarm(
            "uncertain",
            "Nobody can know whether some calls went out.",
            {**_own_metric(Metric.UNCERTAIN), "Statistic": "Sum"},
        ),
        "LostAlarm": _alarm(
            "lost-messages",
            "Numbers were dispatched, and no dialer claimed them.",
            {**_own_metric(Metric.LOST), "Statistic": "Sum"},
        ),
        "LateCallsAlarm": _alarm(
            "late-calls",
            f"One call in a hundred is over {_LAG} second late.",
            {**_own_metric(Metric.PACE_LAG), "ExtendedStatistic": "p99"},
            threshold=_LAG,
            minutes=5,
        ),
        "DialersAlarm": _alarm(
            "too-few-dialers",
            "The calls that are due need more dialers than there are.",
            # Several invocations of the pacer may measure a part each.
            {**_own_metric(Metric.DIALERS_NEEDED), "Statistic": "Sum"},
            threshold={"Ref": "DialerConcurrency"},
            minutes=5,
        ),
        "DeferredAlarm": _alarm(
            "deferred",
            "More calls are deferred than completed or failed.",
            _metric_math(
                f"IF(deferred >= {_MANY_DEFERRED} AND deferred > {ended}, 1, 0)",
                {
                    metric.name.lower(): _own_metric(metric)
                    for metric in (Metric.DEFERRED, Metric.COMPLETED, Metric.FAILED)
                },
                seconds=300,
            ),
            # of five minutes each
            minutes=3,
        ),
    }


def _tick_alarms() -> JSON:
    found: JSON = {}
    for prefix, function, ticks, duration in (
        ("", "pacer", Metric.TICKS, Metric.TICK_DURATION),
        ("Settler", "settler", Metric.SETTLER_TICKS, Metric.SETTLER_TICK_DURATION),
    ):
        name = f"{prefix.lower()}-tick".removeprefix("-")
        found[f"No{prefix}TickAlarm"] = _alarm(
            f"no-{name}",
            f"The {function} has not completed a tick for three minutes.",
            {**_own_metric(ticks), "Statistic": "Sum"},
            comparison="LessThanThreshold",
            threshold=1,
            minutes=3,
            missing="breaching",
        )
        found[f"Long{prefix}TickAlarm"] = _alarm(
            f"long-{name}",
            f"A tick of the {function} has taken over {_LONG_TICK} seconds.",
            {**_own_metric(duration), "Statistic": "Maximum"},
            threshold=_LONG_TICK,
        )
    found["OutOfTimeAlarm"] = _alarm(
        "out-of-time",
        "A tick had no time left for some campaigns.",
        {**_own_metric(Metric.OUT_OF_TIME), "Statistic": "Sum"},
    )
    found["CampaignsFailedAlarm"] = _alarm(
        "failed-campaigns",
        "Some campaigns were not paced or not settled; the others were.",
        {**_own_metric(Metric.CAMPAIGNS_FAILED), "Statistic": "Sum"},
    )
    return found


def _api_alarms() -> JSON:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"""
    return {
        "ApiFaultsAlarm": _alarm(
            "api-5xx",
            "The API has answered with a fault of its own.",
            {**_api_metric("5XXError"), "Statistic": "Sum"},
        ),
        "ApiLatencyAlarm": _alarm(
            "api-latency",
            f"One answer of the API in a hundred takes over {_LATENCY // 1000} seconds.",
            {**_api_metric("Latency"), "ExtendedStatistic": "p99"},
            threshold=_LATENCY,
            minutes=5,
        ),
    }


def _table_alarms() -> JSON:
    """A table billed by request is throttled, too: beyond twice its highest traffic so far, and at hot keys.

    Each table and each index has a metric of its own, and an alarm takes at most ten.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html
    """
    found: JSON = {}
    for kind in ("Read", "Write"):
        throttled = {
            f"m{index}": _table_metric(table, secondary_index, f"{kind}ThrottleEvents")
            for index, (table, secondary_index) in enumerate(tables_used(kind == "Write"))
        }
        found[f"{kind}ThrottlesAlarm"] = _alarm(
            f"table-{kind.lower()}-throttles",
            f"DynamoDB has throttled {kind.lower()}s.",
            _metric_math("SUM(FILL(METRICS(), 0))", throttled, seconds=60),
            minutes=3,
        )
    return found


def _function_alarms() -> JSON:
    found: JSON = {}
    for function in FUNCTIONS:
        name = function.lower()
        found[f"{function}ErrorsAlarm"] = _alarm(
            f"{name}-errors",
            f"An invocation of {function} has failed.",
            {**_function_metric(function, "Errors"), "Statistic": "Sum"},
        )
        found[f"{function}ThrottlesAlarm"] = _alarm(
            f"{name}-throttles",
            f"AWS has throttled {function}: the account's concurrency is used up.",
            {**_function_metric(function, "Throttles"), "Statistic": "Sum"},
        )
    return found


def _alarm(
    name: str,
    description: str,
    metric: JSON,
    *,
    comparison: str = "GreaterThanThreshold",
    threshold: int | JSON = 0,
    minutes: int = 1,
    missing: str = "notBreaching",
) -> JSON:
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"callpacer-${{Stage}}-{name}"},
            "AlarmDescription": description,
            **metric,
            # in metric math each metric has a period of its own
            **({} if "Metrics" in metric else {"Period": 60}),
            "EvaluationPeriods": minutes,
            "ComparisonOperator": comparison,
            "Threshold": threshold,
            "TreatMissingData": missing,
            "AlarmActions": topic,
            "OKActions": topic,
        },
    }


def _metric_math(expression: str, metrics: dict[str, JSON], *, seconds: int) -> JSON:
    """An expression over the metrics' sums in so many seconds.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    sums = [
        {"Id": name, "MetricStat": {"Metric": metric, "Stat": "Sum", "Period": seconds}, "ReturnData": False}
        for name, metric in metrics.items()
    ]
    return {"Metrics": [*sums, {"Id": "computed", "Expression": expression, "ReturnData": True}]}


def _own_metric(metric: Metric) -> JSON:
    return {"Namespace": NAMESPACE, "MetricName": str(metric), "Dimensions": [_DEPLOYMENT]}


def _queue_metric(queue: str, metric: str) -> JSON:
    dimension = {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
    return {"Namespace": "AWS/SQS", "MetricName": metric, "Dimensions": [dimension]}


def _function_metric(function: str, metric: str) -> JSON:
    dimension = {"Name": "FunctionName", "Value": {"Ref": function}}
    return {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [dimension]}


def _api_metric(metric: str) -> JSON:
    dimension = {"Name": "ApiName", "Value": {"Fn::Sub": API_NAME}}
    return {"Namespace": "AWS/ApiGateway", "MetricName": metric, "Dimensions": [dimension]}


def _table_metric(table: str, index: str | None, metric: str) -> JSON:
    dimensions: list[JSON] = [{"Name": "TableName", "Value": {"Ref": table}}]
    if index is not None:
        dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": index})
    return {"Namespace": "AWS/DynamoDB", "MetricName": metric, "Dimensions": dimensions}
