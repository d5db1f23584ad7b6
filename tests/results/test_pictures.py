"""Pictures and the page: they are drawn, they are the same for the same data, and a browser shows the page whole."""

from __future__ import annotations

import itertools
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jobs import EVENTS, job, lost, record
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from srtplan.results.draw import charts, drawing, page, pictures
from srtplan.results.read import load, workload
from srtplan.results.read.model import Summary

pytestmark = pytest.mark.slow


@pytest.fixture
def summaries(tmp_path: Path) -> tuple[Summary, ...]:
    """Two jobs, one of them partial, with names that HTML and file names must not trip over."""
    job(tmp_path, 1, record(2), record(4, user=80, gpu=70), record(1024, user=20, gpu=90), events=EVENTS)
    job(tmp_path, 2, record(2, user=120, gpu=40), lost(4), events=EVENTS, name='<b>"it\'s" & co</b>/x')
    return load.load([tmp_path])


def test_every_picture_is_drawn(summaries: tuple[Summary, ...]) -> None:
    """Throughput, latency, and a timeline per job, under names that are file names."""
    drawn = list(pictures.draw(summaries, "png"))
    assert [p.name for p in drawn] == ["throughput", "latency", "timeline_dsr1_1", "timeline_b_it_s_co_b_x_2"]
    assert all(p.content.startswith(b"\x89PNG") and len(p.content) > 20_000 for p in drawn)


def test_pictures_are_the_same_for_the_same_data(summaries: tuple[Summary, ...]) -> None:
    """No date, no random names: a picture can be kept and compared."""
    for kind in ("png", "svg"):
        assert list(pictures.draw(summaries, kind)) == list(pictures.draw(summaries, kind))


def test_the_throughput_picture_shows_every_point_and_the_front(summaries: tuple[Summary, ...]) -> None:
    """One line per job with as many points as it has results, and a band of what nothing beats."""
    figure = charts.throughput(list(enumerate(summaries)), "sa-bench isl 1024")
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
    assert axes.get_title(loc="left") == "Throughput against interactivity\nsa-bench isl 1024"


