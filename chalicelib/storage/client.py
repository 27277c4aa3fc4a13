"""The DynamoDB client of the deployed functions, and of the operator's programs."""

from typing import TYPE_CHECKING, cast

from chalicelib.storage.database import Database

if TYPE_CHECKING:
    from botocore.session import Session

    from chalicelib.storage.database import DynamoDB


def connect(prefix: str, session: "Session | None" = None) -> Database:
    """The tables whose names begin with `prefix`, in the account, region and endpoint that the environment names.

    botocore retries requests by itself. A repeated transaction is recognised by its client token, and a repeated
    conditional write by its nonce. A caller that has other clients, too, gives the session that they share.
    """
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(
        connect_timeout=2,
        read_timeout=8,
        max_pool_connections=32,
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": 4},
    )
    return Database(prefix, cast("DynamoDB", (session or get_session()).create_client("dynamodb", config=config)))
