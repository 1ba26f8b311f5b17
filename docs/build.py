"""Builds the documentation site in artefacts/site: `python -m docs.build`, or `make docs`.

The references are written from the code, the notebook from examples/quickstart.py and run, Sphinx builds with warnings
as errors, and every link and every file that a page asks for is looked up. `--no-run` keeps the notebook as it is.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jupytext
import nbformat
from nbclient import NotebookClient

from docs import reference

DOCS = Path(__file__).parent
ROOT = DOCS.parent
SITE = ROOT / "artefacts" / "site"
SCRIPT, NOTEBOOK = ROOT / "examples" / "quickstart.py", DOCS / "notebook.ipynb"


def notebook() -> nbformat.NotebookNode:
    """The notebook that the script is, without outputs; equal for equal scripts."""
    made = jupytext.read(SCRIPT)
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    made["metadata"] = {"kernelspec": made.metadata.kernelspec, "language_info": {"name": "python"}}
    return made


def run_notebook(timeout: int = 600) -> None:
    """Run the script as a notebook, with the shipped tables, and keep it with its figures."""
    made = notebook()
    # Figures as their data alone: JupyterLab and VS Code draw them, and so does the site, from its own plotly.js.
    os.environ |= {"PLOTLY_RENDERER": "plotly_mimetype", "PYTHONPATH": str(ROOT)}
    NotebookClient(made, timeout=timeout, record_timing=False, resources={"metadata": {"path": str(ROOT)}}).execute()
    for cell in made.cells:
        # Warnings of other packages name folders of this machine.
        cell["outputs"] = [each for each in cell.get("outputs", ()) if each.get("name") != "stderr"]
        if cell.cell_type != "code":
            del cell["outputs"]
    nbformat.write(made, NOTEBOOK)


class Page(HTMLParser):
    """What a page has and asks for: ids, links, and files that a browser loads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        loads = {"script": "src", "img": "src", "source": "srcset", "iframe": "src"}.get(tag)
        if tag == "link" and {"stylesheet", "icon", "preload"} & set(found.get("rel", "").split()):
            loads = "href"
        if loads in found:
            self.loads.append(found[loads])


def problems(site: Path) -> Iterator[str]:
    """A sentence for each link that leads nowhere, and each file that a page loads from elsewhere or lacks."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site).as_posix()
        for load in page.loads:
            parts = urlsplit(load)
            if parts.scheme != "data" and (parts.netloc or not (path.parent / unquote(parts.path)).is_file()):
                yield f"{where} loads {load}"
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{where} links to {link}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                yield f"{where} links to {link}, which has no such part"


def main() -> None:
    """Write, run, build and check; the exit code is 1 where something is wrong."""
    reference.main()
    if "--no-run" not in sys.argv:
        run_notebook()
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    built = subprocess.run([*command, str(DOCS), str(SITE)], check=False, cwd=ROOT)
    found = [*problems(SITE)]
    sys.stderr.write("".join(f"{line}\n" for line in found))
    if built.returncode or found:
        raise SystemExit(1)
    sys.stdout.write(f"The site is in {SITE.relative_to(ROOT)}: open index.html there, a server is not needed.\n")


if __name__ == "__main__":
    main()