def test_the_latency_picture_has_two_quantiles_of_four_latencies(summaries: tuple[Summary, ...]) -> None:
    """In milliseconds over concurrency, full lines for medians; a job stands once in the legend."""
    figure = charts.latency(list(enumerate(summaries)), "sa-bench isl 1024")
    assert figure
    assert [len(axes.get_lines()) for axes in figure.axes] == [4, 4, 4, 4]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Time to first token", "Time per output token", "Gap between tokens", "Whole request",
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
def test_a_slow_job_does_not_press_the_others_to_the_floor(
    tmp_path: Path, slowest: float, scale: str
) -> None:
    """Where latencies are far apart the axis is logarithmic, else it begins at 0."""
    job(tmp_path, 1, record(2, ttft=100), record(4, ttft=slowest))
    figure = charts.latency(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    axes = figure.axes[0]
    assert (axes.get_yscale(), axes.get_ylim()[0] == 0) == (scale, scale == "linear")


def test_a_latency_that_no_client_measured_is_said_so(tmp_path: Path) -> None:
    """An empty pair of axes would look like a fault."""
    job(tmp_path, 1, {k: v for k, v in record(2).items() if not k.startswith("itl")})
    figure = charts.latency(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    assert [[t.get_text() for t in axes.texts] for axes in figure.axes] == [[], [], ["not measured"], []]


def many(folder: Path, jobs: int) -> list[tuple[int, Summary]]:
    """Jobs with names as people give them."""
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
@pytest.mark.parametrize("make", [charts.throughput, charts.latency])
def test_a_legend_covers_nothing(tmp_path: Path, jobs: int, make: Callable[..., Figure | None]) -> None:
    """The picture grows with its legend: axes keep their size, and legend, axes and all their words lie apart and inside."""
    figure = make(many(tmp_path, jobs), "sa-bench isl 8192 osl 1024, deepseek-ai/DeepSeek-R1, gb200, fp4")
    assert figure
    canvas = FigureCanvasAgg(figure)
    with rc_context(drawing.STYLE):
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
    assert len(figure.legends[0].get_texts()) == jobs + (2 if make is charts.latency else 1)
    height = figure.axes[0].get_position().height * figure.get_size_inches()[1]
    assert height > (4 if make is charts.throughput else 1.9)


def test_of_many_jobs_the_points_of_the_front_have_the_jobs_number(tmp_path: Path) -> None:
    """The numbers stand in the legend, too."""
    figure = charts.throughput(many(tmp_path, 7), "x")
    assert figure
    assert [t.get_text() for t in figure.legends[0].get_texts()][1].startswith("#1 deepseek-r1-")
    on_front = next(line for line in figure.axes[0].get_lines() if line.get_label() == "Pareto front")
    best = set(zip(on_front.get_xdata(), on_front.get_ydata(), strict=True))  # type: ignore[arg-type]
    named = {t.get_text(): t.xy for t in figure.axes[0].texts}  # type: ignore[attr-defined]
    assert {"#1: 256", "#7: 1024"} <= set(named)
    assert set(named.values()) <= best
    assert all(re.fullmatch(r"#[1-7]: (4|16|64|256|1024)", text) for text in named)


def test_a_job_has_its_colour_in_every_picture_and_no_other_has_it(tmp_path: Path) -> None:
    """Where jobs of another workload lie between them, too; those without a point in one picture count all the same."""
    for n in range(16):
        own = record(2) if n else {k: v for k, v in record(2).items() if k != "tokens_per_s_per_user"}
        job(tmp_path, n, own, model=f"org/{n % 2}")
    for jobs in workload.groups(load.load([tmp_path])).values():
        seen: dict[str, set[object]] = {}
        for make in (charts.throughput, charts.latency):
            figure = make(jobs, "x")
            assert figure
            for line in figure.axes[0].get_lines():
                name = str(line.get_label()).partition(",")[0].partition(" ")[2].removeprefix("dsr1 ")
                seen.setdefault(name, set()).add((line.get_color(), line.get_marker()))
        looks = [look for found in seen.values() for look in found]
        assert (len(seen), len(looks), len(set(looks))) == (8, 8, 8)


def rows_of_points(folder: Path) -> tuple[Figure, int]:
    """A picture of six jobs with twelve rungs each, many of which lie close together; how many points it has."""
    for n in range(6):
        rungs = [2**k for k in range(12)]
        job(
            folder,
            n,
            *(record(c, user=(135 + 3 * n) / (1 + c / (40 + 9 * n)), gpu=c / (1 + c / 900)) for c in rungs),
        )
    figure = charts.throughput(list(enumerate(load.load([folder]))), "x")
    assert figure
    return figure, 72


def test_no_label_lies_on_another_or_on_a_point(tmp_path: Path) -> None:
    """Those that have no room are left out, of the front the last."""
    figure, points = rows_of_points(tmp_path)
    canvas = FigureCanvasAgg(figure)
    with rc_context(drawing.STYLE):
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


def test_the_points_of_the_router_have_their_ratio(tmp_path: Path) -> None:
    """Its runs differ in that, not in concurrency: beside the points and on the axis of latencies."""
    ratios = (0.1, 0.5, 0.9)
    job(tmp_path, 1, *(record(20, user=50 + 100 * r, gpu=40 + 90 * r) | {"prefix_ratio": r} for r in ratios))
    jobs = list(enumerate(load.load([tmp_path])))
    points, latencies = charts.throughput(jobs, "x"), charts.latency(jobs, "x")
    assert points
    assert latencies
    assert sorted(t.get_text() for t in points.axes[0].texts) == ["0.1", "0.5", "0.9"]
    axes = latencies.axes[2]
    assert (axes.get_xlabel(), axes.get_xscale()) == ("share of the prompt in common", "linear")
    assert list(axes.get_lines()[0].get_xdata()) == list(ratios)  # type: ignore[arg-type]


def test_the_rungs_on_an_axis_keep_apart(tmp_path: Path) -> None:
    """Of a dense ladder some are named, the first and the last among them; large numbers have no exponent."""
    job(tmp_path, 1, *(record(c, ttft=1e6 * c) for c in range(4, 132, 4)))
    figure = charts.latency(list(enumerate(load.load([tmp_path]))), "x")
    assert figure
    canvas = FigureCanvasAgg(figure)
    with rc_context(drawing.STYLE):
        canvas.draw()
    axes = figure.axes[2]
    labels = [t for t in axes.get_xticklabels() if t.get_text()]
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in labels]
    assert (labels[0].get_text(), labels[-1].get_text()) == ("4", "128")
    assert all(b.x0 - a.x1 > 2 for a, b in itertools.pairwise(boxes))
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    assert "100000000" in [t.get_text() for t in figure.axes[0].get_yticklabels()]


def test_of_very_many_jobs_those_of_the_front_have_a_colour(tmp_path: Path) -> None:
    """The others are one grey line, so that neither legend nor picture grows without end; none is lost."""
    for n in range(60):
        user, gpu = {20: (200, 500), 50: (300, 100)}.get(n, (100, 1))
        job(tmp_path, n, *(record(c, user=user - c, gpu=gpu + c) for c in (1, 4, 16)))
    jobs = list(enumerate(load.load([tmp_path])))
    for make, more in ((charts.throughput, 1), (charts.latency, 2)):
        figure = make(jobs, "x")
        assert figure
        texts = [t.get_text() for t in figure.legends[0].get_texts()]
        assert texts[more:] == ["#21 dsr1 20", "#51 dsr1 50", "58 other jobs"]
        (grey,) = (line for line in figure.axes[0].get_lines() if line.get_label() == "58 other jobs")
        assert sum(x == x for x in grey.get_xdata()) == 58 * 3  # type: ignore[union-attr]  # noqa: PLR0124 -- NaN is not


def test_of_very_many_jobs_the_failed_have_a_timeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In their own order, and it is said that it is not all."""
    monkeypatch.setattr(pictures, "MOST_TIMELINES", 3)
    for n in range(6):
        job(tmp_path / "jobs", n, record(2), events=EVENTS, **{"class": "worker" if n > 3 else "success"})
    assert command(tmp_path / "jobs", "--pictures", tmp_path / "p") == 0
    drawn = sorted(p.name for p in (tmp_path / "p").iterdir() if p.name.startswith("timeline"))
    assert drawn == [f"timeline_dsr1_{n}.png" for n in (0, 4, 5)]
    said = "srtplan: timelines of 3 of 6 jobs, those that ended badly first; name a job to see its own"
    assert said in capsys.readouterr().err.splitlines()
    assert command(tmp_path / "jobs") == 0
    assert capsys.readouterr().err == ""


def test_every_workload_has_its_own_pictures(tmp_path: Path) -> None:
    """No front over jobs that did something else; the workload stands in title and name, and colours begin anew."""
    for n, model in enumerate(("org/a", "org/b", "org/a")):
        job(tmp_path, n, record(2, user=10 + n), record(4, gpu=60 + n), model=model)
    drawn = list(pictures.draw(load.load([tmp_path]), "svg"))
    assert [p.name for p in drawn] == [
        f"{kind}_sa-bench_isl_1024_osl_128_org_{m}_h100_fp8"
        for kind in ("throughput", "latency")
        for m in "ab"
    ]
    assert [p.title for p in drawn][:2] == [
        f"Throughput and interactivity: sa-bench isl 1024 osl 128, org/{m}, h100, fp8" for m in "ab"
    ]
    jobs = workload.groups(load.load([tmp_path]))
    colours = []
    for group in jobs.values():
        figure = charts.throughput(group, "x")
        assert figure
        lines = [line for line in figure.axes[0].get_lines() if line.get_label() != "Pareto front"]
        colours.append([line.get_color() for line in lines])
    assert colours == [[drawing.COLOURS[0], drawing.COLOURS[1]], [drawing.COLOURS[0]]]


def test_workloads_that_read_the_same_are_told_apart(tmp_path: Path) -> None:
    """By what they differ in, in title and file name."""
    for n, own in enumerate(({}, {"request_rate": "10"}, {"dataset_path": "/a", "request_rate": "10"})):
        job(tmp_path, n, record(2), parameters={"isl": "1024", "osl": "128"} | own)
    drawn = list(pictures.draw(load.load([tmp_path]), "svg"))[:3]
    assert [p.title.partition(": ")[2] for p in drawn] == [
        "sa-bench isl 1024 osl 128, org/m, h100, fp8, request_rate -",
        "sa-bench isl 1024 osl 128, org/m, h100, fp8, request_rate 10",
        "sa-bench isl 1024 osl 128 /a, org/m, h100, fp8",
    ]
    assert drawn[1].name == "throughput_sa-bench_isl_1024_osl_128_org_m_h100_fp8_request_rate_10"


def test_two_jobs_of_one_name_have_two_files(tmp_path: Path) -> None:
    """A job id is given again in another cluster: no picture takes another's place."""
    for cluster in "ab":
        job(tmp_path / cluster, 1, record(2), events=EVENTS)
    names = [p.name for p in pictures.draw(load.load([tmp_path / "a", tmp_path / "b"]), "svg")]
    assert names[-2:] == ["timeline_dsr1_1", "timeline_dsr1_1_2"]


def test_a_job_of_evaluations_has_no_throughput(tmp_path: Path) -> None:
    """Nothing is drawn of what was not measured."""
    job(tmp_path, 1, {"name": "gsm8k", "status": "ok", "score": 0.9})
    summaries = load.load([tmp_path])
    assert list(pictures.draw(summaries, "svg")) == []
    assert "No pictures" not in rendered(summaries), "nothing lacks"


class _Links(HTMLParser):
    """Everything that a page would load."""

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
    """The page with its pictures."""
    return page.render(summaries, list(pictures.draw(summaries, "svg")))


def test_the_page_loads_nothing(summaries: tuple[Summary, ...]) -> None:
    """One file: no script, no style sheet, no image from elsewhere; names of jobs stay text."""
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
    """Each is an SVG by itself."""
    for svg in re.findall(r"<svg.*?</svg>", rendered(summaries), flags=re.DOTALL):
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 -- our own


def test_without_matplotlib_there_is_a_page_and_a_word(
    summaries: tuple[Summary, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], command: Callable[..., int],
) -> None:  # fmt: skip
    """The tables need nothing; pictures say what to install, with exit code 2."""
    monkeypatch.setattr(pictures, "available", lambda: False)
    for more, code in (("--html", 0), ("--pictures", 2)):
        assert command(summaries[0].run_dir, more, tmp_path / more) == code
    assert "pip install 'srtplan[results]'" in (tmp_path / "--html").read_text()
    assert "pip install 'srtplan[results]'" in capsys.readouterr().err


def test_the_command_writes_pictures_and_page(
    summaries: tuple[Summary, ...], tmp_path: Path, command: Callable[..., int]
) -> None:
    """Both formats, into a folder that it makes."""
    folder, file = tmp_path / "a" / "b", tmp_path / "p.html"
    assert command(summaries[0].run_dir, "--pictures", folder, "--format", "svg", "--html", file) == 0
    assert sorted(p.name for p in folder.iterdir()) == [
        "latency.svg",
        "throughput.svg",
        "timeline_dsr1_1.svg",
    ]
    assert file.stat().st_size > 50_000


@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_the_page_whole(
    summaries: tuple[Summary, ...], tmp_path: Path, width: int, chromium: str
) -> None:
    """Nothing is wider than the window, no error is logged, every picture has a size."""
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
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    assert title[1].startswith('{"wide":0,"sizes":['), title[1]
    assert '"scroll":true' in title[1]
    sizes = [int(n) for n in re.findall(r"\d+", title[1].partition("sizes")[2].partition("]")[0])]
    assert len(sizes) == 4
    assert min(sizes) > 100
    assert "CONSOLE" not in done.stderr
