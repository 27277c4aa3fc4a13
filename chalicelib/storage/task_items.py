"""Tasks as items, and back: the partition and the key of each item.

| key | the item |
|---|---|
| `dial/0/000000000017/…` | number 17 is to be dialled at once |
| `dial/2026-11-23T18:00:00/000000000017/…` | number 17 is to be dialled at six |
| `dial-returned/000000000017/…` | a slice that begins with number 17 came too late; its calls wait for other slots |
| `report/2026-11-23T18:00:00/000000000017/…` | the outcome of number 17 is to be reported at six |
| `report_attempt/2026-11-23T18:00:00/000000000017/2.1` | attempt 2 at number 17 is to be reported at six |
| `leased-dial/2026-11-23T18:15:00/000000000017/…` | a slice of calls is leased to the dialer until then |
| `leased-report/…` | a slice of reports is leased likewise |
| `in-progress/000000000017/…` | open calls, which the settler has passed uncounted; the list began with number 17 |
| `outcome-corrected/000000000017` | a late event has corrected the outcome of number 17, which was uncertain |
| `ended/000000000017` | number 17, which the settler had skipped, has its outcome |
| `reported/2026-11-23T18:00:00/…` | result_url acknowledged these first reports by then; their records don't have it |
| `withdrawn/000000000017/…` | numbers that were canceled, or moved to the front, together; 17 is the first of them |

The lines that are held are in partitions of their own (`chalicelib.storage.lines`).

Queries depend on the order of these kinds: tasks that wait for the pacer come first. Acknowledgements and lists of
withdrawn numbers need no work of their own, and come last.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from chalicelib.domain import spreading
from chalicelib.domain.call import EndedAttempt, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.domain.tasks import (
    Acknowledgement,
    AttemptReportTask,
    Correction,
    DialTask,
    Lease,
    OpenCalls,
    ReportTask,
    ScheduledTask,
    Task,
    UncountedOutcome,
    WithdrawnNumbers,
)
from chalicelib.storage.catalog import padded
from chalicelib.storage.tables import TaskItem
from chalicelib.storage.writes import new_nonce

DIAL = "dial"
RETURNED = "dial-returned"
ENDED = "ended"
OPEN = "in-progress"
CORRECTED = "outcome-corrected"
LEASED = "leased-"
REPORT = "report"
#: of an attempt that another one follows
ATTEMPT_REPORT = "report_attempt"
ACKNOWLEDGED = "reported"
WITHDRAWN = "withdrawn"
#: sorts after every number that waits to be dialled, and before all others
AFTER_DIALS = "dial0"
#: sorts before every date
_AT_ONCE = "0"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

assert RETURNED < f"{DIAL}/" < AFTER_DIALS < ENDED < OPEN < LEASED < CORRECTED < f"{REPORT}/" < ATTEMPT_REPORT
assert ATTEMPT_REPORT < f"{ATTEMPT_REPORT}/~" < ACKNOWLEDGED
assert ACKNOWLEDGED < WITHDRAWN


def partition_key(campaign: CampaignKey, partition: int) -> str:
    """The hash key of one of the campaign's partitions. The first has the campaign's own key."""
    return f"{campaign}#{partition}" if partition else str(campaign)


def partition_keys(campaign: CampaignKey, spread: int) -> list[str]:
    """The hash keys of all of the campaign's partitions."""
    return [partition_key(campaign, partition) for partition in range(spread)]


def due_by(kind: str, now: datetime) -> tuple[str, str]:
    """The keys between which the due tasks of this kind are."""
    return f"{kind}/", f"{kind}/{_text(now)}/~"


def task_item(items: type[TaskItem], task: Task, spread: int) -> TaskItem:
    key, instant = task.key, task.not_before
    name = f"{_AT_ONCE if instant is None else _text(instant)}/{padded(key.sequence)}/{new_nonce()}"
    partition = partition_key(key.campaign, spreading.partition(key.sequence, spread))
    if isinstance(task, AttemptReportTask):
        return attempt_report_item(items, task, spread)
    if isinstance(task, ReportTask):
        return items(partition, f"{REPORT}/{name}", sequence=key.sequence, attempt=task.attempt)
    return items(partition, f"{DIAL}/{name}", sequence=key.sequence, attempt=task.attempt, entry=task.entry.line)


