"""The CloudWatch dashboard: one page with the alarms and the metrics."""

import json
from collections.abc import Sequence
from typing import Any

from chalicelib.runtime.metrics import CAMPAIGN, DIMENSION, NAMESPACE, Metric
from infra.template import JSON
from infra.template.alarms import API_NAME, FUNCTIONS, alarms
from infra.template.roles import tables_used

_DEPLOYMENT = (DIMENSION, "callpacer-${Stage}")
#: a third of the page's width, in its units
_WIDTH, _HEIGHT = 8, 6
_COLUMNS = 3


def dashboard() -> JSON:
    widgets = [
        _own("Calls by outcome", "Sum", Metric.COMPLETED, Metric.FAILED, Metric.UNCERTAIN, Metric.DEFERRED),
        _own("How late calls go out, in seconds", "p99", Metric.PACE_LAG),
        _graph(
            "Age of the oldest message, in seconds", "Maximum", [_queue("CallQueue", "ApproximateAgeOfOldestMessage")]
        ),
        _own("Reports", "Sum", Metric.REPORTS_DELIVERED, Metric.REPORTS_FAILED, Metric.REPORTS_PENDING),
        _own("Numbers that wait, and lost messages", "Sum", Metric.NUMBERS_WAITING, Metric.LOST),
        _own("How long ticks take, in seconds", "Maximum", Metric.TICK_DURATION, Metric.SETTLER_TICK_DURATION),
        _own(
            "Ticks, and what they left out",
            "Sum",
            Metric.TICKS,
            Metric.SETTLER_TICKS,
            Metric.OUT_OF_TIME,
            Metric.CAMPAIGNS_FAILED,
        ),
        _failing_campaigns(),
        _own("Dialers that the calls which are due need", "Sum", Metric.DIALERS_NEEDED),
        _graph("Errors", "Sum", [_function(function, "Errors") for function in FUNCTIONS]),
        _graph("Throttles", "Sum", [_function(function, "Throttles") for function in FUNCTIONS]),
        _graph("Reads that DynamoDB held back", "Sum", _throttles(to_write=False)),
        _graph("Writes that DynamoDB held back", "Sum", _throttles(to_write=True)),
        _graph(
            "Requests and faults of the API", "Sum", [_gateway("Count"), _gateway("4XXError"), _gateway("5XXError")]
        ),
        _graph("How long the API takes, in milliseconds", "p99", [_gateway("Latency")]),
        _graph("Dead letters", "Maximum", [_queue("DeadLetterQueue", "ApproximateNumberOfMessagesVisible")]),
    ]
    for index, widget in enumerate(widgets):
        widget |= {"x": index % _COLUMNS * _WIDTH, "y": index // _COLUMNS * _HEIGHT + 2}
    body = {"widgets": [_alarms(), *widgets]}
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": {"Fn::Sub": "callpacer-${Stage}"},
            "DashboardBody": {"Fn::Sub": json.dumps(body)},
        },
    }


def _alarms() -> JSON:
    arns = [f"${{{name}.Arn}}" for name in alarms()]
    return {
        "type": "alarm",
        "x": 0,
        "y": 0,
        "width": _COLUMNS * _WIDTH,
        "height": 2,
        "properties": {"title": "Alarms", "alarms": arns},
    }


def _own(title: str, statistic: str, *metrics: Metric) -> JSON:
    return _graph(title, statistic, [[NAMESPACE, str(metric), *_DEPLOYMENT] for metric in metrics])


def _queue(queue: str, metric: str) -> list[str]:
    return ["AWS/SQS", metric, "QueueName", f"${{{queue}.QueueName}}"]


def _function(function: str, metric: str) -> list[str]:
    return ["AWS/Lambda", metric, "FunctionName", f"${{{function}}}"]


def _gateway(metric: str) -> list[str]:
    return ["AWS/ApiGateway", metric, "ApiName", API_NAME]


def _throttles(*, to_write: bool) -> list[list[str]]:
    metric = "WriteThrottleEvents" if to_write else "ReadThrottleEvents"
    return [
        ["AWS/DynamoDB", metric, "TableName", f"${{{table}}}", *(["GlobalSecondaryIndexName", index] if index else [])]
        for table, index in tables_used(to_write)
    ]


def _failing_campaigns() -> JSON:
    """A search, since the names of campaigns that will fail aren't known when the dashboard is made.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-search-expressions.html
    """
    metrics = f'{{{NAMESPACE},{DIMENSION},{CAMPAIGN}}} {DIMENSION}="{_DEPLOYMENT[1]}" {Metric.CAMPAIGNS_FAILED}'
    search = [{"expression": f"SEARCH('{metrics}', 'Sum', 60)"}]
    return _graph("Campaigns that fail", "Sum", [search])


def _graph(title: str, statistic: str, metrics: Sequence[Sequence[Any]]) -> JSON:
    return {
        "type": "metric",
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": title,
            "region": "${AWS::Region}",
            "stat": statistic,
            "period": 60,
            "metrics": metrics,
        },
    }
