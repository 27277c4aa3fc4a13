"""What is deployed, as far as the bill depends on it. It is read from the files that are deployed."""

import json
from dataclasses import dataclass
from typing import Self

from infra.deploy.package import AWS_PROCESSOR, ROOT, STAGE
from infra.template.template import merge_template


@dataclass(frozen=True)
class Deployment:
    #: the memory of each function, in MB
    memory: dict[str, int]
    #: arm64 or x86_64
    architecture: str
    #: the most invocations of the dialer at the same time
    dialers: int

    @classmethod
    def read(cls) -> Self:
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())
        functions = config["stages"][STAGE]["lambda_functions"]
        return cls(
            memory={name: int(function["lambda_memory_size"]) for name, function in functions.items()},
            architecture=AWS_PROCESSOR,
            dialers=int(merge_template()["Parameters"]["DialerConcurrency"]["Default"]),
        )
