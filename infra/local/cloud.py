"""The emulator as a `Cloud`, to which a package is deployed."""

from dataclasses import dataclass
from typing import Any

from infra.local.emulator import client


@dataclass(frozen=True)
class Emulated:
    endpoint: str
    bucket: str = "callpacer-packages"
    patience: float = 120.0

    def client(self, service: str) -> Any:
        return client(service, self.endpoint)

    def make_bucket(self) -> None:
        self.client("s3").create_bucket(Bucket=self.bucket)

    def url(self, key: str) -> str:
        return f"{self.endpoint}/{self.bucket}/{key}"
