"""The table of one benchmark, as text for a terminal and as Markdown for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """The result of one benchmark. ``explanation`` says what the numbers mean; ``verdicts`` compare
    them with the targets."""

    title: str
    explanation: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def judge(self, what: str, measured: float, target: float, unit: str) -> None:
        """Add a line that compares a measured number with its target. The number should be at most
        as high as the target."""
        word = "met" if measured <= target else "MISSED"
        self.verdicts.append(f"{word}: {what}: {measured:.3g} {unit}, target {target:g} {unit}")

    def as_text(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows)]

        def line(cells: Sequence[str]) -> str:
            first, *others = (
                cell.ljust(width) if not index else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(cells, widths))
            )
            return "  " + "  ".join((first, *others)).rstrip()

        rule = "  " + "  ".join("-" * width for width in widths)
        body = [line(self.columns), rule, *map(line, self.rows)]
        return "\n".join([self.title, self.explanation, *body, *(f"  {v}" for v in self.verdicts)])

    def as_markdown(self) -> str:
        def line(cells: Sequence[str]) -> str:
            return f"| {' | '.join(cells)} |"

        rule = line(["---", *["---:"] * (len(self.columns) - 1)])
        table = "\n".join([line(self.columns), rule, *map(line, self.rows)])
        verdicts = "".join(f"\n- {verdict}" for verdict in self.verdicts)
        return f"## {self.title}\n\n{self.explanation}\n\n{table}\n{verdicts}\n"


def ms(seconds: float) -> str:
    """A time in milliseconds with three significant digits."""
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def times(many: float, few: float) -> str:
    """The ratio of two numbers, such as "3.2x"; "-" if ``few`` is zero."""
    return f"{many / few:.3g}x" if few else "-"


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The intercept and the slope of the line of least squares. Each point is weighted with the
    inverse square of its value; otherwise the few large values would decide alone."""
    weights = [1 / max(y, 1e-9) ** 2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points)) / total
    over = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points))
    under = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points))
    steep = over / under
    return mean_y - steep * mean_x, steep
