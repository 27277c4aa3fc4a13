"""What is deployed, as far as it bears on the bill: read from where deploying reads it."""

import json
from dataclasses import dataclass
from typing import Self

from chalice.app import SQSEventConfig

from app import app
from infra.package import AWS_PROCESSOR, ROOT, STAGE


@dataclass(frozen=True)
class Deployment:
    #: MB of each function
    memory: dict[str, int]
    #: arm64 or x86_64
    architecture: str
    #: messages in an invocation of the dialer, at most
    batch: int
    #: seconds that messages are gathered for at most
    window: int

    @classmethod
    def read(cls) -> Self:
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())
        functions = config["stages"][STAGE]["lambda_functions"]
        (queue,) = (one for one in app.event_sources if isinstance(one, SQSEventConfig))
        return cls(
            memory={name: int(function["lambda_memory_size"]) for name, function in functions.items()},
            architecture=AWS_PROCESSOR,
            batch=queue.batch_size,
            window=queue.maximum_batching_window_in_seconds,
        )
