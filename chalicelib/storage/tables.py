"""The tables' items, as they stand in the console.

They are declared without a table's name: `chalicelib.storage.database` binds them to one deployment's tables.
"""

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model


class TokensOfAccount(GlobalSecondaryIndex["TokenItem"]):  # type: ignore[no-untyped-call] # untyped in pynamodb
    class Meta:
        index_name = "account"
        projection = AllProjection()

    account = UnicodeAttribute(hash_key=True)


class TokenItem(Model):
    """A bearer token, known only by its SHA-256."""

    #: 64 hexadecimal digits
    digest = UnicodeAttribute(hash_key=True)
    account = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    #: the token's first eight characters, to tell it from the account's others
    label = UnicodeAttribute()

    of_account = TokensOfAccount()


class AccountItem(Model):
    """An account's counters and its secret."""

    account = UnicodeAttribute(hash_key=True)
    #: `whsec_…`, what the account's webhooks are signed with
    secret = UnicodeAttribute(null=True)
    #: the highest ids given out, each kind by itself; they only rise
    last_schedule = NumberAttribute(default=0)
    last_profile = NumberAttribute(default=0)
    last_campaign = NumberAttribute(default=0)


class CatalogItem(Model):
    """A schedule, a profile, a nickname that is taken, or a campaign's use of a schedule or profile.

    | key | is |
    |---|---|
    | `schedule/000000000006` | schedule 6 |
    | `profile/000000000005` | profile 5 |
    | `nickname/schedule/3wkdays` | the schedule that has this nickname |
    | `use/schedule/000000000006/000000000012` | campaign 12 refers to schedule 6 |
    """

    account = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    id = NumberAttribute()
    nickname = UnicodeAttribute(null=True)
    #: a schedule's days, in the order of the week
    days = ListAttribute(of=UnicodeAttribute, null=True)
    #: a profile's pace; minutes, calls, minutes
    period = NumberAttribute(null=True)
    amount_per_period = NumberAttribute(null=True)
    time_between_periods = NumberAttribute(null=True)
    #: how many campaigns refer to it: what has users can't be deleted
    uses = NumberAttribute(null=True)


class WindowMap(MapAttribute[str, Any]):
    profile_id = NumberAttribute()
    #: minutes after midnight, Eastern time
    start = NumberAttribute()
    end = NumberAttribute()


class CampaignsWithWork(GlobalSecondaryIndex["CampaignItem"]):  # type: ignore[no-untyped-call] # untyped in pynamodb
    """Sparse: only campaigns that the pacer or the settler has something to do for, now or later, carry a `shard`."""

    class Meta:
        index_name = "work"
        projection = IncludeProjection(["dialers"])

    shard = UnicodeAttribute(hash_key=True)
    wakes_at = UTCDateTimeAttribute(range_key=True)
    dialers = NumberAttribute(null=True)


class CampaignItem(Model):
    """A campaign: its plan, its state, and how far its queue has come."""

    account = UnicodeAttribute(hash_key=True)
    id = NumberAttribute(range_key=True)

    start_date = UnicodeAttribute()
    end_date = UnicodeAttribute()
    schedule_id = NumberAttribute()
    windows = ListAttribute(of=WindowMap)
    start_url = UnicodeAttribute()
    result_url = UnicodeAttribute(null=True)
    max_retries = NumberAttribute()
    #: seconds
    retry_interval = NumberAttribute()

    #: counts the changes of the plan: one made on an older plan doesn't hold
    revision = NumberAttribute()
    status = UnicodeAttribute()
    deleted = BooleanAttribute(default=False)
    generation = NumberAttribute()
    tail = NumberAttribute()
    head = NumberAttribute()
    settled = NumberAttribute()
    completed = NumberAttribute()
    failed = NumberAttribute()
    uncertain = NumberAttribute()
    #: where the head was when the settler looked, and when that was
    observed_heads: ListAttribute[Any] = ListAttribute(of=NumberAttribute, default=list)
    observed_at: ListAttribute[Any] = ListAttribute(of=UTCDateTimeAttribute, default=list)
    #: for each window, the last due instant released, and when that call goes out
    paced_until: ListAttribute[Any] = ListAttribute(of=UTCDateTimeAttribute)
    paced_due: ListAttribute[Any] = ListAttribute(of=UTCDateTimeAttribute)

    #: of the last tick: calls handed over, and returned ones that it left; of the tick before: calls made; and
    #: how many a tick hands over at most, if not all
    dispatched = NumberAttribute(default=0)
    left = NumberAttribute(default=0)
    made = NumberAttribute(default=0)
    most = NumberAttribute(null=True)
    #: whether that was less than there could have been
    limited = BooleanAttribute(default=False)
    #: milliseconds from a call's claim to its outcome, on average of late
    call_time = NumberAttribute(default=0)
    #: in how many partitions of the table `tasks` the tasks of its numbers lie; it only grows
    spread = NumberAttribute(default=1)

    #: which shard of the index `work` it is in, while there is something to do for it, now or later
    shard = UnicodeAttribute(null=True)
    #: before that there is nothing to do for it
    wakes_at = UTCDateTimeAttribute()
    #: how many dialers all of its calls keep busy; not known before it is paced
    dialers = NumberAttribute(null=True)
    #: which write of the head or the cursors was the last: each is made on the one before it
    paced = UnicodeAttribute()
    #: the mark of the last settling write, by which a repeated one knows itself
    settled_nonce = UnicodeAttribute(null=True)

    with_work = CampaignsWithWork()


