"""Pictures and the HTML page: complete, reproducible, and fully visible in a browser."""

from __future__ import annotations

import itertools
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from busy import patient
from jobs import EVENTS, job, lost, record
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from srtplan.results.draw import charts, page, pictures, style
from srtplan.results.read import load, workload
from srtplan.results.read.model import Summary

pytestmark = pytest.mark.slow


@pytest.fixture
def summaries(tmp_path: Path) -> tuple[Summary, ...]:
    """Two jobs, one of them partial, one with a name that needs escaping in HTML and file names."""
    job(tmp_path, 1, record(2), record(4, user=80, gpu=70), record(1024, user=20, gpu=90), events=EVENTS)
    job(tmp_path, 2, record(2, user=120, gpu=40), lost(4), events=EVENTS, name='<b>"it\'s" & co</b>/x')
    return load.load([tmp_path])


def test_every_picture_is_drawn(summaries: tuple[Summary, ...]) -> None:
    """There is a throughput chart, a latency chart and a timeline for each job, all with valid file names."""
    drawn = list(pictures.draw_pictures(summaries, "png"))
    assert [p.name for p in drawn] == ["throughput", "latency", "timeline_dsr1_1", "timeline_b_it_s_co_b_x_2"]
    assert all(p.content.startswith(b"\x89PNG") and len(p.content) > 20_000 for p in drawn)


def test_pictures_are_the_same_for_the_same_data(summaries: tuple[Summary, ...]) -> None:
    """A picture has no date and no random ids, so that it can be compared byte by byte."""
    for kind in ("png", "svg"):
        assert list(pictures.draw_pictures(summaries, kind)) == list(pictures.draw_pictures(summaries, kind))


def test_the_throughput_chart_shows_every_point_and_the_front(summaries: tuple[Summary, ...]) -> None:
    """Each job is a line with one point per result; the band is the Pareto front."""
    figure = charts.throughput_chart(list(enumerate(summaries)), "sa-bench isl 1024")
    assert figure
    (axes,) = figure.axes
    lines = {str(line.get_label()): line.get_xdata() for line in axes.get_lines()}
    assert {k: len(v) for k, v in lines.items()} == {  # type: ignore[arg-type]
        "Pareto front": 4, "dsr1 1": 3, '<b>"it\'s" & co</b>/x 2 (partial)': 1,
    }  # fmt: skip
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(lines)
    assert [t.get_text() for t in axes.texts] == ["2", "4", "1024", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("tokens/s per user", "output tokens/s per GPU")
    assert (list(axes.get_lines()[1].get_xdata()), list(axes.get_lines()[1].get_ydata())) == (
        [100, 80, 20],
        [50, 70, 90],
    )  # type: ignore[arg-type]
    assert (axes.get_xlim()[0], axes.get_ylim()[0]) == (0, 0)
    assert axes.get_title(loc="left") == "Throughput versus interactivity\nsa-bench isl 1024"


def test_the_latency_chart_has_two_quantiles_of_four_latencies(summaries: tuple[Summary, ...]) -> None:
    """Latencies are in milliseconds over concurrency, medians as solid lines; a job has one entry in the legend."""
    figure = charts.latency_chart(list(enumerate(summaries)), "sa-bench isl 1024")
    assert figure
    assert [len(axes.get_lines()) for axes in figure.axes] == [4, 4, 4, 4]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Time to first token", "Time per output token", "Inter-token latency", "End-to-end latency",
    ]  # fmt: skip
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == [
        ("", "ms"), ("", "ms"), ("concurrency", "ms"), ("concurrency", "ms"),
    ]  # fmt: skip
    median, tail = figure.axes[0].get_lines()[:2]
    assert (median.get_linestyle(), tail.get_linestyle()) == ("-", "--")
    assert (list(median.get_xdata()), list(median.get_ydata())) == ([2, 4, 1024], [120, 120, 120])  # type: ignore[arg-type]
    assert (list(tail.get_xdata()), list(tail.get_ydata())) == ([2, 4, 1024], [240, 240, 240])  # type: ignore[arg-type]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "median", "99th percentile", "dsr1 1", '<b>"it\'s" & co</b>/x 2 (partial)',
    ]  # fmt: skip
    assert figure.get_suptitle() == "Latency\nsa-bench isl 1024"
    assert [t.get_text() for t in figure.axes[2].get_xticklabels()] == ["2", "4", "1024"]


