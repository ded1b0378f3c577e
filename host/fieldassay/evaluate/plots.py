"""The pictures of the accuracy page, drawn from the figures of evaluate.json.

Owns drawing; the numbers come from the experiments. Colours are those of Okabe and Ito, told apart
by everybody, and nothing is said by colour alone. SVG without dates, so equal figures give equal
files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fieldassay.evaluate.stats import clopper_pearson

BLUE, ORANGE, GREEN, GREY, RED = "#0072B2", "#E69F00", "#009E73", "#777777", "#D55E00"
SIZE_INCH = (7.2, 4.0)
Figures = Mapping[str, Any]


def draw(figures: Figures, folder: Path) -> list[str]:
    """Draw every picture for which there are figures.

    Returns:
        File names written, in the order of PICTURES.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    style: dict[Any, Any] = {
        "svg.hashsalt": "fieldassay",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "savefig.facecolor": "white",
    }
    with mpl.rc_context(style):
        for name, (needed, picture, _) in PICTURES.items():
            if not all(figures.get(key) for key in needed):
                continue
            figure, axes = plt.subplots(figsize=SIZE_INCH, layout="constrained")
            picture(axes, figures)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)
            written.append(f"{name}.svg")
    return written


def _scores(axes: Any, figures: Figures) -> None:
    scores = figures["scores"]
    unknown = figures.get("unknown_scores") or scores["unknown"]
    bins = [i / 40 for i in range(41)]
    for values, label, colour, style in (
        (scores["true"], "the substance that is there", BLUE, "-"),
        (scores["other"], "best other substance", ORANGE, "--"),
        (unknown, "best substance where none is there", GREEN, "-."),
    ):
        axes.hist(
            values, bins, density=True, histtype="step", color=colour, linestyle=style,
            linewidth=1.8, label=f"{label} (n = {len(values)})",
        )  # fmt: skip
    axes.set(xlabel="score", ylabel="density", xlim=(0, 1))
    axes.legend(frameon=False, loc="upper left")


def _detection(axes: Any, figures: Figures) -> None:
    targets = [(0.5, 0.95), (0.2, 0.85), (1 / 11, 0.60), (1 / 21, 0.30)]
    axes.plot(*zip(*targets, strict=True), "x", color=GREY, markersize=8, label="at least")
    for (share, points), colour, marker in zip(
        sorted(figures["detection"].items(), reverse=True), (ORANGE, BLUE), "so", strict=False
    ):
        _curve(axes, points, colour, marker, f"share of {share} (n = {points[0][2]} each)")
    axes.set(xscale="log", xlabel="share of the minor component", ylabel="found", ylim=(0, 1.02))
    axes.set_xticks([1 / 21, 1 / 11, 1 / 5, 1 / 2], ["1:20", "1:10", "1:4", "1:1"])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="lower right")


def _noise(axes: Any, figures: Figures) -> None:
    rows = figures["noise"]
    _curve(axes, [row[:3] for row in rows], BLUE, "o", f"right match (n = {rows[0][2]} each)")
    wrong = [(row[0], row[3], row[4]) for row in rows]
    _curve(axes, wrong, RED, "v", f"wrong match (n = {rows[0][4]} each)")
    axes.set(xscale="log", xlabel="signal-to-noise ratio", ylabel="rate", ylim=(-0.02, 1.02))
    axes.set_xticks([row[0] for row in rows], [str(row[0]) for row in rows])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="upper left")


