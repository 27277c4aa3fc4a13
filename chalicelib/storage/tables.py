"""The tables' items, as the console shows them.

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

from chalicelib.domain.models import DEFAULT_CALL_TIMEOUT


class TokensOfAccount(GlobalSecondaryIndex["TokenItem"]):  # type: ignore[no-untyped-call] # untyped in pynamodb
    class Meta:
        index_name = "account"
        projection = AllProjection()

    account = UnicodeAttribute(hash_key=True)


class TokenItem(Model):
    """A bearer token, of which only the SHA-256 is stored."""

    #: 64 hexadecimal digits
    digest = UnicodeAttribute(hash_key=True)
    account = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    #: the token's first eight characters, or the first half of a shorter one: its owner recognises it by them
    label = UnicodeAttribute()

    of_account = TokensOfAccount()


class AccountItem(Model):
    """The ids that an account has given out, and its secret."""

    account = UnicodeAttribute(hash_key=True)
    #: `whsec_…`, with which the account's webhooks are signed
    secret = UnicodeAttribute(null=True)
    #: the highest id given out, for each kind; it only rises
    last_schedule = NumberAttribute(default=0)
    last_profile = NumberAttribute(default=0)
    last_campaign = NumberAttribute(default=0)
    #: how many calls of all its campaigns may be under way at once; missing: any number
    max_concurrent_calls = NumberAttribute(null=True)


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
    #: how many campaigns refer to it; it can't be deleted while there are any
    uses = NumberAttribute(null=True)


class WindowMap(MapAttribute[str, Any]):
    profile_id = NumberAttribute()
    #: minutes after midnight, Eastern time
    start = NumberAttribute()
    end = NumberAttribute()


class CampaignsWithWork(GlobalSecondaryIndex["CampaignItem"]):  # type: ignore[no-untyped-call] # untyped in pynamodb
    """Campaigns for which the pacer or the settler has something to do, now or later. No others have a `shard`."""

    class Meta:
        index_name = "work"
        projection = IncludeProjection(["dialers"])

    shard = UnicodeAttribute(hash_key=True)
    wakes_at = UTCDateTimeAttribute(range_key=True)
    dialers = NumberAttribute(null=True)


class CampaignItem(Model):
    """A campaign: its plan, its status, and how far it is with its queue."""

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
    #: seconds
    call_timeout = NumberAttribute(default=DEFAULT_CALL_TIMEOUT)
    #: missing: any number
    max_concurrent_calls = NumberAttribute(null=True)
    #: for each way in which an attempt may end: the most attempts in all, the gap in seconds, its growth
    retries: JSONAttribute = JSONAttribute(null=True)
    #: result_url is told of each attempt; missing: of the last one
    attempt_reports = BooleanAttribute(null=True)

    #: counts the changes of the plan: a change that is based on an older plan is refused
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
    #: missing: none
    canceled = NumberAttribute(null=True)
    #: how many lists of numbers there are that were taken out of the log's order; missing: none
    withdrawn_lists = NumberAttribute(null=True, attr_name="canceled_lists")
    #: the numbers that are still to be moved to the front: where each range of them begins, and where it ends
    to_front: ListAttribute[Any] = ListAttribute(of=NumberAttribute, null=True)
    #: some of its numbers may have times of their own; missing: none
    has_times = BooleanAttribute(null=True)
    #: where the head was at earlier ticks of the settler, and when these were
    observed_heads: ListAttribute[Any] = ListAttribute(of=NumberAttribute, default=list)
    observed_at: ListAttribute[Any] = ListAttribute(of=UTCDateTimeAttribute, default=list)
    #: the cursor of each window: the instant of the last reserved slot, and when its call goes out
    paced_until: ListAttribute[Any] = ListAttribute(of=UTCDateTimeAttribute)
    paced_due: ListAttribute[Any] = ListAttribute(of=UTCDateTimeAttribute)

    #: calls that the last tick dispatched, and returned calls that it didn't dispatch again
    load_dispatched = NumberAttribute(default=0)
    load_left = NumberAttribute(default=0)
    #: calls of the tick before that weren't returned
    load_made = NumberAttribute(default=0)
    #: about how many calls a tick dispatches at most; missing: all that are due
    load_most = NumberAttribute(null=True)
    #: True if the last tick dispatched less than it could have, because of `load_most`
    load_limited = BooleanAttribute(default=False)
    #: milliseconds from a call's claim to its outcome, the recent average
    call_time = NumberAttribute(default=0)
    #: in how many partitions of the table `tasks` the tasks of its numbers are; it only grows
    spread = NumberAttribute(default=1)

    #: its shard of the index `work`, while there is something to do for it, now or later
    shard = UnicodeAttribute(null=True)
    #: it sleeps until then: before that there is nothing to do for it
    wakes_at = UTCDateTimeAttribute()
    #: how many dialers all of its calls keep busy; not known before it is paced
    dialers = NumberAttribute(null=True)
    #: the version of head and cursors: a pacer that read an older one reserves no slots
    pacing_version = UnicodeAttribute()
    #: the nonce of the settler's last write: a repeated write finds its own
    settled_nonce = UnicodeAttribute(null=True)
    #: how many corrections aren't in the counts yet
    corrections_due = NumberAttribute(default=0)
    #: the numbers from `settled` on whose calls events have ended, and whose first report is dispatched
    reports_ahead: ListAttribute[Any] = ListAttribute(of=NumberAttribute, null=True)

    with_work = CampaignsWithWork()


class LogItem(Model):
    """A segment of a campaign's queue, which is one upload, or the mark that its chunks may still expire.

    | key | is |
    |---|---|
    | `segment/000000001500` | the upload whose first number has sequence number 1500 |
    | `unsealed/<upload>` | this upload is accepted, but its chunks still have `expires_at` |
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
    #: for each chunk, how many entries of the upload are before it
    chunk_starts: ListAttribute[Any] = ListAttribute(of=NumberAttribute)


