"""A campaign's queue as a log: many entries are packed into one item, and found by their sequence numbers.

An upload is written in three steps.

1. Its chunks are staged, with a time to live.
2. A transaction of `chalicelib.storage.campaigns` writes the segment, which gives the entries their sequence numbers.
   From then on the upload is accepted. An item marks it as unsealed.
3. It is sealed: the chunks lose their time to live, and the mark is deleted.

If the function fails before the transaction, the chunks expire. If it fails after it, the settler seals the upload.

An upload that fits one chunk is written in the transaction itself, and needs no sealing. A small upload is stored in
its segment. So a queue that was filled number by number is read as fast as one that was filled at once.
"""

import bisect
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from pynamodb.exceptions import DoesNotExist, PutError
from pynamodb.expressions.condition import Condition

from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN, CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.errors import Busy
from chalicelib.storage.catalog import padded
from chalicelib.storage.database import Database
from chalicelib.storage.tables import LogItem
from chalicelib.storage.writes import Transaction, WriteRefused, conditional

#: The most bytes of entries in a chunk. DynamoDB allows 400 KB in an item, but the console should be able to show it.
CHUNK_BYTES = 64 * 1024
#: The most bytes of entries that are stored in the segment itself.
INLINE_BYTES = 4 * 1024
#: How many segments are read at once.
_PAGE = 300
#: A sequence number beyond all that are given out.
_HIGHEST = SEQUENCES_PER_CAMPAIGN
#: How long the chunks of an upload that wasn't accepted are kept.
STAGED_FOR = timedelta(days=7)

assert INLINE_BYTES < CHUNK_BYTES


@dataclass(frozen=True)
class Staged:
    """An upload whose entries have no sequence numbers yet."""

    campaign: CampaignKey
    upload: str
    length: int
    #: the entries have times of their own
    has_times: bool
    #: for each chunk, how many entries are before it
    chunk_starts: tuple[int, ...]
    #: the chunk of an upload that has only one, which isn't written yet; None for a larger upload
    only_chunk: str | None


