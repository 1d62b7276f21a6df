"""Makes the example summaries beside this file, and their pictures under ``docs``.

`python experiments/examples/make.py`: the whole job (`propensity run`) on the two experiments whose data are public
facts, then `propensity experiment summary` in every form that it has. Needs the data files (see README.md) and, for the
pictures, Chromium. `--pictures` takes these alone. Takes about five minutes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from propensity.datasets import data_directories

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parents[1] / "docs"
CHARITY_FILE = "charity_match.csv.gz"
WIDTHS = {"desktop": 1280, "phone": 390}
FORMS = ("html", "pdf", "csv", "json")


@dataclass(frozen=True)
class Example:
    """An experiment: its name here, its campaign, and how its data are read."""

    name: str
    campaign: str
    source: tuple[str, ...]


EXAMPLES = (
    Example("hillstrom", "minethatdata-2008", ("--data", "hillstrom")),
    Example("charity", "karlan-list-2005-ratios", ("--data", CHARITY_FILE, "--mapping", "charity_ratios")),
)


def propensity(*arguments: object) -> None:
    """Run a command of the product."""
    subprocess.run([sys.executable, "-m", "propensity", *map(str, arguments)], check=True)


def charity_file() -> Path:
    """Where the file of the charity experiment is."""
    places = [directory / CHARITY_FILE for directory, _ in data_directories()]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise SystemExit(f"there is none of {', '.join(map(str, places))}")
    return found


def make(example: Example, scratch: Path) -> None:
    """The job, then its summary in all forms."""
    out = scratch / example.name
    source = [str(charity_file()) if part == CHARITY_FILE else part for part in example.source]
    propensity("run", *source, "--quarantine", scratch / f"{example.name}-bad.csv", "--out", out)
    ledger = f"sqlite:///{out / 'latest' / 'ledger.db'}"
    files = [part for form in FORMS for part in (f"--{form}", HERE / f"{example.name}.{form}")]
    propensity("experiment", "summary", example.campaign, "--ledger", ledger, *files)


def take_pictures() -> None:
    """Of each page at desktop and phone width."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for example in EXAMPLES:
            for size, width in WIDTHS.items():
                page = browser.new_page(viewport={"width": width, "height": 900})
                page.goto((HERE / f"{example.name}.html").as_uri())
                page.wait_for_load_state("networkidle")
                page.screenshot(path=PICTURES / f"{example.name}-{size}.png")
        browser.close()


def main() -> None:
    """Make all examples."""
    if sys.argv[1:] == ["--pictures"]:
        take_pictures()
        return
    with tempfile.TemporaryDirectory() as directory:
        for example in EXAMPLES:
            make(example, Path(directory))
    take_pictures()


if __name__ == "__main__":
    main()
