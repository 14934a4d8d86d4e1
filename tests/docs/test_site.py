"""The site builds, offline, with all its links; and the reference holds every key."""

import html
import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import yaml

from docs.build import LINK, ROOT, build, name_in_site, sources, with_links_of_site
from docs.reference import (
    default_in_words,
    has_keys,
    keys_as_markdown,
    kind_in_words,
    schema_of,
)
from mai1.run.cli import COMMANDS
from mai1.run.help import defaults_of, keys_of
from tests.docs.blocks import PAGES
from tests.test_configs import SCHEMAS

KEYED = [command for command in COMMANDS if has_keys(command)]


class Page(HTMLParser):
    """What a built page refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.assets = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif reference := given.get("src") or (given.get("href") if tag == "link" else None):
            self.assets.append(reference)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("site") / "built")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_built_and_in_the_navigation(site: Path):
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    written = [name_in_site(source) for source in sources()]
    assert sorted(listed) == sorted([*written, *(f"reference/{name}" for name in ("index.md", "options.md"))])
    assert not [name for name in written if not (site / name).with_suffix(".html").is_file()]
    made = [path.name for path in (site.parent / "pages" / "reference").iterdir()]
    assert {f"{command}.md" for command in COMMANDS} < set(made)
    assert not [name for name in made if not (site / "reference" / name).with_suffix(".html").is_file()]


def test_every_link_and_anchor_of_the_site_leads_somewhere(pages: dict[Path, Page]):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(unquote(link))
            if re.match(r"[a-z]+:", target) or path.name == "404.html":
                continue
            goal = (path.parent / target).resolve() if target else path
            goal = goal / "index.html" if goal.is_dir() else goal
            if goal not in pages or (anchor and anchor not in pages[goal].anchors):
                dead.append(f"{path.name}: {link}")
    assert not dead


def test_no_page_loads_anything_from_another_host(site: Path, pages: dict[Path, Page]):
    foreign = [
        f"{path.name}: {asset}"
        for path, page in pages.items()
        for asset in page.assets
        if re.match(r"([a-z]+:)?//", asset) and not asset.startswith("data:")
    ]
    assert not foreign
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", styles)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_of_the_project(page: str):
    links = [found[2].partition("#")[0] for found in LINK.finditer((ROOT / page).read_text(encoding="utf-8"))]
    made = ("reference/index.md", "reference/options.md", *(f"reference/{command}.md" for command in COMMANDS))
    gone = [
        link
        for link in links
        if link
        and not re.match(r"[a-z]+:", link)
        and link not in made
        and not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert not gone


def test_a_dead_link_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="does not exist"):
        with_links_of_site("[x](../mai1/nothing.py)", "docs/start.md")
    assert with_links_of_site("[the loss](../mai1/loss.py)", "docs/start.md") == "the loss (`mai1/loss.py`)"
    assert with_links_of_site("[a](../launch/README.md#slurm)", "docs/start.md") == "[a](launchers.md#slurm)"
    assert with_links_of_site("[b](docs/start.md)", "SECURITY.md") == "[b](start.md)"
    monkeypatch.setattr("docs.build.reference_pages", lambda: {"index.md": "# R\n\n[gone](../start.md#nowhere)\n"})
    with pytest.raises(ValueError, match="anchor does not exist"):
        build(tmp_path / "broken")


def test_nothing_but_a_site_is_replaced(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(ValueError, match="holds something else"):
        build(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "keep me"


def test_the_reference_knows_the_dataclass_of_every_command():
    assert {command: schema_of(command) for command in KEYED} == {c: SCHEMAS[c] for c in KEYED}
    assert set(KEYED) == set(SCHEMAS) & set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_a_command_holds_every_key_with_default_values_and_meaning(command: str, site: Path):
    page = (site.parent / "pages" / "reference" / f"{command}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# mai1 {command}\n") and "```text\n" in page
    if has_keys(command):
        for key in keys_of(schema_of(command), defaults_of(command, schema_of(command))):
            if key.is_section:
                assert f"\n## {key.name}\n" in page
                continue
            (row,) = [line for line in page.splitlines() if f'id="{key.name}"' in line]
            assert f" {default_in_words(key.default).replace('|', '&#124;')} |" in row
            assert kind_in_words(key.kind).replace("|", "&#124;") in row
            assert re.sub(r"\W", "", key.note) in re.sub(r"\W", "", html.unescape(row).replace("\\", ""))


MODULE = '''
from dataclasses import dataclass


@dataclass
class Settings:
    steps: int = 3
    """{note}"""
'''


def test_a_changed_line_in_the_code_changes_the_page(tmp_path: Path):
    shown = []
    for number, note in enumerate(("Optimizer steps.", "Steps of the optimizer, each *once* | at <most>.")):
        path = tmp_path / f"settings_{number}.py"
        path.write_text(MODULE.format(note=note))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)

        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        shown.append("\n".join(keys_as_markdown(list(keys_of(module.Settings)))))
    assert "Optimizer steps." in shown[0] and "Optimizer steps." not in shown[1]
    assert r"each \*once\* &#124; at &lt;most&gt;." in shown[1]


def test_the_configuration_loads_nothing_and_runs_nothing():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["theme"]["font"] is False and config["plugins"] == ["search"] and "hooks" not in config