@pytest.mark.parametrize(("slowest", "scale"), [(400.0, "linear"), (40_000.0, "log")])
def test_latencies_far_apart_have_a_logarithmic_axis(tmp_path: Path, slowest: float, scale: str) -> None:
    """The axis starts at 0 unless a slow job would flatten all others."""
    job(tmp_path, 1, record(2, ttft=100), record(4, ttft=slowest))
    figure = charts.latency_chart(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    axes = figure.axes[0]
    assert (axes.get_yscale(), axes.get_ylim()[0] == 0) == (scale, scale == "linear")


def test_an_unmeasured_latency_is_labelled(tmp_path: Path) -> None:
    """Empty axes would look like an error."""
    job(tmp_path, 1, {k: v for k, v in record(2).items() if not k.startswith("itl")})
    figure = charts.latency_chart(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    assert [[t.get_text() for t in axes.texts] for axes in figure.axes] == [[], [], ["not measured"], []]


def many(folder: Path, jobs: int) -> list[tuple[int, Summary]]:
    """Jobs with long, realistic names."""
    for n in range(jobs):
        name = (
            f"deepseek-r1-gb200-fp4-8k1k-disagg-mid-curve-{n % 4}p{n % 3}d-dep{8 * n}-mtp-eplb-nixl-kv-router"
        )
        job(
            folder,
            4700 + n,
            *(record(c, user=90 - n - c / 50, gpu=c + n, ttft=c * 9) for c in (4, 16, 64, 256, 1024)),
            name=name,
        )
    return list(enumerate(load.load([folder])))


@pytest.mark.parametrize("jobs", [1, 6, 30])
@pytest.mark.parametrize("make", [charts.throughput_chart, charts.latency_chart])
def test_a_legend_covers_nothing(tmp_path: Path, jobs: int, make: Callable[..., Figure | None]) -> None:
    """The figure grows with its legend: axes keep their size, and no element overlaps another or the border."""
    figure = make(many(tmp_path, jobs), "sa-bench isl 8192 osl 1024, deepseek-ai/DeepSeek-R1, gb200, fp4")
    assert figure
    canvas = FigureCanvasAgg(figure)
    with rc_context(style.STYLE):
        canvas.draw()
    renderer = canvas.get_renderer()
    legend = figure.legends[0].get_window_extent(renderer)
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for n, box in enumerate(boxes):
        assert box
        assert not box.overlaps(legend)
        assert not any(other and box.overlaps(other) for other in boxes[:n])
    for box in (*boxes, legend):
        assert box
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 - 1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1
    assert len(figure.legends[0].get_texts()) == jobs + (2 if make is charts.latency_chart else 1)
    height = figure.axes[0].get_position().height * figure.get_size_inches()[1]
    assert height > (4 if make is charts.throughput_chart else 1.9)


def test_with_many_jobs_points_of_the_front_are_labelled_with_the_job_number(tmp_path: Path) -> None:
    """The same numbers are in the legend."""
    figure = charts.throughput_chart(many(tmp_path, 7), "x")
    assert figure
    assert [t.get_text() for t in figure.legends[0].get_texts()][1].startswith("#1 deepseek-r1-")
    on_front = next(line for line in figure.axes[0].get_lines() if line.get_label() == "Pareto front")
    best = set(zip(on_front.get_xdata(), on_front.get_ydata(), strict=True))  # type: ignore[arg-type]
    named = {t.get_text(): t.xy for t in figure.axes[0].texts}  # type: ignore[attr-defined]
    assert {"#1: 256", "#7: 1024"} <= set(named)
    assert set(named.values()) <= best
    assert all(re.fullmatch(r"#[1-7]: (4|16|64|256|1024)", text) for text in named)


def test_a_job_has_the_same_unique_style_in_every_chart(tmp_path: Path) -> None:
    """Jobs of another workload in between, or a chart without the job, do not change its colour and marker."""
    for n in range(16):
        own = record(2) if n else {k: v for k, v in record(2).items() if k != "tokens_per_s_per_user"}
        job(tmp_path, n, own, model=f"org/{n % 2}")
    for jobs in workload.group_by_workload(load.load([tmp_path])).values():
        seen: dict[str, set[object]] = {}
        for make in (charts.throughput_chart, charts.latency_chart):
            figure = make(jobs, "x")
            assert figure
            for line in figure.axes[0].get_lines():
                name = str(line.get_label()).partition(",")[0].partition(" ")[2].removeprefix("dsr1 ")
                seen.setdefault(name, set()).add((line.get_color(), line.get_marker()))
        looks = [look for found in seen.values() for look in found]
        assert (len(seen), len(looks), len(set(looks))) == (8, 8, 8)


def rows_of_points(folder: Path) -> tuple[Figure, int]:
    """A chart of 6 jobs with 12 close points each, and the number of its points."""
    for n in range(6):
        concurrencies = [2**k for k in range(12)]
        job(
            folder,
            n,
            *(
                record(c, user=(135 + 3 * n) / (1 + c / (40 + 9 * n)), gpu=c / (1 + c / 900))
                for c in concurrencies
            ),
        )
    figure = charts.throughput_chart(list(enumerate(load.load([folder]))), "x")
    assert figure
    return figure, 72


def test_labels_overlap_neither_labels_nor_points(tmp_path: Path) -> None:
    """Labels that do not fit are left out."""
    figure, points = rows_of_points(tmp_path)
    canvas = FigureCanvasAgg(figure)
    with rc_context(style.STYLE):
        canvas.draw()
    (axes,) = figure.axes
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in axes.texts]
    assert points / 2 < len(boxes) < points
    assert not [1 for n, box in enumerate(boxes) for other in boxes[:n] if box.overlaps(other)]
    lines = [line for line in axes.get_lines() if line.get_label() != "Pareto front"]
    at = [xy for line in lines for xy in axes.transData.transform(line.get_xydata())]
    assert len(at) == points
    assert not [1 for x, y in at for box in boxes if box.contains(x, y)]
    whole = axes.get_window_extent()
    assert all(whole.x0 <= b.x0 and b.x1 <= whole.x1 and whole.y0 <= b.y0 and b.y1 <= whole.y1 for b in boxes)


def test_router_runs_are_labelled_with_their_prefix_ratio(tmp_path: Path) -> None:
    """Runs of the router benchmark differ in prefix ratio, not in concurrency: labels and the axis show the ratio."""
    ratios = (0.1, 0.5, 0.9)
    job(tmp_path, 1, *(record(20, user=50 + 100 * r, gpu=40 + 90 * r) | {"prefix_ratio": r} for r in ratios))
    jobs = list(enumerate(load.load([tmp_path])))
    points, latencies = charts.throughput_chart(jobs, "x"), charts.latency_chart(jobs, "x")
    assert points
    assert latencies
    assert sorted(t.get_text() for t in points.axes[0].texts) == ["0.1", "0.5", "0.9"]
    axes = latencies.axes[2]
    assert (axes.get_xlabel(), axes.get_xscale()) == ("prefix ratio", "linear")
    assert list(axes.get_lines()[0].get_xdata()) == list(ratios)  # type: ignore[arg-type]


def test_ticks_do_not_overlap(tmp_path: Path) -> None:
    """Only some of many close values have ticks, among them the first and the last; large numbers have no exponent."""
    job(tmp_path, 1, *(record(c, ttft=1e6 * c) for c in range(4, 132, 4)))
    figure = charts.latency_chart(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    canvas = FigureCanvasAgg(figure)
    with rc_context(style.STYLE):
        canvas.draw()
    axes = figure.axes[2]
    labels = [t for t in axes.get_xticklabels() if t.get_text()]
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in labels]
    assert (labels[0].get_text(), labels[-1].get_text()) == ("4", "128")
    assert all(b.x0 - a.x1 > 2 for a, b in itertools.pairwise(boxes))
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    assert "100000000" in [t.get_text() for t in figure.axes[0].get_yticklabels()]


def test_with_very_many_jobs_only_those_on_the_front_have_a_colour(tmp_path: Path) -> None:
    """All other jobs are one grey line, so that the legend stays short."""
    for n in range(60):
        user, gpu = {20: (200, 500), 50: (300, 100)}.get(n, (100, 1))
        job(tmp_path, n, *(record(c, user=user - c, gpu=gpu + c) for c in (1, 4, 16)))
    jobs = list(enumerate(load.load([tmp_path])))
    for make, more in ((charts.throughput_chart, 1), (charts.latency_chart, 2)):
        figure = make(jobs, "x")
        assert figure
        texts = [t.get_text() for t in figure.legends[0].get_texts()]
        assert texts[more:] == ["#21 dsr1 20", "#51 dsr1 50", "58 other jobs"]
        (grey,) = (line for line in figure.axes[0].get_lines() if line.get_label() == "58 other jobs")
        assert sum(x == x for x in grey.get_xdata()) == 58 * 3  # type: ignore[union-attr]  # noqa: PLR0124 -- NaN is not


def test_with_very_many_jobs_failed_jobs_have_timelines_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Timelines keep the order of the jobs, and a message says that not all were drawn."""
    monkeypatch.setattr(pictures, "MAX_TIMELINES", 3)
    for n in range(6):
        job(tmp_path / "jobs", n, record(2), events=EVENTS, **{"class": "worker" if n > 3 else "success"})
    assert command(tmp_path / "jobs", "--pictures", tmp_path / "p") == 0
    drawn = sorted(p.name for p in (tmp_path / "p").iterdir() if p.name.startswith("timeline"))
    assert drawn == [f"timeline_dsr1_{n}.png" for n in (0, 4, 5)]
    message = (
        "srtplan: drew timelines for 3 of 6 jobs, failed jobs first; pass a single job to draw its timeline"
    )
    assert message in capsys.readouterr().err.splitlines()
    assert command(tmp_path / "jobs") == 0
    assert capsys.readouterr().err == ""


def test_every_workload_has_its_own_charts(tmp_path: Path) -> None:
    """Different workloads do not share a front; title and file name contain the workload, and colours restart."""
    for n, model in enumerate(("org/a", "org/b", "org/a")):
        job(tmp_path, n, record(2, user=10 + n), record(4, gpu=60 + n), model=model)
    drawn = list(pictures.draw_pictures(load.load([tmp_path]), "svg"))
    assert [p.name for p in drawn] == [
        f"{kind}_sa-bench_isl_1024_osl_128_org_{m}_h100_fp8"
        for kind in ("throughput", "latency")
        for m in "ab"
    ]
    assert [p.title for p in drawn][:2] == [
        f"Throughput versus interactivity: sa-bench isl 1024 osl 128, org/{m}, h100, fp8" for m in "ab"
    ]
    jobs = workload.group_by_workload(load.load([tmp_path]))
    colours = []
    for group in jobs.values():
        figure = charts.throughput_chart(group, "x")
        assert figure
        lines = [line for line in figure.axes[0].get_lines() if line.get_label() != "Pareto front"]
        colours.append([line.get_color() for line in lines])
    assert colours == [[style.COLOURS[0], style.COLOURS[1]], [style.COLOURS[0]]]


def test_workloads_with_the_same_title_are_distinguished(tmp_path: Path) -> None:
    """Title and file name are extended by the parameters that differ."""
    for n, own in enumerate(({}, {"request_rate": "10"}, {"dataset_path": "/a", "request_rate": "10"})):
        job(tmp_path, n, record(2), parameters={"isl": "1024", "osl": "128"} | own)
    drawn = list(pictures.draw_pictures(load.load([tmp_path]), "svg"))[:3]
    assert [p.title.partition(": ")[2] for p in drawn] == [
        "sa-bench isl 1024 osl 128, org/m, h100, fp8, request_rate -",
        "sa-bench isl 1024 osl 128, org/m, h100, fp8, request_rate 10",
        "sa-bench isl 1024 osl 128 /a, org/m, h100, fp8",
    ]
    assert drawn[1].name == "throughput_sa-bench_isl_1024_osl_128_org_m_h100_fp8_request_rate_10"


def test_two_jobs_with_the_same_name_have_two_files(tmp_path: Path) -> None:
    """Two clusters can assign the same job id: no picture overwrites another."""
    for cluster in "ab":
        job(tmp_path / cluster, 1, record(2), events=EVENTS)
    names = [p.name for p in pictures.draw_pictures(load.load([tmp_path / "a", tmp_path / "b"]), "svg")]
    assert names[-2:] == ["timeline_dsr1_1", "timeline_dsr1_1_2"]


def test_an_evaluation_has_no_charts(tmp_path: Path) -> None:
    """Without throughput and latencies there is nothing to draw."""
    job(tmp_path, 1, {"name": "gsm8k", "status": "ok", "score": 0.9})
    summaries = load.load([tmp_path])
    assert list(pictures.draw_pictures(summaries, "svg")) == []
    assert "No pictures" not in rendered(summaries), "nothing lacks"


class _Links(HTMLParser):
    """Collects everything that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [
            f"{tag} {k}={v}"
            for k, v in attrs
            if k in ("src", "href", "xlink:href") and not (v or "").startswith("#")
        ]


def rendered(summaries: tuple[Summary, ...]) -> str:
    """The HTML page with its pictures."""
    return page.render(summaries, list(pictures.draw_pictures(summaries, "svg")))


def test_the_page_loads_nothing(summaries: tuple[Summary, ...]) -> None:
    """The page has no script, no external style sheet and no external image; job names are escaped."""
    text = rendered(summaries)
    links = _Links()
    links.feed(text)
    assert links.found == []
    assert links.tags.count("svg") == 4
    assert "script" not in links.tags
    assert "url(http" not in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)


