"""Everything callpacer refuses, as one tree.

An error carries the facts it is about; the words and the HTTP status it is answered with are the API's business
(`chalicelib.api.envelope`).
"""

from collections.abc import Iterable, Mapping, Sequence


class CallpacerError(Exception):
    """The root: whatever callpacer itself refuses is one of these."""


class MissingSettings(CallpacerError):
    """The environment lacks variables that this function can't do without."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("missing environment variables: " + ", ".join(names))
        self.names = tuple(names)


class InvalidFields(CallpacerError):
    """Parameters that break the contract: for each field's name, its faults as sentences."""

    def __init__(self, faults: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(sentences)}" for name, sentences in faults.items()))
        self.faults = {name: list(sentences) for name, sentences in faults.items()}


class NicknameTaken(CallpacerError):
    """Another schedule, or another profile, of the account has this nickname."""


class ReferenceGone(CallpacerError):
    """A campaign's schedule or profile was deleted while the campaign was made or changed."""

    def __init__(self, fields: Iterable[str]) -> None:
        #: `schedule`, `profiles`, or both, in alphabetical order
        self.fields = tuple(sorted(fields))
        super().__init__(f"{', '.join(self.fields)} refer to something deleted")


class NotAuthenticated(CallpacerError):
    """No bearer token, or one that nobody was given."""


class NotFound(CallpacerError):
    """The account has no such thing; somebody else may."""

    def __init__(self, kind: str, identifier: object) -> None:
        super().__init__(f"no {kind} {identifier}")
        self.kind = kind
        self.identifier = identifier


class InUse(CallpacerError):
    """A schedule or profile that campaigns refer to can't be deleted."""

    def __init__(self, kind: str, identifier: int, nickname: str | None, campaign_id: int) -> None:
        super().__init__(f"{kind} {identifier} is used by campaign {campaign_id}")
        self.kind = kind
        self.identifier = identifier
        self.nickname = nickname
        #: the highest id among the campaigns that use it
        self.campaign_id = campaign_id


class KeyReused(CallpacerError):
    """An Idempotency-Key that came before with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"idempotency key {key!r} was used for another request")
        self.key = key


class TooLarge(CallpacerError):
    """A request body over the limit. Sizes in bytes."""

    def __init__(self, limit: int, size: int) -> None:
        super().__init__(f"{size} bytes, over the limit of {limit}")
        self.limit = limit
        self.size = size


class Busy(CallpacerError):
    """The database turned the work away for now; the same request may succeed later."""