def attempt_report_item(items: type[TaskItem], report: AttemptReportTask, spread: int) -> TaskItem:
    """Its key has no nonce, so whoever knows the task can delete it."""
    key = report.key
    partition = partition_key(key.campaign, spreading.partition(key.sequence, spread))
    name = f"{_text(report.not_before)}/{padded(key.sequence)}/{report.ended.attempt}.{report.attempt}"
    return items(
        partition, f"{ATTEMPT_REPORT}/{name}", sequence=key.sequence, attempt=report.attempt, ended=report.ended.line
    )


def lease_item(items: type[TaskItem], tasks: Sequence[Task], expires: datetime) -> TaskItem:
    first = tasks[0].key
    kind = kind_of(tasks[0])
    name = f"{LEASED}{kind}/{_text(expires)}/{padded(first.sequence)}/{new_nonce()}"
    return items(str(first.campaign), name, numbers=[_line(task) for task in tasks])


def kind_of(task: Task) -> str:
    """The kind of its item."""
    if isinstance(task, DialTask):
        return DIAL
    return REPORT if isinstance(task, ReportTask) else ATTEMPT_REPORT


def returned_item(items: type[TaskItem], dials: Sequence[DialTask], mark: str) -> TaskItem:
    """Each number once, with its latest attempt. The key names the first number, so it changes when that is leased."""
    latest = {dial.key: dial for dial in sorted(dials, key=lambda dial: dial.attempt)}
    dials = [latest[key] for key in dict.fromkeys(dial.key for dial in dials)]
    return items(str(dials[0].key.campaign), _returned_key(dials[0], mark), numbers=[_line(dial) for dial in dials])


def outcome_item(items: type[TaskItem], outcome: UncountedOutcome) -> TaskItem:
    key = outcome.key
    return items(
        partition_key(key.campaign, outcome.partition),
        f"{ENDED}/{padded(key.sequence)}",
        sequence=key.sequence,
        state=outcome.state,
    )


def open_item(items: type[TaskItem], campaign: CampaignKey, listed: OpenCalls) -> TaskItem:
    dispatched = sorted(listed.dispatched) or None
    return items(str(campaign), listed.name, sequences=sorted(listed.sequences), dispatched=dispatched)


def open_name(sequences: Iterable[int], nonce: str) -> str:
    return f"{OPEN}/{padded(min(sequences))}/{nonce}"


def correction_item(items: type[TaskItem], correction: Correction) -> TaskItem:
    key = correction.key
    name = f"{CORRECTED}/{padded(key.sequence)}"
    return items(str(key.campaign), name, sequence=key.sequence, state=correction.state)


def acknowledgement_item(
    items: type[TaskItem], campaign: CampaignKey, sequences: Iterable[int], now: datetime, nonce: str
) -> TaskItem:
    return items(str(campaign), f"{ACKNOWLEDGED}/{_text(now)}/{nonce}", sequences=sorted(sequences))


def withdrawn_item(items: type[TaskItem], campaign: CampaignKey, withdrawn: WithdrawnNumbers) -> TaskItem:
    return items(str(campaign), withdrawn.name, sequences=sorted(withdrawn.sequences), moved=withdrawn.moved or None)


def withdrawn_name(sequences: Iterable[int], nonce: str) -> str:
    return f"{WITHDRAWN}/{padded(min(sequences))}/{nonce}"


def withdrawn_of(item: TaskItem) -> WithdrawnNumbers:
    return WithdrawnNumbers(frozenset(int(sequence) for sequence in item.sequences), item.key, bool(item.moved))


