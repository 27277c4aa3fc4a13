"""A customer of a local deployment, who uses curl and waits for results."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.tenant import Tenant


@dataclass
class Caller:
    #: of the API, with or without API Gateway
    url: str
    token: str
    #: where curl runs, and where it finds the files to upload
    directory: Path

    def curl(self, path: str, *arguments: str) -> Any:
        command = ["curl", "-sS", f"{self.url}{path}", "-H", f"Authorization: Bearer {self.token}", *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True, cwd=self.directory).stdout)

    def campaign(self, tenant: Tenant, numbers: str, per_minute: int) -> int:
        """Create a campaign that may call at any time. It isn't started."""
        (self.directory / "numbers.csv").write_bytes(numbers.encode())
        days = '["mon","tue","wed","thu","fri","sat","sun"]'
        self.curl("/schedules", "-F", f"days={days}", "-F", "nickname=daily")
        pace = ("-F", "period=1", "-F", f"amount_per_period={per_minute}", "-F", "time_between_periods=0")
        self.curl("/profiles", "-F", "nickname=steady", *pace)
        window = '[{"profile":"steady","start_time":"00:00","end_time":"24:00"}]'
        fields = {
            "start_date": "2026-01-01",
            "end_date": "2099-12-31",
            "schedule": "daily",
            "profiles": window,
            "start_url": tenant.start_url,
            "result_url": tenant.result_url,
            "phone_numbers": "@numbers.csv",
        }
        form = [part for name, value in fields.items() for part in ("-F", f"{name}={value}")]
        return int(self.curl("/campaigns", *form)["response"]["id"])

    def ask(self, action: str, campaign: int) -> None:
        assert self.curl(f"/campaigns/{action}", "-F", f"campaign_id={campaign}") == {"status": "success"}

    def show(self, campaign: int) -> Any:
        return self.curl(f"/campaigns/{campaign}")

    def calls(self, campaign: int) -> Any:
        return self.curl(f"/campaigns/{campaign}/calls")

    def run_to_the_end(self, campaign: int, patience: float, pause: float = 0.5) -> Any:
        """The campaign as the API shows it when it is completed."""
        wait(lambda: self.show(campaign)["status"] == "completed", patience, pause)
        return self.show(campaign)


def wait(until: Callable[[], bool], patience: float, pause: float = 0.5) -> None:
    """Check the condition each `pause` seconds. Fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not until():
        assert time.monotonic() < deadline, f"it takes longer than {patience:.0f} s"
        time.sleep(pause)


def messages_in(sqs: Any, queue_url: str) -> int:
    """How many messages are visible, delayed or in flight. `sqs` is a client."""
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
    found = answer["Attributes"].items()
    return sum(int(count) for name, count in found if name.startswith("ApproximateNumberOfMessages"))