def _axis(axes: Any, figures: Figures) -> None:
    points, unmoved = figures["axis"]["curve"], figures["axis"]["unmoved"]
    n = points[0][2]
    _curve(axes, sorted([*points, [0, unmoved, n]]), BLUE, "o", f"right match (n = {n} each)")
    axes.axhline(unmoved / n - 0.02, color=GREY, linestyle=":", label="unmoved less 2 points")
    axes.set(xlabel="shift of the axis, cm$^{-1}$", ylabel="right match", ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower center")


def _curve(
    axes: Any, points: Sequence[Sequence[float]], colour: str, marker: str, label: str
) -> None:
    """Rates with their exact intervals: (position, count, n)."""
    x = [p[0] for p in points]
    rates = [p[1] / p[2] for p in points]
    intervals = [clopper_pearson(int(p[1]), int(p[2])) for p in points]
    below = [max(r - low, 0.0) for r, (low, _) in zip(rates, intervals, strict=True)]
    above = [max(high - r, 0.0) for r, (_, high) in zip(rates, intervals, strict=True)]
    axes.errorbar(
        x, rates, [below, above], color=colour, marker=marker, capsize=3, linewidth=1.5, label=label
    )


def _reliability(axes: Any, figures: Figures) -> None:
    for key, colour, marker, label in (
        ("reliability_other", BLUE, "o", "p_other, substances not in the library"),
        ("reliability_true", ORANGE, "s", "p_true, library substances"),
    ):
        points = [p for p in figures.get(key) or [] if p[1]]  # a logarithm has no place for 0
        if points:
            _curve(axes, points, colour, marker, f"{label} (n = {points[0][2]})")
    ends = [0.002, 0.5]
    axes.plot(ends, ends, color=GREY, linestyle=":", label="as stated")
    axes.set(xscale="log", yscale="log", xlabel="stated: at most", ylabel="counted",
             ylim=(5e-4, 1.2))  # fmt: skip
    axes.legend(frameon=False, loc="lower right", fontsize=9)


def _confusion(axes: Any, figures: Figures) -> None:
    table: Mapping[str, Mapping[str, int]] = figures["confusion"]
    outcomes = sorted({o for row in table.values() for o in row}, key=_order)
    values = [[table[group].get(outcome, 0) for outcome in outcomes] for group in table]
    shares = [[v / sum(row) for v in row] for row in values]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            colour = "white" if shares[i][j] > 0.5 else "black"
            axes.text(j, i, str(value or "·"), ha="center", va="center", color=colour)
    words = [o.replace("inconclusive: ", "inconclusive:\n").replace("_", " ") for o in outcomes]
    axes.set_xticks(range(len(outcomes)), words, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(len(table)), list(table))
    for side in axes.spines.values():
        side.set_visible(False)


def _order(outcome: str) -> tuple[int, str]:
    first = ("right match", "mixture", "class", "inconclusive", "out of library", "refused")
    place = [i for i, word in enumerate(first) if outcome.startswith(word)]
    return (place[0] if place else len(first), outcome)


def _families(axes: Any, figures: Figures) -> None:
    table: Mapping[str, Sequence[int]] = figures["families"].get("other instruments", {})
    names = [name for name, (_, n) in table.items() if n]
    rates = [table[name][0] / table[name][1] for name in names]
    axes.barh(range(len(names)), rates, color=BLUE, height=0.6)
    for i, name in enumerate(names):
        axes.text(rates[i] + 0.01, i, f"{table[name][0]} of {table[name][1]}", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.axvline(0.5, color=GREY, linestyle=":")
    axes.set(xlabel="members left out for which the family is named", xlim=(0, 1.12))
    axes.invert_yaxis()


Picture = tuple[tuple[str, ...], Callable[[Any, Figures], None], str]
PICTURES: Mapping[str, Picture] = {
    "accuracy-scores": (
        ("scores",), _scores,
        "Scores of the substance that is there, of the best other one, and of the best one where "
        "the substance is not in the library",
    ),
    "accuracy-confusion": (
        ("confusion",), _confusion,
        "What is said of library substances, by instrument: right matches, mixtures, doubt by its "
        "reason, and wrong names if there are any",
    ),
    "accuracy-reliability": (
        ("reliability_other",), _reliability,
        "The error rates stated in `quality` against those counted, with exact 95 % intervals; "
        "p_other is a rank of the whole rule; the calibration is made from these same spectra, so "
        "this shows that it is used rightly and not that it holds elsewhere",
    ),
    "accuracy-detection": (
        ("detection",), _detection,
        "How often the minor component of two is found, against its share",
    ),
    "accuracy-noise": (
        ("noise",), _noise, "Right and wrong matches against the signal-to-noise ratio",
    ),
    "accuracy-axis": (("axis",), _axis, "Right matches against a shift of the axis"),
    "accuracy-families": (
        ("families",), _families,
        "For each family the members left out for which it is named, on other instruments",
    ),
}  # fmt: skip
