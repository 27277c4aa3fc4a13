"""The keys of campaigns and calls in all of the code."""

from dataclasses import dataclass

#: A call's id is its campaign's id and its sequence number in one integer. It is below 2**53, so that every JSON reader
#: keeps it exact.
SEQUENCES_PER_CAMPAIGN = 2**32
#: digits of a call's id
MAX_CALL_ID_DIGITS = 16

assert 10**MAX_CALL_ID_DIGITS > 2**53


@dataclass(frozen=True, order=True)
class CampaignKey:
    """One campaign of one account."""

    account: str
    id: int

    def __str__(self) -> str:
        """`account/id`, as other tables, logs and metrics name the campaign. An account's name has no slash."""
        return f"{self.account}/{self.id}"

    def call(self, sequence: int) -> "CallKey":
        """The campaign's call with this sequence number."""
        return CallKey(self.account, self.id, sequence)


@dataclass(frozen=True)
class CallKey:
    """One number of one campaign, by its place in the campaign's queue."""

    account: str
    campaign_id: int
    #: from 0
    sequence: int

    @classmethod
    def of_id(cls, account: str, call_id: str) -> "CallKey | None":
        """The call that an account knows by this id. None if the text can't be an id."""
        if not (call_id.isascii() and call_id.isdigit() and len(call_id) <= MAX_CALL_ID_DIGITS):
            return None
        return cls(account, *divmod(int(call_id), SEQUENCES_PER_CAMPAIGN))

    @property
    def campaign(self) -> CampaignKey:
        return CampaignKey(self.account, self.campaign_id)

    @property
    def call_id(self) -> int:
        """The id that the API, start_url and result_url name the call by."""
        return self.campaign_id * SEQUENCES_PER_CAMPAIGN + self.sequence
