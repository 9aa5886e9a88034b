"""What an event, or all that goes on, is called in one line on the command line. Pure functions."""

from __future__ import annotations

from wangp_downloader.events import Event, FileFinished, FileRetrying
from wangp_downloader.files import Outcome
from wangp_downloader.snapshot import Phase, Snapshot, Transfer
from wangp_downloader.units import format_duration, format_size, format_speed, plural


def text_of(event: Event) -> str | None:
    """Return the line for an event that is worth one wherever progress is shown, else None; notices have their own."""
    if isinstance(event, FileRetrying):
        return f"{event.key}: {event.reason}; trying again in {event.wait_s:.0f} s"
    if not isinstance(event, FileFinished) or event.outcome is Outcome.SKIPPED:
        return None
    if event.outcome is Outcome.FAILED:
        return f"✗ {event.key}: {event.error}"
    verified = "" if event.verified or event.outcome is Outcome.KEPT else " (unverified)"
    return f"✓ {event.key}: {event.outcome.value}{verified}"


def state_of(transfer: Transfer) -> str:
    """Return where a transfer stands: what has arrived, how fast and how long still, or what it waits for."""
    fraction = transfer.fraction
    here = format_size(transfer.done) if fraction is None else f"{int(100 * fraction)}%"
    match transfer.phase:
        case Phase.DOWNLOADING:
            speed, left = format_speed(transfer.bytes_per_s), format_duration(transfer.eta_s)
            return f"{here:>4} {speed:>9} {left:>7}"
        case Phase.VERIFYING:
            return f"{here:>4} verifying"
        case Phase.RETRYING:
            return f"{transfer.problem or 'waiting'}; again in {transfer.wait_s:.0f} s"
        case _:
            return transfer.problem or transfer.phase.value


def summary_of(snapshot: Snapshot) -> str | None:
    """Return one line for all transfers, or for what is hashed if there are none; None if nothing goes on."""
    if any(transfer.phase is not Phase.FINISHED for transfer in snapshot.transfers.values()):
        totals = snapshot.totals
        failed = f", {totals.failed:,} failed" if totals.failed else ""
        return (
            f"{totals.finished:,} of {plural(totals.files, 'file')}{failed}, "
            f"{_share(totals.done, totals.size)}, {format_speed(totals.bytes_per_s)}, "
            f"{format_duration(totals.eta_s)} left"
        )
    hashing = snapshot.hashing.values()
    if not hashing:
        return None
    done, size = sum(each.done for each in hashing), sum(each.size for each in hashing)
    return f"hashing {plural(len(hashing), 'file')}: {_share(done, size)}"


def _share(done: int, size: int | None) -> str:
    return f"{format_size(done)} of {format_size(size)}"