class LogItem(Model):
    """A stretch of a campaign's queue, or the mark that its chunks may still expire.

    | key | is |
    |---|---|
    | `segment/000000001500` | the upload whose first number has sequence number 1500 |
    | `unsealed/<upload>` | this upload is accepted, but its chunks still carry `expires_at` |
    """

    #: `account/id` of the campaign
    campaign = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    upload = UnicodeAttribute()
    #: the sequence number of the upload's first entry
    first = NumberAttribute()
    #: how many entries
    length = NumberAttribute()
    #: the entries of a small upload, which has no chunk, one on each line
    entries = UnicodeAttribute(null=True)
    #: for each chunk, how many entries of the upload stand before it
    chunk_starts: ListAttribute[Any] = ListAttribute(of=NumberAttribute)


class ChunkItem(Model):
    """Hundreds of entries of one upload, one on each line."""

    #: `account/campaign/upload/number`: no two chunks need share a partition
    chunk = UnicodeAttribute(hash_key=True)
    entries = UnicodeAttribute()
    #: only while the upload isn't accepted yet: an abandoned one goes away by itself
    expires_at = TTLAttribute(null=True)


class CallItem(Model):
    """What became of one number."""

    #: `account/campaign/sequence`: writes spread over all partitions
    call = UnicodeAttribute(hash_key=True)
    #: the number, in its normal form
    destination = UnicodeAttribute()
    message_reference = UnicodeAttribute(null=True)
    #: dialling, deferred, completed, failed or uncertain
    state = UnicodeAttribute()
    #: the attempt that is being made, or was the last to be made; 0 before the first
    attempt = NumberAttribute()
    #: how often in a row the number was surely not sent
    unsent = NumberAttribute(null=True)
    #: the settler has passed it over while it was deferred
    skipped = BooleanAttribute(null=True)
    #: the claim's own mark: only its holder may write what came of it
    nonce = UnicodeAttribute(null=True)
    claimed_at = UTCDateTimeAttribute(null=True)

    reason = UnicodeAttribute(null=True)
    callee_type = UnicodeAttribute(null=True)
    #: seconds
    duration = NumberAttribute(null=True)
    last_attempt_at = UTCDateTimeAttribute(null=True)

    #: none, pending, deferred, delivered or given_up
    report = UnicodeAttribute(null=True)
    report_attempts = NumberAttribute(null=True)
    report_error = UnicodeAttribute(null=True)
    #: once it has its outcome, unless records are kept for ever: when it is deleted
    expires_at = TTLAttribute(null=True)


class TaskItem(Model):
    """A task, an outcome to be counted, or acknowledgements: `chalicelib.storage.task_items` describes them.

    Its key sorts by kind, then by the time before which it isn't due, then by sequence number.
    """

    #: `account/id` of the campaign; `account/id#1` and so on where the tasks of its numbers are spread
    campaign = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    sequence = NumberAttribute(null=True)
    #: the attempt to be made, at a dial or a report, 1 for the first
    attempt = NumberAttribute(null=True)
    #: the entry's line, for a dial
    entry = UnicodeAttribute(null=True)
    #: the outcome, for an ended call
    state = UnicodeAttribute(null=True)
    #: for a slice: its numbers, each with the attempt to be made and its entry's line
    numbers: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    #: for acknowledgements: the calls that they are for
    sequences: ListAttribute[Any] = ListAttribute(of=NumberAttribute, null=True)


class ReceiptItem(Model):
    """The answer that a request with this Idempotency-Key was given."""

    account = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    #: what the request was, as a SHA-256
    fingerprint = UnicodeAttribute()
    status = NumberAttribute()
    body = UnicodeAttribute()
    headers: JSONAttribute = JSONAttribute(default=dict)
    expires_at = TTLAttribute()


class OperatorItem(Model):
    """What the operator has decided for the whole deployment."""

    #: `dialling`
    name = UnicodeAttribute(hash_key=True)
    on = BooleanAttribute()
    #: the id of the stack that it was decided for
    deployment = UnicodeAttribute()
    changed_at = UTCDateTimeAttribute()
