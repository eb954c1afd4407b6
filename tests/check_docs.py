"""The site that `make docs` made, as files and in a browser: `make docs-check`.

Contrast and names of controls are judged by axe-core, which travels with axe-playwright-python; the browser
is the machine's Chromium. Nothing is fetched: a page that asks for anything but files fails.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sphinx.util.inventory import InventoryFile
from test_docs import PUBLIC

from iommu_abi import samples, uapi

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build/docs/html"
PAGES = sorted(SITE.rglob("*.html"))
NAMES = [str(page.relative_to(SITE)) for page in PAGES]
#: Pages that between them have every style and every control; axe takes half a minute for a long one.
OF_EACH_KIND = [
    "index.html", "search.html?q=SMMUv3", "tutorials/tests.html", "mappings.html", "commands/demo.html",
    "reference/python_tests.html", "lineage.html#iommu_pasid_table_config@ptc_v14",
    "lineage.html#iommu_hw_info@iommufd_6_19", "nested.html#vtd/14", "nested.html#vtd-refused/19",
]  # fmt: skip
AXE = {"runOnly": ["color-contrast", "label", "select-name", "button-name", "link-name", "aria-allowed-attr"]}


# ---------------------------------------------------------------- as files


class Links(HTMLParser):
    """What a page refers to, and what of it can be referred to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("script", "img", "source") and "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given["rel"] in ("stylesheet", "icon", "preload"):
            self.loaded.append(given["href"])


SEEN = {page: Links(page) for page in PAGES}


def test_there_is_a_site():
    assert {"index.html", "lineage.html", "nested.html"} <= set(NAMES), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_inside_the_site_leads_somewhere(page):
    broken = []
    for link in SEEN[page].links:
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in SEEN[target].anchors):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_loads_nothing_but_files_of_the_site(page):
    for name in SEEN[page].loaded:
        assert not urlsplit(name).scheme
        assert (page.parent / urlsplit(name).path).is_file(), name


@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_has_what_a_module_says_is_public_and_nothing_else(module):
    with (SITE / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", posixpath.join)
    kinds = ("py:class", "py:function", "py:exception", "py:data", "py:module", "py:attribute")
    documented = {name for kind in kinds if kind in inventory for name in inventory[kind]}
    public = {f"{module}.{name}" for name in import_module(module).__all__}

    shown = {name for name in documented if re.fullmatch(rf"{re.escape(module)}\.\w+", name)}
    assert shown - set(PUBLIC) == public - set(PUBLIC)


def test_the_reference_has_every_function_of_the_c_headers():
    headers = [path.read_text() for path in (ROOT / "cdefs").rglob("*.h") if ".cffi" not in path.parts]
    declared = {name for text in headers for name in re.findall(r"^IOMMU_ABI_API [^;]*?(\w+)\(", text, re.M)}

    assert len(declared) > 10
    assert declared <= SEEN[SITE / "reference/c.html"].anchors


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "docs-check needs Chromium; on Debian: apt install chromium"
    with sync_playwright() as started:
        made = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


class Watched:
    """A page of the site at a width and in a colour scheme; what it complains of is kept."""

    def __init__(self, browser: Browser, width: int = 1280, scheme: str = "light") -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _asked(self, request: object) -> None:
        url = getattr(request, "url", "")
        if not url.startswith(("file:", "data:")):
            self.complaints.append(f"asks for {url}")

    def open(self, name: str) -> Page:
        self.page.goto(f"file://{SITE}/{name}")
        return self.page


@pytest.fixture(params=[(375, "light"), (1280, "dark")], ids=["375 light", "1280 dark"], scope="module")
def watched(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Watched]:
    made = Watched(browser, *request.param)
    yield made
    made.page.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_quiet_and_fits_its_width(watched, name):
    page = watched.open(name)

    assert watched.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert (
        page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)")
        == []
    )


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_page_can_be_read(watched, name):
    page = watched.open(name)

    found = Axe().run(page, options=AXE).response["violations"]
    first = [(each["id"], each["nodes"][0]) for each in found]
    assert [(name, node["html"], node["failureSummary"]) for name, node in first] == []


@pytest.mark.parametrize(
    ("words", "page"), [("SMMUv3", "walk_smmuv3"), ("iommu_abi_translate", "reference/c")]
)
def test_the_search_finds_a_word(browser, words, page):
    watched = Watched(browser)
    shown = watched.open(f"search.html?q={words}")

    shown.wait_for_selector("ul.search li a")
    assert shown.locator(f"ul.search a[href^='{page}.html']").count() >= 1
    assert watched.complaints == []
    shown.close()


