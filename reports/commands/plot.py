"""``ftcost estimate --plot``: the roofline picture as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from estimator.errors import InputError
from estimator.run import Run
from reports.files import check_file, write_files
from reports.layout import DPI, dots_per_inch

FLAG = "--plot"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Where the picture goes, and how fine it is.

    Attributes:
        path: the file; its directory is made if it does not exist.
        dpi: pixels per inch.
    """

    path: Path
    dpi: int

    @classmethod
    def of(cls, path: Path | None, *, dpi: int | None) -> Plot | None:
        """The picture that the flags ask for, refused before anything is computed where it cannot be written.

        Raises:
            InputError: another kind of file, a place that cannot hold it, or a resolution out of range.
        """
        if path is None:
            if dpi is not None:
                raise InputError("--dpi shapes the file of --plot. Name one: --plot roofline.png.")
            return None
        check_file(path, flag=FLAG, endings=(".png",))
        return cls(path=path, dpi=dots_per_inch(dpi) if dpi is not None else DPI)

    def write(self, *, run: Run, constants: Mapping[str, float]) -> None:
        """Draw the run and put the file in its place whole; one that was there is replaced."""
        from reports.drawn.roofline_chart import roofline_png

        content = roofline_png(run=run, constants=constants, dpi=self.dpi)
        write_files(self.path.parent, {self.path.name: content}, flag=FLAG)
