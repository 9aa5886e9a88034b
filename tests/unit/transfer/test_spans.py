"""The books of bytes, against a model that is a plain set of offsets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.transfer.spans import Ledger, SpanSet

_OFFSET = st.integers(0, 40)
_CHANGES = st.lists(st.tuples(st.booleans(), _OFFSET, _OFFSET), max_size=25)


@given(_CHANGES)
def test_span_set_is_a_set_of_offsets(changes: list[tuple[bool, int, int]]) -> None:
    spans, model = SpanSet(), set[int]()
    for add, start, end in changes:
        if add:
            spans.add(start, end)
            model |= set(range(start, end))
        else:
            spans.remove(start, end)
            model -= set(range(start, end))
        pairs = list(spans)
        assert {offset for a, b in pairs for offset in range(a, b)} == model
        assert all(a < b for a, b in pairs)
        assert all(first[1] < second[0] for first, second in pairwise(pairs))
        assert spans.total == len(model)
        missing = [offset for offset in range(40) if offset not in model]
        gap = spans.first_gap(40)
        assert (gap[0] if gap else None) == (missing[0] if missing else None)
        if gap:
            assert not model & set(range(*gap))
        assert spans.prefix_end() == next((n for n in range(42) if n not in model), 0)


@given(st.integers(1, 200), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), max_size=60))
def test_leases_never_overlap_and_end_in_a_whole_file(size: int, steps: list[tuple[int, int]]) -> None:
    ledger = Ledger(size)
    for most, bring in steps:
        lease = ledger.lease(most) or ledger.split(3)
        ranges = sorted((lease.position, lease.end) for lease in ledger.leases)
        assert all(first[1] <= second[0] for first, second in pairwise(ranges))
        if lease is None:
            break
        ledger.arrived(lease, min(bring, lease.remaining))
        if bring % 3 == 0:
            ledger.release(lease)
    for lease in list(ledger.leases):
        ledger.arrived(lease, lease.remaining)
        ledger.release(lease)
    while (lease := ledger.lease(50)) is not None:
        ledger.arrived(lease, lease.remaining)
        ledger.release(lease)
    assert ledger.complete
    assert list(ledger.here) == [(0, size)]


def test_pieces_come_in_file_order() -> None:
    ledger = Ledger(100)
    ledger.here.add(10, 20)
    starts = [(lease.start, lease.end) for lease in iter(lambda: ledger.lease(30), None)]
    assert starts == [(0, 10), (20, 50), (50, 80), (80, 100)]


def test_an_unknown_size_has_no_end() -> None:
    ledger = Ledger(None)
    lease = ledger.lease(1000)
    assert lease is not None
    assert not ledger.complete
    assert Ledger(0).complete