class Log:
    """The queues of all campaigns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._segments = database.log
        self._chunks = database.chunks

    def stage(self, campaign: CampaignKey, entries: Sequence[Entry], now: datetime) -> Staged:
        """Write the upload's chunks, if it has several, so that they expire unless it is accepted. Raises Busy."""
        upload = uuid.uuid4().hex
        starts, chunks = _pack(entries)
        has_times = any(entry.has_times for entry in entries)
        if len(chunks) == 1:
            return Staged(campaign, upload, len(entries), has_times, starts, chunks[0])
        try:
            with self._chunks.batch_write() as batch:
                for number, text in enumerate(chunks):
                    batch.save(
                        self._chunks(_chunk_key(campaign, upload, number), entries=text, expires_at=now + STAGED_FOR)
                    )
        except PutError as error:
            raise Busy(str(error)) from error
        return Staged(campaign, upload, len(entries), has_times, starts, None)

    def add(self, transaction: Transaction, staged: Staged, first: int) -> None:
        """Give the entries the sequence numbers from `first` on, in the transaction that moves the campaign's tail."""
        segment = self._segments(
            str(staged.campaign),
            _segment_key(first),
            upload=staged.upload,
            first=first,
            length=staged.length,
            chunk_starts=list(staged.chunk_starts),
        )
        is_small = staged.only_chunk is not None and len(staged.only_chunk.encode()) <= INLINE_BYTES
        if is_small:
            segment.entries = staged.only_chunk
        transaction.put("segment", segment, condition=self._segments.key.does_not_exist())
        if is_small:
            return
        if staged.only_chunk is None:
            transaction.put("unsealed", self._unsealed(staged.campaign, staged.upload, segment))
        else:
            chunk = self._chunks(_chunk_key(staged.campaign, staged.upload, 0), entries=staged.only_chunk)
            transaction.put("chunk", chunk)

    def seal(self, campaign: CampaignKey) -> None:
        """Remove the time to live from the chunks of all the campaign's accepted uploads. Raises LostChunk."""
        for mark in list(
            self._segments.query(str(campaign), self._segments.key.startswith("unsealed/"), consistent_read=True)
        ):
            for number in range(len(mark.chunk_starts)):
                chunk = self._chunks(_chunk_key(campaign, mark.upload, number))
                try:
                    with conditional():
                        chunk.update(actions=[self._chunks.expires_at.remove()], condition=self._chunks.chunk.exists())
                except WriteRefused:
                    raise LostChunk(campaign, mark.upload, number) from None
            mark.delete()

    def read(self, campaign: CampaignKey, first: int, length: int) -> Iterator[tuple[int, Entry]]:
        """Up to `length` entries from sequence number `first` on, each with its sequence number."""
        return islice(self._entries_from(campaign, first), length)

    def uploaded(self, campaign: CampaignKey, first: int, beyond: int) -> Iterator[Entry]:
        """The entries of the uploads from sequence number `first` to before `beyond`, in any order.

        An upload begins at each of the two. It takes fewer requests than `read`, and less time for small uploads.
        """
        if first == beyond:
            return
        of_segments = self._segments.key.between(_segment_key(first), _segment_key(beyond - 1))
        has_chunks = False
        for text in self._database.texts(self._segments, "entries", str(campaign), of_segments):
            if text is None:
                has_chunks = True
            else:
                yield from _entries_of(text)
        if has_chunks:
            yield from self._uploaded_in_chunks(campaign, of_segments)

    def _uploaded_in_chunks(self, campaign: CampaignKey, of_segments: Condition) -> Iterator[Entry]:
        segments = self._segments.query(
            str(campaign),
            of_segments,
            filter_condition=self._segments.entries.does_not_exist(),
            consistent_read=True,
        )
        missing = {
            _chunk_key(campaign, segment.upload, number): (segment.upload, number)
            for segment in segments
            for number in range(len(segment.chunk_starts))
        }
        for chunk in self._chunks.batch_get(list(missing), consistent_read=True):
            del missing[chunk.chunk]
            yield from _entries_of(chunk.entries)
        for upload, number in missing.values():
            raise LostChunk(campaign, upload, number)

    def _entries_from(self, campaign: CampaignKey, first: int) -> Iterator[tuple[int, Entry]]:
        for segment in self._segments_from(campaign, first):
            offset = first - int(segment.first)
            starts = [int(start) for start in segment.chunk_starts]
            for number in range(bisect.bisect_right(starts, offset) - 1, len(starts)):
                for line in self._lines(campaign, segment, number)[offset - starts[number] :]:
                    yield first, Entry.from_line(line)
                    first += 1
                offset = first - int(segment.first)

    def _segments_from(self, campaign: CampaignKey, sequence: int) -> Iterator[LogItem]:
        segment = self._segment_with(campaign, sequence)
        if segment is None:
            return
        yield segment
        beyond = int(segment.first) + int(segment.length)
        yield from self._segments.query(
            str(campaign),
            self._segments.key.between(_segment_key(beyond), _segment_key(_HIGHEST)),
            page_size=_PAGE,
            consistent_read=True,
        )

    def _segment_with(self, campaign: CampaignKey, sequence: int) -> LogItem | None:
        found = self._segments.query(
            str(campaign),
            self._segments.key.between(_segment_key(0), _segment_key(sequence)),
            scan_index_forward=False,
            limit=1,
            consistent_read=True,
        )
        segment = next(iter(found), None)
        if segment is None or sequence >= int(segment.first) + int(segment.length):
            return None
        return segment

    def _lines(self, campaign: CampaignKey, segment: LogItem, number: int) -> list[str]:
        if segment.entries is not None:
            return str(segment.entries).split("\n")
        try:
            item = self._chunks.get(_chunk_key(campaign, segment.upload, number), consistent_read=True)
        except DoesNotExist:
            raise LostChunk(campaign, segment.upload, number) from None
        return item.entries.split("\n")

    def _unsealed(self, campaign: CampaignKey, upload: str, segment: LogItem) -> LogItem:
        return self._segments(
            str(campaign),
            f"unsealed/{upload}",
            upload=upload,
            first=segment.first,
            length=segment.length,
            chunk_starts=segment.chunk_starts,
        )


class LostChunk(Exception):
    """A chunk of an accepted upload is missing: it was deleted by hand, or no settler ran for a week."""

    def __init__(self, campaign: CampaignKey, upload: str, number: int) -> None:
        super().__init__(f"chunk {number} of upload {upload} of campaign {campaign} is missing")


def _entries_of(text: str) -> Iterator[Entry]:
    return map(Entry.from_line, text.split("\n"))


def _pack(entries: Sequence[Entry]) -> tuple[tuple[int, ...], list[str]]:
    starts: list[int] = []
    chunks: list[list[str]] = []
    room = 0
    for index, entry in enumerate(entries):
        size = len(entry.line.encode()) + 1
        if size > room:
            starts.append(index)
            chunks.append([])
            room = CHUNK_BYTES
        chunks[-1].append(entry.line)
        room -= size
    return tuple(starts), ["\n".join(lines) for lines in chunks]


def _segment_key(first: int) -> str:
    return f"segment/{padded(first)}"


def _chunk_key(campaign: CampaignKey, upload: str, number: int) -> str:
    return f"{campaign}/{upload}/{number}"
