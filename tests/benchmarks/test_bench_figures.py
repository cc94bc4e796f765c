import pytest

from benchmarks.__main__ import PUBLISHED, default_output
from benchmarks.plot import plot
from benchmarks.report import Figure, Result, figures_table, page, table
from benchmarks.samples import Sample, per


def test_a_sample_has_a_median_a_spread_and_a_tail() -> None:
    sample = Sample([3.0, 1.0, 2.0, 10.0])
    assert sample.median == 2.5
    assert sample.text(1) == "2.5 (1.0-10.0)"
    assert sample.percentile(0.5) == 2.0
    assert sample.percentile(0.99) == 10.0
    assert Sample([7.0]).percentile(0.99) == 7.0


def test_nothing_measured_is_no_sample() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Sample([])


def test_missing_figures_are_left_out() -> None:
    assert per([10.0, 4.0, 9.0], [5, 0, 3]) == [2.0, 3.0]


def test_a_figure_at_its_limit_is_met_and_one_above_is_not() -> None:
    result = Result()
    result.at_most(1, "cost", 3.0, 3.0, "times", "3.00 (2.90-3.10)")
    result.at_most(2, "memory", 70.1, 70.0, "MiB")
    assert result.figures == [
        Figure(1, "cost", "≤ 3 times", "3.00 (2.90-3.10) times", met=True),
        Figure(2, "memory", "≤ 70 MiB", "70.1 MiB", met=False),
    ]


def test_the_table_is_in_the_order_of_the_numbers() -> None:
    result = Result()
    result.unmeasured(9, "size", "no database")
    result.judge(5, "runs missed", "none", "0", met=True)
    lines = figures_table(result.figures).splitlines()
    assert lines[2:] == [
        "| 5 | runs missed | none | 0 | yes |",
        "| 9 | size | - | no database | not measured |",
    ]


def test_a_page_holds_the_figures_and_sections_of_all_parts() -> None:
    one, other = Result(), Result(sections=["## Side by side\n\nmore"])
    one.at_most(3, "rest", 0.2, 0.3, "%")
    text = page("How.", [one, other])
    assert text.startswith("# Performance\n\nHow.\n\n## Figures\n")
    assert "| 3 | rest | ≤ 0.3 % | 0.2 % | yes |" in text
    assert text.endswith("## Side by side\n\nmore\n")


def test_a_table_has_as_many_marks_as_columns() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_plot_shows_each_line_at_each_size() -> None:
    drawn = plot({"ours": {1: 10.0, 100: 1.0}, "other": {1: 10.0, 100: 0.1}}).splitlines()
    assert drawn[1].endswith("|AB")
    assert drawn[-3].strip().startswith("0.10 |")
    assert drawn[-3].endswith("B")
    assert drawn[-2].split() == ["1", "100", "meters"]
    assert drawn[-1] == "A ours, B other"
    assert sum(line.count("A") for line in drawn[1:-2]) == 2


def test_only_a_whole_run_replaces_the_page_of_the_docs() -> None:
    assert default_output([], quick=False) == PUBLISHED
    for partial in (default_output(["page"], quick=False), default_output([], quick=True)):
        assert PUBLISHED.parent not in partial.parents