class ChunkItem(Model):
    """A part of the entries of one upload, up to 64 KB of them, one on each line."""

    #: `account/campaign/upload/number`: reads and writes of chunks spread over all partitions
    chunk = UnicodeAttribute(hash_key=True)
    entries = UnicodeAttribute()
    #: until the upload is sealed: the chunks of one that isn't accepted are deleted then
    expires_at = TTLAttribute(null=True)


class CallItem(Model):
    """The record of one number."""

    #: `account/campaign/sequence`: reads and writes spread over all partitions
    call = UnicodeAttribute(hash_key=True)
    #: the number, in its normal form
    destination = UnicodeAttribute()
    message_reference = UnicodeAttribute(null=True)
    #: it isn't called at or after this instant
    call_before = UTCDateTimeAttribute(null=True)
    #: dialling, deferred, in_progress, completed, failed, uncertain or canceled
    state = UnicodeAttribute()
    #: the attempt that is being made, or was the last to be made; 0 before the first
    attempt = NumberAttribute()
    #: how often in a row the call was surely not sent
    unsent = NumberAttribute(null=True)
    #: the settler skipped it while it was deferred
    skipped = BooleanAttribute(null=True)
    #: the claim's: only its holder may write the outcome
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

    #: the events that were recorded, each with its attempt: `2026-11-23T18:00:00+0000 1 ringing`, and the callee type
    #: as a fourth word if the event has one
    events: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    #: when an event, or the lack of one, brought the outcome
    ended_at = UTCDateTimeAttribute(null=True)
    #: how often a late event has corrected the outcome
    revision = NumberAttribute(null=True)
    #: a dialer listed it among the open calls
    listed = BooleanAttribute(null=True)
    #: the tries at reports of attempts before the last one that weren't acknowledged: `1/2` is the second for attempt 1
    attempt_reports: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    #: when it is deleted; missing before it has its outcome, and if records are kept for ever
    expires_at = TTLAttribute(null=True)


class TaskItem(Model):
    """A task, a lease, open calls, an outcome to be counted, a correction, withdrawn numbers, or acknowledgements.

    `chalicelib.storage.task_items` describes them.

    Keys sort by kind, then by the time from which on a task is due, then by sequence number.
    """

    #: `account/id` of the campaign; `account/id#1` and so on where the tasks of its numbers are spread
    campaign = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    sequence = NumberAttribute(null=True)
    #: the attempt to be made, at a dial or a report, 1 for the first
    attempt = NumberAttribute(null=True)
    #: the entry's line, for a dial
    entry = UnicodeAttribute(null=True)
    #: for the report of an attempt that isn't the last one: how it ended
    ended = UnicodeAttribute(null=True)
    #: for an outcome to be counted, or a correction: completed, failed or uncertain
    state = UnicodeAttribute(null=True)
    #: for a lease or a returned slice: its numbers, each with the attempt to be made, and with its entry's line or the
    #: ended attempt that is reported
    numbers: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    #: for acknowledgements: the calls that they are for; for open calls and withdrawn numbers: these
    sequences: ListAttribute[Any] = ListAttribute(of=NumberAttribute, null=True)
    #: for open calls: the numbers whose first report is dispatched
    dispatched: ListAttribute[Any] = ListAttribute(of=NumberAttribute, null=True)
    #: for numbers that were taken out of the log's order: they were moved to the front; missing: they were canceled
    moved = BooleanAttribute(null=True)


class LinesItem(Model):
    """The lines that are held by the calls of a campaign, or of an account that has a limit.

    It is in the table of the tasks, in a partition of its own.
    """

    #: `account/id#lines` for a campaign, `account#lines` for an account
    campaign = UnicodeAttribute(hash_key=True)
    #: `lines`
    key = UnicodeAttribute(range_key=True)
    #: for each line the campaign's id, the number's sequence number, the attempt, and until when its call may begin, in
    #: seconds since 1970: `12 17 1 1764446400`
    held: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    #: milliseconds for which a call holds its line, the recent average
    time_held = NumberAttribute()
    #: for each campaign that has taken lines, the revision of its plan
    revisions: JSONAttribute = JSONAttribute()
    version = UnicodeAttribute()


class ReceiptItem(Model):
    """The answer to the request with this `Idempotency-Key`."""

    account = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    #: the request's SHA-256
    fingerprint = UnicodeAttribute()
    status = NumberAttribute()
    body = UnicodeAttribute()
    headers: JSONAttribute = JSONAttribute(default=dict)
    expires_at = TTLAttribute()


class OperatorItem(Model):
    """The operator's switch."""

    #: `dialling`
    name = UnicodeAttribute(hash_key=True)
    on = BooleanAttribute()
    #: the id of the stack that it is for
    deployment = UnicodeAttribute()
    changed_at = UTCDateTimeAttribute()