def test_every_picture_in_the_page_is_well_formed(summaries: tuple[Summary, ...]) -> None:
    """Each picture is a complete SVG element."""
    for svg in re.findall(r"<svg.*?</svg>", rendered(summaries), flags=re.DOTALL):
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 -- our own


def test_without_matplotlib_the_page_has_only_tables(
    summaries: tuple[Summary, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], command: Callable[..., int],
) -> None:  # fmt: skip
    """The page names the package to install; ``--pictures`` fails with 2."""
    monkeypatch.setattr(pictures, "has_matplotlib", lambda: False)
    for more, code in (("--html", 0), ("--pictures", 2)):
        assert command(summaries[0].run_dir, more, tmp_path / more) == code
    assert "pip install 'srtplan[results]'" in (tmp_path / "--html").read_text()
    assert "pip install 'srtplan[results]'" in capsys.readouterr().err


def test_the_command_writes_pictures_and_page(
    summaries: tuple[Summary, ...], tmp_path: Path, command: Callable[..., int]
) -> None:
    """Pictures and page are written, and missing directories are created."""
    folder, file = tmp_path / "a" / "b", tmp_path / "p.html"
    assert command(summaries[0].run_dir, "--pictures", folder, "--format", "svg", "--html", file) == 0
    assert sorted(p.name for p in folder.iterdir()) == [
        "latency.svg",
        "throughput.svg",
        "timeline_dsr1_1.svg",
    ]
    assert file.stat().st_size > 50_000


@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_the_whole_page(
    summaries: tuple[Summary, ...], tmp_path: Path, width: int, chromium: str
) -> None:
    """Nothing is wider than the window, nothing is logged, and every picture has a size."""
    probe = """<script>addEventListener("load", () => {
      const wide = [...document.body.children].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length;
      const sizes = [...document.querySelectorAll("figure > svg")].map(e => Math.round(e.getBoundingClientRect().height));
      document.title = JSON.stringify({wide, sizes, scroll: document.documentElement.scrollWidth <= innerWidth});
    });</script></body>"""
    file = tmp_path / "page.html"
    file.write_text(rendered(summaries).replace("</body>", probe))
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--window-size={width},1000", f"--user-data-dir={tmp_path}/c",
    ]  # fmt: skip
    done = subprocess.run(
        [chromium, *options, "--virtual-time-budget=3000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, check=True, timeout=patient(120),
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    assert title[1].startswith('{"wide":0,"sizes":['), title[1]
    assert '"scroll":true' in title[1]
    sizes = [int(n) for n in re.findall(r"\d+", title[1].partition("sizes")[2].partition("]")[0])]
    assert len(sizes) == 4
    assert min(sizes) > 100
    assert "CONSOLE" not in done.stderr
