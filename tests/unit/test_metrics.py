"""Metrics as CloudWatch reads them out of the log."""

import json
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.keys import CampaignKey
from chalicelib.runtime.metrics import NAMED_AT_MOST, EmbeddedMetrics, Metric

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)


class Written(list[str]):
    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self]


def test_what_was_counted_and_measured_is_one_line() -> None:
    lines = Written()
    metrics = EmbeddedMetrics("callpacer-prod", lines.append)
    metrics.count(Metric.COMPLETED)
    metrics.count(Metric.COMPLETED, 2)
    for seconds in (0.1, 0.25):
        metrics.measure(Metric.PACE_LAG, seconds)
    metrics.flush(NOW)
    declared = [{"Name": "CallsCompleted", "Unit": "Count"}, {"Name": "PaceLag", "Unit": "Seconds"}]
    directive = {"Namespace": "callpacer", "Dimensions": [["Deployment"]], "Metrics": declared}
    assert lines.told == [
        {
            "_aws": {"Timestamp": 1767618000000, "CloudWatchMetrics": [directive]},
            "Deployment": "callpacer-prod",
            "CallsCompleted": 3,
            "PaceLag": [0.1, 0.25],
        }
    ]


def test_an_invocation_tells_only_its_own() -> None:
    lines = Written()
    metrics = EmbeddedMetrics("callpacer-prod", lines.append)
    metrics.count(Metric.TICKS)
    metrics.flush(NOW)
    metrics.flush(NOW)
    metrics.count(Metric.TICKS)
    metrics.flush(NOW)
    assert [line["Ticks"] for line in lines.told] == [1, 1]


def test_no_line_has_more_values_than_the_format_allows() -> None:
    lines = Written()
    metrics = EmbeddedMetrics("callpacer-prod", lines.append)
    metrics.count(Metric.COMPLETED, 250)
    for _ in range(250):
        metrics.measure(Metric.PACE_LAG, 0.5)
    metrics.flush(NOW)
    assert [len(line["PaceLag"]) for line in lines.told] == [100, 100, 50]
    assert [line.get("CallsCompleted") for line in lines.told] == [250, None, None]


def test_a_campaign_that_fails_is_counted_by_its_name_and_among_all() -> None:
    lines = Written()
    metrics = EmbeddedMetrics("callpacer-prod", lines.append)
    metrics.blame(CampaignKey("acme", 7))
    metrics.flush(NOW)
    metrics.flush(NOW)
    (line,) = lines.told
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Deployment"], ["Deployment", "Campaign"]]
    assert (line["Deployment"], line["Campaign"], line["CampaignsFailed"]) == ("callpacer-prod", "acme/7", 1)


def test_when_all_fail_a_few_are_named_and_all_are_counted() -> None:
    lines = Written()
    metrics = EmbeddedMetrics("callpacer-prod", lines.append)
    for campaign in range(200):
        metrics.blame(CampaignKey("acme", campaign))
    metrics.flush(NOW)
    assert sum("Campaign" in line for line in lines.told) == NAMED_AT_MOST
    assert sum(line["CampaignsFailed"] for line in lines.told) == 200
