"""Builds the site, and fails at any dead link: `python -m docs.build OUTPUT` leaves OUTPUT/site/index.html.

docs/*.md and the files of PAGES_ELSEWHERE -> OUTPUT/pages, beside the reference made from the code -> zensical.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import yaml

from docs.reference import reference_pages
from mai1.run.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES_ELSEWHERE = {"launch/README.md": "launchers.md", "SECURITY.md": "security.md"}
"""Files that are pages of the site, too, and their names there."""
NEEDS = {
    "gpu": "a GPU",
    "hosts": "several machines",
    "slurm": "a Slurm cluster",
    "network": "a network",
    "files": "files that do not come with mai1",
    "llama.cpp": "llama.cpp",
}
"""What a block of commands may be marked with: `<!-- needs: gpu, network -->`."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
MARK = re.compile(r"<!-- needs: (.+?) -->")
CONFIG = "mkdocs.yml"


def build(output: Path) -> Path:
    """Build into a directory of its own and return the site's; ValueError with what zensical said where it fails."""
    if output.exists() and any(output.iterdir()) and not (output / CONFIG).is_file():
        raise ValueError(f"{output} holds something else than a site: choose another directory")
    if importlib.util.find_spec("zensical") is None:
        raise ValueError("the site is built by zensical, which is not installed: pip install 'mai1[docs]'")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    config = site_config() | {"docs_dir": "pages", "site_dir": "site"}
    (output / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    write_pages(output / "pages")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(output / CONFIG)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    if done.returncode:
        raise ValueError(f"{output}: zensical ended with code {done.returncode}\n{done.stdout}{done.stderr}")
    return output / "site"


def site_config() -> dict:
    """The configuration as written, with a page for each command in the navigation."""
    config = yaml.safe_load((ROOT / CONFIG).read_text(encoding="utf-8"))
    *_, reference = (section["Reference"] for section in config["nav"] if "Reference" in section)
    reference[1:1] = [{f"mai1 {command}": f"reference/{command}.md"} for command in COMMANDS]
    return config


def write_pages(folder: Path) -> None:
    """All pages of the site as Markdown, with links that hold among them."""
    for source in sources():
        page = folder / name_in_site(source)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(with_links_of_site((ROOT / source).read_text(encoding="utf-8"), source), encoding="utf-8")
    for style in sorted((ROOT / "docs").glob("*.css")):
        shutil.copyfile(style, folder / style.name)
    (folder / "reference").mkdir(parents=True)
    for name, text in reference_pages().items():
        (folder / "reference" / name).write_text(text, encoding="utf-8")


def sources() -> list[str]:
    """The files written by hand that are pages, relative to the root of the project."""
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))] + list(PAGES_ELSEWHERE)


def name_in_site(source: str) -> str:
    """`docs/start.md` is start.md."""
    return PAGES_ELSEWHERE.get(source) or str(PurePosixPath(source).relative_to("docs"))


def with_links_of_site(text: str, source: str) -> str:
    """Links to other pages lead to them; of a file that is no page the path is left, as code."""

    def replace(found: re.Match) -> str:
        shown, (path, hash_sign, anchor) = found[1], found[2].partition("#")
        if re.match(r"[a-z]+:", path) or not path:
            return found[0]
        target = os.path.normpath(os.path.join(os.path.dirname(source), path))
        if target in PAGES_ELSEWHERE or target.startswith("docs/"):
            here = os.path.dirname(name_in_site(source))
            return f"[{shown}]({os.path.relpath(name_in_site(target), here or '.')}{hash_sign}{anchor})"
        if not (ROOT / target).exists():
            raise ValueError(f"{source} links to {path}, which does not exist: mend the link")
        return f"`{target}`" if target in shown else f"{shown} (`{target}`)"

    return MARK.sub(_visible, LINK.sub(replace, text))


def _visible(mark: re.Match) -> str:
    return f"*Needs {' and '.join(NEEDS[need.strip()] for need in mark[1].split(','))}.*\n"


if __name__ == "__main__":
    made = build(Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs"))
    print(made / "index.html")
    print(f"browsers search pages that are served: python -m http.server --bind 127.0.0.1 --directory {made}")