def scheduled_task(campaign: CampaignKey, item: TaskItem) -> ScheduledTask:
    """The task of an item that holds a single one."""
    return ScheduledTask(_task(campaign, item), item.key, partition=_partition(item))


def returned_dials(campaign: CampaignKey, item: TaskItem) -> Iterator[ScheduledTask]:
    """The dials that were returned together, each as a task by itself."""
    dials = [task for task in _tasks(campaign, item) if isinstance(task, DialTask)]
    mark = item.key.rpartition("/")[2]
    for index, dial in enumerate(dials):
        name = item.key if index == 0 else _returned_key(dial, mark)
        yield ScheduledTask(dial, name, following=tuple(dials[index + 1 :]), mark=mark)


def lease_of(campaign: CampaignKey, item: TaskItem) -> Lease:
    kind, instant, *_ = item.key.split("/")
    return Lease(_tasks(campaign, item), item.key, _instant(instant) if kind.startswith(LEASED) else None)


def outcome_of(campaign: CampaignKey, item: TaskItem) -> UncountedOutcome:
    return UncountedOutcome(campaign.call(int(item.sequence)), State(item.state), _partition(item))


def open_calls_of(item: TaskItem) -> OpenCalls:
    dispatched = frozenset(int(sequence) for sequence in item.dispatched or ())
    return OpenCalls(frozenset(int(sequence) for sequence in item.sequences), item.key, dispatched)


def correction_of(campaign: CampaignKey, item: TaskItem) -> Correction:
    return Correction(campaign.call(int(item.sequence)), State(item.state))


def acknowledgement_of(item: TaskItem) -> Acknowledgement:
    return Acknowledgement(frozenset(int(sequence) for sequence in item.sequences), item.key)


def due_at(item: TaskItem) -> datetime:
    """When a waiting task, or a returned slice, is due; long ago if it is due at once."""
    kind, not_before, *_ = item.key.split("/")
    return _LONG_AGO if kind == RETURNED or not_before == _AT_ONCE else _instant(not_before)


def _partition(item: TaskItem) -> int:
    """From the key, since the campaign may have more partitions by now than when the item was written."""
    _, _, number = item.campaign.rpartition("/")[2].partition("#")
    return int(number or 0)


def _task(campaign: CampaignKey, item: TaskItem) -> Task:
    key = campaign.call(int(item.sequence))
    kind, not_before, *_ = item.key.split("/")
    if kind.endswith(DIAL):
        instant = None if not_before == _AT_ONCE else _instant(not_before)
        return DialTask(key, Entry.from_line(item.entry), int(item.attempt), instant)
    if kind.endswith(ATTEMPT_REPORT):
        return AttemptReportTask(key, int(item.attempt), _instant(not_before), EndedAttempt.from_line(item.ended))
    return ReportTask(key, int(item.attempt), _instant(not_before))


def _tasks(campaign: CampaignKey, item: TaskItem) -> tuple[Task, ...]:
    kind, instant, *_ = item.key.split("/")
    tasks: list[Task] = []
    for line in item.numbers:
        sequence, attempt, rest = line.split(" ", 2)
        key = campaign.call(int(sequence))
        if kind.endswith(REPORT):
            tasks.append(ReportTask(key, int(attempt), _instant(instant)))
        elif kind.endswith(ATTEMPT_REPORT):
            tasks.append(AttemptReportTask(key, int(attempt), _instant(instant), EndedAttempt.from_line(rest)))
        else:
            tasks.append(DialTask(key, Entry.from_line(rest), int(attempt), None))
    return tuple(tasks)


def _line(task: Task) -> str:
    """`sequence attempt`, and the entry of a dial, or how the attempt ended that is reported."""
    match task:
        case DialTask(entry=entry):
            rest = entry.line
        case AttemptReportTask(ended=ended):
            rest = ended.line
        case _:
            rest = ""
    return f"{task.key.sequence} {task.attempt} {rest}"


def _returned_key(first: DialTask, mark: str) -> str:
    return f"{RETURNED}/{padded(first.key.sequence)}/{mark}"


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