# ---------------------------------------------------------------- the lineage


@pytest.fixture
def lineage(browser: Browser) -> Iterator[Page]:
    watched = Watched(browser)
    yield watched.open("lineage.html")
    assert watched.complaints == []
    watched.page.close()


def go(page: Page, place: str) -> None:
    """Follow a deep link."""
    page.goto(f"file://{SITE}/lineage.html#{place}")
    page.wait_for_function("state => location.hash.startsWith('#' + state)", arg=place.partition("?")[0])


#: Each place -> the cells of its last drawing: name, first and last byte as their hints say; column and width
#: in bytes as they are measured on the screen.
DRAW_ALL = """
async places => {
	const drawn = {};
	for (const place of places) {
		if (location.hash !== `#${place}`) {
			const changed = new Promise(done => addEventListener("hashchange", done, { once: true }));
			location.hash = place;
			await changed;
		}
		const figure = [...document.querySelectorAll("#lineage figure")].at(-1);
		const [first, second] = figure.querySelectorAll(".scale[style*='grid-row: 1;']");
		const left = first.getBoundingClientRect().left;
		const byte = second.getBoundingClientRect().left - left;
		drawn[place] = [...figure.querySelectorAll(".cell:not(.tail)")].map(cell => {
			const [, name, begin, end] = cell.title.match(/^(.*): bytes (\\d+) to (\\d+)$/);
			const box = cell.getBoundingClientRect();
			return [name, +begin, +end, (box.left - left) / byte, box.width / byte];
		});
	}
	return drawn;
}
"""


def test_every_struct_of_every_generation_is_drawn_to_scale_with_all_its_bytes(lineage):
    places = [f"{struct}@{gen}" for struct, gens in uapi.structs().items() for gen in gens]
    drawn = lineage.evaluate(DRAW_ALL, places)

    for place in places:
        made = uapi.layout_of(place, "x86_64")
        shown = {(name, begin, end) for name, begin, end, _, _ in drawn[place]}
        covered = sorted(n for _, begin, end in shown for n in range(begin, end + 1))
        assert covered == [*range(made.size)], place
        holes = {("hole", at, at + size - 1) for at, size in made.holes}
        assert {cell for cell in shown if cell[0] == "hole"} == holes, place
        places_of = {f.name: range(f.offset, f.offset + f.size) for f in made.fields}
        assert all(name == "hole" or {begin, end} <= {*places_of[name]} for name, begin, end in shown), place
        for name, begin, end in shown:
            column, width = next(piece[3:] for piece in drawn[place] if piece[:3] == [name, begin, end])
            assert column == pytest.approx(begin % 8, abs=0.1), (place, name)
            assert width == pytest.approx(min(8 - begin % 8, end - begin + 1), abs=0.1), (place, name)


def test_a_deep_link_shows_a_struct_beside_its_predecessor_and_why_it_broke(lineage):
    """docs/generations.md: ptc_v14 swapped two fields to close a hole, version still 1."""
    go(lineage, "iommu_pasid_table_config@ptc_v14")

    assert lineage.locator("#lineage figcaption b").all_inner_texts() == [
        "iommu_pasid_table_config@ptc_asid_2021",
        "iommu_pasid_table_config@ptc_v14",
    ]
    assert lineage.locator(".timeline [aria-pressed=true]").inner_text() == "ptc_v14\nbreaking"
    reason = lineage.locator("#lineage tbody tr", has=lineage.get_by_text("base_ptr", exact=True)).first
    assert "offset 16 -> 8" in reason.inner_text()
    assert lineage.locator("#lineage .pair .cell.BREAKING").count() > 2


def test_the_abi_changes_the_drawing(lineage):
    """docs/generations.md: 4 bytes before base_ptr belong to nobody, but for i386 and m68k."""
    go(lineage, "iommu_pasid_table_config@ptc_v12")
    figure = lineage.locator("#lineage figure").last

    assert figure.locator(".cell.hole").count() > 0
    lineage.get_by_label("ABI").select_option("i386")
    assert lineage.evaluate("location.hash").endswith("?abi=i386")
    assert figure.locator(".cell", has_text="base_ptr").get_attribute("title") == "base_ptr: bytes 12 to 19"


