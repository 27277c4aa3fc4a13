"""The errors with which callpacer refuses something, as one tree.

An error carries facts. Only the API has the sentences and the HTTP statuses of its answers (`chalicelib.api.envelope`,
`chalicelib.api.wording`).
"""

from collections.abc import Iterable, Sequence


class CallpacerError(Exception):
    """The root of the tree."""


class MissingSettings(CallpacerError):
    """The environment lacks variables that this function needs."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("missing environment variables: " + ", ".join(names))
        self.names = tuple(names)


class NicknameTaken(CallpacerError):
    """Another schedule, or another profile, of the account has this nickname."""


class ReferenceGone(CallpacerError):
    """A campaign's schedule or profile was deleted while the campaign was created or changed."""

    def __init__(self, fields: Iterable[str]) -> None:
        #: `schedule`, `profiles`, or both, in alphabetical order
        self.fields = tuple(sorted(fields))
        super().__init__(f"{', '.join(self.fields)} refer to something deleted")


class NotAuthenticated(CallpacerError):
    """The request has no bearer token, or an unknown one."""


class NotFound(CallpacerError):
    """The account has nothing of this kind with this id or nickname. Another account may have it."""

    def __init__(self, kind: str, identifier: object) -> None:
        super().__init__(f"no {kind} {identifier}")
        self.kind = kind
        self.identifier = identifier


class InUse(CallpacerError):
    """A schedule or profile can't be deleted, because campaigns refer to it."""

    def __init__(self, kind: str, identifier: int, nickname: str | None, campaign_id: int) -> None:
        super().__init__(f"{kind} {identifier} is used by campaign {campaign_id}")
        self.kind = kind
        self.identifier = identifier
        self.nickname = nickname
        #: the highest id among the campaigns that use it
        self.campaign_id = campaign_id


class KeyReused(CallpacerError):
    """An Idempotency-Key was used before, for another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"idempotency key {key!r} was used for another request")
        self.key = key


class TooLarge(CallpacerError):
    """A request body over the limit. Sizes in bytes."""

    def __init__(self, limit: int, size: int) -> None:
        super().__init__(f"{size} bytes, over the limit of {limit}")
        self.limit = limit
        self.size = size


class TooManyToCompare(CallpacerError):
    """A campaign has more numbers than an upload is compared with."""

    def __init__(self, limit: int, numbers: int) -> None:
        super().__init__(f"{numbers} numbers, over the limit of {limit}")
        self.limit = limit
        self.numbers = numbers


class Busy(CallpacerError):
    """The database refuses the work for now. The same request may succeed later."""
