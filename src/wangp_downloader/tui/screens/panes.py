"""The panes around the table: details, downloads, and the line that stands for all in a tiny terminal.

A base of the main screen for the sake of size: when panes are made, how high they are, what they show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size

from wangp_downloader.tui import bars
from wangp_downloader.tui.screens.commands import CommandsScreen

if TYPE_CHECKING:
    from textual.widgets import Static

    from wangp_downloader.tui.widgets.bar import Bars
    from wangp_downloader.tui.widgets.details import DetailsPane
    from wangp_downloader.tui.widgets.downloads import DownloadsRow, PaneState

MIDDLE_CELLS = 110
"""From here on the log stands beside the transfers."""
WIDE_CELLS = 150
"""From here on the details stand beside the table."""
TALL_CELLS = 30
LEAST = Size(60, 15)
"""The smallest terminal in which the program can be used."""
_FRAME = 5
"""Lines of header, filter, sums, status and keys."""
_TABLE = 6
"""Lines that the table keeps: headings and five rows."""
_FEW = 5
_MANY = 16


class PanesScreen(CommandsScreen):
    """A screen with panes that give way to the table."""

    _details: DetailsPane | None = None
    _pane: DownloadsRow | None = None
    _banner: Bars | None = None
    _note: Static | None = None
    _folded = False

    def toggle_details(self) -> None:
        """Open or close the details."""
        from wangp_downloader.tui.widgets.details import DetailsPane  # noqa: PLC0415 - start-up

        if self._details is None:
            self._details = DetailsPane(id="details")
            self.query_one("#body").mount(self._details)
        else:
            self._details.display = not self._details.display
        self.host.set_details(self._details.display)
        self.fit_panes()
        self._show_details()

    def _show_details(self) -> None:
        if self._details is not None:
            current = self.table.current
            self._details.show(lambda width: bars.details(self.desk, current, width))

    def toggle_downloads(self) -> None:
        """Open or close the downloads pane; one that is folded to its total line is opened first."""
        if self._pane is not None and self._pane.display and not self._folded:
            self._pane.display = False
        else:
            self.open_pane()

    def open_pane(self) -> None:
        """Show the downloads pane with its transfers."""
        from wangp_downloader.tui.widgets.downloads import DownloadsRow  # noqa: PLC0415 - start-up

        if self._pane is None:
            self._pane = DownloadsRow(list(self.desk.log_lines), id="downloads-row")
            self.mount(self._pane, before="#foot")
        self._pane.display = True
        self._folded = False
        self.fit_panes()
        self.call_after_refresh(self._show_pane)

    def fold_pane(self) -> None:
        """Leave only the total line of the downloads pane."""
        self._folded = True
        self.fit_panes()

    def fit_panes(self) -> None:
        """Give the downloads pane the lines that table and details leave it, at least its total line."""
        size = self.size or self.app.size
        tall = size.height >= TALL_CELLS
        self._show_too_small(size.width < LEAST.width or size.height < LEAST.height)
        if self._pane is None:
            return
        border = 1 if tall else 0
        room = size.height - _FRAME - _TABLE - (self._banner is not None and self._banner.display)
        if self._details is not None and self._details.display and size.width < WIDE_CELLS:
            room -= _FEW
        wanted = max(_FEW, min(_MANY, size.height * 3 // 10)) if tall else _FEW
        height = 1 + border if self._folded else max(1 + border, min(wanted, room))
        if self._pane.styles.height is None or self._pane.styles.height.value != height:
            self._pane.styles.height = height

    def _show_too_small(self, small: bool) -> None:
        if self._note is None:
            if not small:
                return
            from textual.widgets import Static  # noqa: PLC0415 - start-up

            words = f"terminal too small: {LEAST.width}×{LEAST.height} at least"
            self._note = Static(words, id="too-small", markup=False)
            self.mount(self._note)
        self._note.display = small

    def _show_pane(self) -> None:
        if self._pane is not None and self._pane.display:
            self._pane.show(self._pane_state())

    def _pane_state(self) -> PaneState:
        from wangp_downloader.tui.widgets.downloads import PaneState  # noqa: PLC0415 - start-up

        desk = self.desk
        word, limit = bars.run_word(desk), desk.limit_text
        return PaneState(desk.snapshot, list(desk.history), word, limit, desk.free)