def structs(page: Page) -> list[str]:
    return page.locator("#lineage [role=option]").all_inner_texts()


def test_the_kernel_and_the_ioctl_leave_what_belongs_to_them(lineage):
    lineage.get_by_label("kernel").select_option("6.3")
    of_6_3 = {name for name, gens in uapi.structs().items() if any(gen.endswith("_6_3") for gen in gens)}
    assert set(structs(lineage)) == of_6_3
    lineage.get_by_label("kernel").select_option("7.2")
    lineage.get_by_label("ioctl").select_option("IOMMU_VIOMMU_ALLOC")

    assert "iommu_viommu_alloc" in structs(lineage)
    assert len(structs(lineage)) <= 3
    lineage.reload()
    assert "iommu_viommu_alloc" in structs(lineage)
    assert lineage.get_by_label("ioctl").input_value() == "IOMMU_VIOMMU_ALLOC"


def test_names_and_fields_are_found_while_they_are_typed(lineage):
    lineage.get_by_label("name or field").press_sequentially("data_uptr")

    assert set(structs(lineage)) >= {"iommu_hwpt_alloc", "iommu_viommu_alloc"}
    assert "iommu_destroy" not in structs(lineage)
    assert lineage.get_by_label("name or field").input_value() == "data_uptr"


def test_only_what_broke_leaves_states_that_broke(lineage):
    lineage.get_by_label("only what broke").check()

    assert lineage.locator(".timeline button small").all_inner_texts() == ["breaking"]
    assert 5 < len(structs(lineage)) < 40


def test_the_keys_choose_structs_and_generations(lineage):
    go(lineage, "iommu_viommu_alloc@iommufd_6_13")
    lineage.locator("#lineage [role=listbox]").focus()

    lineage.keyboard.press("ArrowRight")
    assert lineage.evaluate("location.hash") == "#iommu_viommu_alloc@iommufd_6_19"
    lineage.keyboard.press("ArrowDown")
    following = sorted(uapi.structs())[sorted(uapi.structs()).index("iommu_viommu_alloc") + 1]
    assert lineage.evaluate("location.hash").startswith(f"#{following}@")
    lineage.keyboard.press("Home")
    assert lineage.evaluate("location.hash").startswith(f"#{min(uapi.structs())}@")


@pytest.mark.parametrize(
    "place", ["no_such@nowhere?abi=vax&kernel=9.9&ioctl=NONE", "%E0%A4%A@%", "?find=&abi=&"]
)
def test_an_address_of_nothing_shows_what_there_is(lineage, place):
    lineage.evaluate("place => { location.hash = place }", place)

    lineage.wait_for_function("place => location.hash !== `#${place}`", arg=place)
    assert len(structs(lineage)) == len(uapi.structs())


def test_an_address_that_a_mail_program_has_escaped_is_the_same(lineage):
    lineage.evaluate("location.hash = 'iommu_viommu_alloc%40iommufd_6_13%3Fabi=i386'")

    lineage.wait_for_function("location.hash === '#iommu_viommu_alloc@iommufd_6_13?abi=i386'")


def test_what_was_typed_stands_in_the_address_whatever_it_is(lineage):
    lineage.get_by_label("name or field").fill("100%&x=1")
    lineage.reload()

    assert lineage.get_by_label("name or field").input_value() == "100%&x=1"
    assert "No struct fits." in lineage.locator("#lineage").inner_text()


# ---------------------------------------------------------------- the nested walk

WALKS = json.loads((SITE / "_static/walks-data.js").read_text().partition(" = ")[2].rstrip(";\n"))
TRACES = [pytest.param(walk, id=walk["name"]) for walk in WALKS]


@pytest.fixture
def walked(browser: Browser) -> Iterator[Page]:
    watched = Watched(browser)
    yield watched.open("nested.html")
    assert watched.complaints == []
    watched.page.close()


def said(page: Page) -> str:
    return page.locator("#walk .said").inner_text()


@pytest.mark.parametrize("walk", TRACES)
def test_the_command_beside_a_walk_says_what_is_drawn_and_the_ledgers_agree(walk):
    program, *words = shlex.split(walk["command"])
    command = [sys.executable, "-m", program.replace("-", "_"), *words]
    done = subprocess.run(command, cwd=SITE / "_static/walks", capture_output=True)

    assert json.loads(done.stdout) == walk["answer"]
    assert walk["answer"]["agree"]
    assert done.returncode == (0 if walk["answer"]["ok"] else 1)


