"""The units that AWS bills for a request, by its published rules."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cost.units import (
    Entry,
    batch_read_units,
    billed_milliseconds,
    gb_seconds,
    index_units,
    query_units,
    read_units,
    sqs_requests,
    write_units,
)

KB = 1024
sizes = st.integers(0, 400 * KB)
some_sizes = st.lists(sizes, max_size=100)


class TestReads:
    def test_an_item_is_read_in_blocks_of_four_kilobytes(self) -> None:
        found = [read_units(size, consistent=True) for size in (1, 4 * KB, 4 * KB + 1, 400 * KB)]
        assert found == [1, 1, 2, 100]

    def test_reading_a_missing_item_costs_as_much_as_reading_a_small_one(self) -> None:
        assert read_units(0, consistent=True) == 1
        assert query_units([], consistent=True) == 1

    def test_the_examples_of_the_aws_guide_have_the_same_results(self) -> None:
        # One of 1.5 KB and one of 6.5 KB are 4 KB and 8 KB one by one, and 8 KB together.
        pair = [3 * KB // 2, 13 * KB // 2]
        assert batch_read_units(pair, consistent=True) == 3
        assert query_units(pair, consistent=True) == 2

    @given(sizes)
    def test_an_eventually_consistent_read_costs_half(self, size: int) -> None:
        assert read_units(size, consistent=False) == read_units(size, consistent=True) / 2
        assert query_units([size], consistent=False) == query_units([size], consistent=True) / 2

    @given(sizes)
    def test_a_read_is_rounded_up_to_the_next_block(self, size: int) -> None:
        paid = read_units(size, consistent=True) * 4 * KB
        assert size <= paid < max(1, size) + 4 * KB

    @given(some_sizes, st.booleans())
    def test_a_query_is_rounded_once_and_a_batch_for_each_item(self, some: list[int], consistent: bool) -> None:
        query, batch = (count(some, consistent=consistent) for count in (query_units, batch_read_units))
        assert batch == sum(read_units(size, consistent=consistent) for size in some)
        assert not some or query <= batch

    @given(st.lists(sizes, min_size=1, max_size=100))
    def test_a_query_in_pages_never_costs_less(self, some: list[int]) -> None:
        pages = query_units(some[:1], consistent=True) + query_units(some[1:], consistent=True)
        assert query_units(some, consistent=True) <= pages


class TestWrites:
    def test_an_item_is_written_in_blocks_of_a_kilobyte(self) -> None:
        assert [write_units(0, size) for size in (1, KB, KB + 1, 64 * KB)] == [1, 1, 2, 64]

    @given(sizes, sizes)
    def test_the_larger_of_the_items_before_and_after_counts(self, before: int, after: int) -> None:
        assert write_units(before, after) == max(write_units(0, before), write_units(0, after))
        assert write_units(before, after) == write_units(after, before)

    def test_a_write_that_finds_nothing_costs_one_unit(self) -> None:
        assert write_units(0, 0) == 1

    @given(sizes, sizes)
    def test_a_write_in_a_transaction_counts_twice(self, before: int, after: int) -> None:
        assert write_units(before, after, transactional=True) == 2 * write_units(before, after)


class TestIndexes:
    ENTRY = Entry(("3", "acme/1"), "keys", 60)

    def test_a_write_that_does_not_change_an_entry_costs_nothing(self) -> None:
        assert index_units(None, None) == index_units(self.ENTRY, self.ENTRY) == 0

    def test_an_entry_is_put_deleted_or_changed_for_the_units_of_a_write(self) -> None:
        changed = Entry(self.ENTRY.key, "other content", 2 * KB)
        assert index_units(None, self.ENTRY) == index_units(self.ENTRY, None) == 1
        assert index_units(self.ENTRY, changed) == 2

    def test_an_entry_whose_key_changes_is_deleted_and_put(self) -> None:
        assert index_units(self.ENTRY, Entry(("4", "acme/1"), "keys", 60)) == 2


class TestSQSAndLambda:
    def test_sqs_bills_a_request_for_each_64_kilobytes(self) -> None:
        assert [sqs_requests(size) for size in (0, 1, 64 * KB, 64 * KB + 1, 256 * KB)] == [1, 1, 1, 2, 4]

    def test_lambda_rounds_up_to_the_millisecond(self) -> None:
        assert [billed_milliseconds(seconds) for seconds in (0.0, 0.0001, 0.2, 0.2001)] == [1, 1, 200, 201]

    @given(st.floats(0, 900))
    def test_the_billed_time_is_at_most_a_millisecond_too_long(self, seconds: float) -> None:
        billed = billed_milliseconds(seconds)
        assert seconds * 1000 - 0.001 <= billed <= seconds * 1000 + 1

    @given(st.integers(1, 900_000), st.integers(128, 10_240))
    def test_gigabyte_seconds_are_memory_times_time(self, milliseconds: int, memory: int) -> None:
        assert gb_seconds(milliseconds, memory) * 2 == gb_seconds(milliseconds * 2, memory)
        assert gb_seconds(1000, 1024) == 1
