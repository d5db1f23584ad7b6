"""Pictures and the page: they are drawn, they are the same for the same data, and a browser shows the page whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jobs import EVENTS, job, lost, record

from srtplan.cli.main import main
from srtplan.results import charts, load, page, pictures
from srtplan.results.model import Summary

CHROMIUM = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), "")


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
    figure = charts.throughput(summaries)
    assert figure
    lines = {str(line.get_label()): line.get_xdata() for line in figure.axes[0].get_lines()}
    assert {k: len(v) for k, v in lines.items()} == {  # type: ignore[arg-type]
        "Pareto front": 4, "dsr1 1": 3, '<b>"it\'s" & co</b>/x 2 (partial)': 1,
    }  # fmt: skip
    assert [t.get_text() for t in figure.axes[0].texts] == ["2", "4", "1024", "2"]


def test_the_latency_picture_has_two_quantiles_of_four_latencies(summaries: tuple[Summary, ...]) -> None:
    """In milliseconds over concurrency."""
    figure = charts.latency(summaries)
    assert figure
    assert [len(axes.get_lines()) for axes in figure.axes] == [4, 4, 4, 4]
    first = figure.axes[0].get_lines()[1]
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([2, 4, 1024], [240, 240, 240])  # type: ignore[arg-type]


def test_a_failed_step_has_a_cross(summaries: tuple[Summary, ...]) -> None:
    """The timeline shows which step ended with an error, and its code."""
    from srtplan.results import timeline  # noqa: PLC0415 -- beside its use

    told = timeline.read(summaries[0].run_dir)
    assert told
    texts = [t.get_text() for t in charts.timeline("x", told).axes[0].texts]
    assert {"88 s", "exit 9"} <= set(texts)


def test_a_job_of_evaluations_has_no_throughput(tmp_path: Path) -> None:
    """Nothing is drawn of what was not measured."""
    job(tmp_path, 1, {"name": "gsm8k", "status": "ok", "score": 0.9})
    assert list(pictures.draw(load.load([tmp_path]), "svg")) == []


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
    summaries: tuple[Summary, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The tables need nothing; pictures say what to install, with exit code 2."""
    monkeypatch.setattr(pictures, "available", lambda: False)
    folder = str(summaries[0].run_dir)
    for more, code in ((["--html", str(tmp_path / "p.html")], 0), (["--pictures", str(tmp_path / "p")], 2)):
        with pytest.raises(SystemExit) as ended:
            main(["results", folder, *more])
        assert ended.value.code == code
    assert "pip install 'srtplan[results]'" in (tmp_path / "p.html").read_text()
    assert "pip install 'srtplan[results]'" in capsys.readouterr().err


def test_the_command_writes_pictures_and_page(summaries: tuple[Summary, ...], tmp_path: Path) -> None:
    """Both formats, into a folder that it makes."""
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "results",
                str(summaries[0].run_dir),
                "--pictures",
                str(tmp_path / "a" / "b"),
                "--format",
                "svg",
                "--html",
                str(tmp_path / "p.html"),
            ]
        )
    assert ended.value.code == 0
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == [
        "latency.svg",
        "throughput.svg",
        "timeline_dsr1_1.svg",
    ]
    assert (tmp_path / "p.html").stat().st_size > 50_000


@pytest.mark.skipif(not CHROMIUM, reason="no chromium here")
@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_the_page_whole(summaries: tuple[Summary, ...], tmp_path: Path, width: int) -> None:
    """Nothing is wider than the window, no error is logged, every picture has a size."""
    probe = """<script>addEventListener("load", () => {
      const wide = [...document.body.children].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length;
      const sizes = [...document.querySelectorAll("figure > svg")].map(e => Math.round(e.getBoundingClientRect().height));
      document.title = JSON.stringify({wide, sizes, scroll: document.documentElement.scrollWidth <= innerWidth});
    });</script></body>"""
    file = tmp_path / "page.html"
    file.write_text(rendered(summaries).replace("</body>", probe))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},1000",
        f"--user-data-dir={tmp_path}/c",
    ]
    done = subprocess.run(
        [CHROMIUM, *options, "--virtual-time-budget=3000", "--dump-dom", file.as_uri()],
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
