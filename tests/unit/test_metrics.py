"""Metrics as CloudWatch reads them from the log."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.keys import CampaignKey
from chalicelib.runtime.metrics import NAMED_AT_MOST, EmbeddedMetrics, Metric

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """The lines that `metrics` writes."""
    return []


@pytest.fixture
def metrics(lines: list[dict[str, Any]]) -> EmbeddedMetrics:
    return EmbeddedMetrics("callpacer-prod", lambda line: lines.append(json.loads(line)))


def test_counts_and_measurements_of_an_invocation_are_one_line(
    metrics: EmbeddedMetrics, lines: list[dict[str, Any]]
) -> None:
    metrics.count(Metric.COMPLETED)
    metrics.count(Metric.COMPLETED, 2)
    for seconds in (0.1, 0.25):
        metrics.measure(Metric.PACE_LAG, seconds)
    metrics.flush(NOW)
    declared = [{"Name": "CallsCompleted", "Unit": "Count"}, {"Name": "PaceLag", "Unit": "Seconds"}]
    directive = {"Namespace": "callpacer", "Dimensions": [["Deployment"]], "Metrics": declared}
    assert lines == [
        {
            "_aws": {"Timestamp": 1767618000000, "CloudWatchMetrics": [directive]},
            "Deployment": "callpacer-prod",
            "CallsCompleted": 3,
            "PaceLag": [0.1, 0.25],
        }
    ]


def test_an_invocation_writes_only_its_own_metrics(metrics: EmbeddedMetrics, lines: list[dict[str, Any]]) -> None:
    metrics.count(Metric.TICKS)
    metrics.flush(NOW)
    metrics.flush(NOW)
    metrics.count(Metric.TICKS)
    metrics.flush(NOW)
    assert [line["Ticks"] for line in lines] == [1, 1]


def test_a_line_has_at_most_the_hundred_values_that_the_format_allows(
    metrics: EmbeddedMetrics, lines: list[dict[str, Any]]
) -> None:
    metrics.count(Metric.COMPLETED, 250)
    for _ in range(250):
        metrics.measure(Metric.PACE_LAG, 0.5)
    metrics.flush(NOW)
    assert [len(line["PaceLag"]) for line in lines] == [100, 100, 50]
    assert [line.get("CallsCompleted") for line in lines] == [250, None, None]


def test_a_failed_campaign_is_counted_by_name_and_in_the_total(
    metrics: EmbeddedMetrics, lines: list[dict[str, Any]]
) -> None:
    metrics.blame(CampaignKey("acme", 7))
    metrics.flush(NOW)
    metrics.flush(NOW)
    (line,) = lines
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Deployment"], ["Deployment", "Campaign"]]
    assert (line["Deployment"], line["Campaign"], line["CampaignsFailed"]) == ("callpacer-prod", "acme/7", 1)


def test_of_many_failed_campaigns_a_few_are_named_and_all_are_counted(
    metrics: EmbeddedMetrics, lines: list[dict[str, Any]]
) -> None:
    for campaign in range(200):
        metrics.blame(CampaignKey("acme", campaign))
    metrics.flush(NOW)
    assert sum("Campaign" in line for line in lines) == NAMED_AT_MOST
    assert sum(line["CampaignsFailed"] for line in lines) == 200
