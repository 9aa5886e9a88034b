"""What the user does with both tables: select, sort, show more or less. Works on the desk, draws nothing."""

from __future__ import annotations

from collections.abc import Container

from wangp_downloader.tui.desk import Desk
from wangp_downloader.tui.models import HERE, ModelRow, Readiness
from wangp_downloader.tui.painting import FILE_COLUMNS, MODEL_COLUMNS
from wangp_downloader.units import plural


def toggle_model(desk: Desk, row: ModelRow) -> None:
    """Pick all that a model needs, or drop it again if all of it is picked."""
    if row.picked:
        dropped = sum(file.set_selected(False) for file in row.rows)
        desk.selection_done(f"unselected {plural(dropped, 'file')} of {row.name}")
        return
    added = desk.files.select(row.rows)
    if added:
        blocked = _blocked_words(row)
        if blocked:
            needed = sum(file.status not in HERE for file in row.rows)
            desk.selection_done(f"selected {added:,} of {needed:,}{blocked}")
        else:
            desk.selection_done(f"selected {plural(added, 'file')} that {row.name} needs")
    elif row.readiness is Readiness.READY:
        desk.selection_done(f"{row.name} is ready: nothing is missing")
    elif row.readiness is Readiness.UNKNOWN:
        desk.selection_done(f"{row.name}: all that is known is here, but not every file it needs is known")
    else:
        desk.selection_done(f"{row.name}: what is missing can not be had now, i says why")


def _blocked_words(row: ModelRow) -> str:
    missing = [file for file in row.rows if not file.obtainable and file.status not in HERE]
    if not missing:
        return ""
    return f"; {len(missing):,} {'is' if len(missing) == 1 else 'are'} blocked (i says why)"


def select_shown(desk: Desk) -> None:
    """Pick every row that is shown."""
    if not (desk.models.view if desk.models_shown else desk.files.view):
        desk.say("no rows are shown: nothing to select")
        return
    if desk.models_shown:
        shown = len(desk.models.view)
        added = sum(desk.files.select(row.rows) for row in desk.models.view)
        desk.selection_done(f"selected {plural(added, 'file')} of the {plural(shown, 'model')} shown")
        return
    pickable = [row for row in desk.files.view if row.obtainable and not row.selected]
    added = desk.files.select(desk.files.view)
    partners = added - sum(row.selected for row in pickable)
    more = (
        f" ({partners:,} {'is a partner' if partners == 1 else 'are partners'} not shown)" if partners else ""
    )
    desk.selection_done(f"selected {added:,}{more}")


def toggle_show_all(desk: Desk) -> None:
    """Show missing files only, or all."""
    show_all = not desk.files.settings.show_all
    desk.set_view(show_all=show_all)
    desk.say("all files" if show_all else "missing files only")


def toggle_variants(desk: Desk) -> None:
    """Show only what Wan2GP's settings pick, or every variant."""
    variants = not desk.files.settings.variants
    desk.set_view(variants=variants)
    desk.say("all variants" if variants else "only what your Wan2GP settings pick")


def sort_by(desk: Desk, column: str) -> None:
    """Sort by a column; the second time the other way round; the third time as Wan2GP lists them."""
    current, descending = current_sort(desk)
    if column != current:
        _sort(desk, column, False)
    elif not descending:
        _sort(desk, column, True)
    else:
        _sort(desk, "", False)


def sort_by_next(desk: Desk, shown: Container[str]) -> None:
    """Sort by the column after the present one, at last as Wan2GP lists them.

    Args:
        desk: Has the tables.
        shown: Keys of the columns that can be seen.
    """
    columns = MODEL_COLUMNS if desk.models_shown else FILE_COLUMNS
    order = ["", *(column.key for column in columns)]
    current, _ = current_sort(desk)
    after = order[order.index(current) + 1 :]
    _sort(desk, next((key for key in after if key in shown), ""), False)


def reverse(desk: Desk) -> None:
    """Turn the order round."""
    current, descending = current_sort(desk)
    if current:
        _sort(desk, current, not descending)
    else:
        desk.say("choose a column first: o, or a click on its heading")


def current_sort(desk: Desk) -> tuple[str, bool]:
    """Return the column that the table shown is sorted by, and whether largest first."""
    if desk.models_shown:
        return desk.models.sort, desk.models.descending
    return desk.files.settings.sort, desk.files.settings.descending


def _sort(desk: Desk, column: str, descending: bool) -> None:
    if desk.models_shown:
        desk.models.sort, desk.models.descending = column, descending
        desk.show_view()
    else:
        desk.set_view(sort=column, descending=descending)
    if not column:
        desk.say("in Wan2GP's own order")
        return
    titles = {each.key: each.title for each in (*MODEL_COLUMNS, *FILE_COLUMNS)}
    title = "selection" if column == "mark" else titles[column].lower()
    up, down = _ORDERS.get(column, ("A–Z", "Z–A"))
    desk.say(f"sorted by {title}, {down if descending else up}")


_SIZES = ("smallest first", "largest first")
_ORDERS = {
    "mark": ("selected first", "selected last"),
    "status": ("most urgent first", "settled first"),
    "size": _SIZES,
    "needed": _SIZES,
    "state": ("started first", "ready first"),
    "files": ("most missing first", "fewest missing first"),
}
"""How people say the two directions of a column; all others are text."""