@pytest.mark.parametrize("walk", TRACES)
def test_every_step_of_a_walk_is_drawn_in_its_place(walked, walk):
    walked.locator("#walk select").select_option(walk["name"])
    for i, step in enumerate(walk["answer"]["trace"]):
        assert walked.locator("#walk [aria-current]").inner_text() == str(i + 1)
        assert walked.locator("#walk .matrix button.done").count() == i
        assert step["entry"] in said(walked)
        assert step["hpa"] in said(walked)
        page = f"{int(step['hpa'], 16) & ~0xFFF:#x} "
        assert page in walked.locator("#walk .page.now text").last.text_content()
        walked.keyboard.press("ArrowRight") if i else walked.get_by_label("next").click()

    assert ("reaches HPA" if walk["answer"]["ok"] else "is refused") in said(walked)


def test_four_levels_under_four_are_24_reads_and_those_of_device_and_pasid(walked):
    """4 stage-1 entries with 4 of stage 2 before each, and 4 for the data: 4 * 5 + 4."""
    rows = walked.locator("#walk .matrix tbody tr")

    assert [rows.nth(i).locator("button").count() for i in range(9)] == [1, 1, 1, 1, 5, 5, 5, 5, 5]
    assert walked.locator("#walk .matrix button").count() == 4 + 24 + 1


def test_a_step_of_stage_1_links_the_pages_of_both_address_spaces(walked):
    walked.evaluate("location.hash = 'vtd/14'")
    walked.wait_for_selector("#walk line.now")

    pages = walked.locator("#walk .page.now text").all_text_contents()
    assert pages == ["0x40002000 S1 L2", "0x106000 S1 L2"]
    line = walked.locator("#walk line.now").first
    boxes = walked.locator("#walk .page.now rect")
    for end, box in (("y1", boxes.first), ("y2", boxes.last)):
        top, height = float(box.get_attribute("y")), float(box.get_attribute("height"))
        assert float(line.get_attribute(end)) == pytest.approx(top + height / 2)


def test_a_refused_walk_ends_at_the_entry_that_refused_it(walked):
    walked.evaluate("location.hash = 'vtd-refused/18'")
    walked.wait_for_function("document.querySelector('#walk .said').innerText.includes('stops here')")

    assert walked.locator("#walk [data-stopped]").inner_text() == "18"
    walked.get_by_label("last").click()
    assert said(walked) == "read of IOVA 0x1234567123 is refused: not present, stage 2 level 0."


def test_a_walk_of_ones_own_can_be_pasted(walked, tmp_path):
    for name in ("vtd.elf.xz", "vtd.json"):
        (tmp_path / name).write_bytes(samples.contents()[name])
    words = [
        "translate",
        "vtd.elf.xz",
        "--config",
        "vtd.json",
        "--rid",
        "00:07.0",
        "--iova",
        "0x20000000",
        "--explain",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "iommu_abi", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    paste(walked, done.stdout)

    assert walked.locator("#walk .matrix button").count() == 8 + 1
    walked.get_by_label("last").click()
    assert said(walked) == "read of IOVA 0x20000000 reaches HPA 0x3652000: 4 KiB, r."


def paste(page: Page, text: str) -> None:
    page.get_by_text("A walk of yours").click()
    page.get_by_label("JSON").fill(text)
    page.get_by_role("button", name="draw").click()


def test_an_interrupt_is_neither_memory_nor_a_refusal(walked):
    """As translate says it: not ok, and no reason."""
    answer = {**WALKS[0]["answer"], "ok": False, "target": "interrupt"}
    for name in ("hpa", "gpa"):
        del answer[name]

    paste(walked, json.dumps({**answer, "trace": answer["trace"][:2]}))
    walked.get_by_label("last").click()

    assert said(walked) == "read of IOVA 0x1234567123 is an interrupt: no memory is reached."
    assert walked.locator("#walk .said.BREAKING, #walk [data-stopped]").count() == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "JSON"),
        ("null", "no trace"),
        ('{"ok": true}', "no trace"),
        ('{"trace": [{}], "request": {}}', "not that of"),
    ],
)
def test_what_cannot_be_drawn_is_told(walked, text, why):
    paste(walked, text)

    assert re.fullmatch(rf"This cannot be drawn: .*{why}.*\.", walked.get_by_role("alert").inner_text())
    assert walked.locator("#walk .matrix button").count() == 29
