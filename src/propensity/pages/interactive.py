"""Charts that answer to mouse and touch, and the policy that keeps a page from asking for anything from elsewhere.

A chart is one specification. A page shows it as a still picture, which is also what is printed and what a reader
without JavaScript sees; where JavaScript runs, Vega draws the same specification anew, as wide as the screen allows.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import altair as alt
import vl_convert as vlc
from markupsafe import Markup

from propensity.pages.charts import styled


@dataclass(frozen=True)
class Drawing:
    """A chart of a page.

    Attributes
    ----------
    key : str
        Its id on the page.
    alternative : str
        What it shows, for who cannot see it: the main figures in a sentence or two.
    caption : str
        How to read it.
    chart : altair chart
    """

    key: str
    alternative: str
    caption: str
    chart: alt.TopLevelMixin

    @cached_property
    def specification(self) -> dict[str, Any]:
        """In Vega-Lite, in the house's style."""
        # Altair checks each part as it is made; checking the whole again takes half of a page's time
        return {**styled(self.chart).to_dict(validate=False), "description": self.alternative}

    @property
    def still(self) -> Markup:
        """As SVG; the page tells what it shows (``alternative``)."""
        return Markup(slim(vlc.vegalite_to_svg(self.specification)))

    @property
    def script(self) -> Markup:
        """The specification as it may stand inside a page."""
        return Markup(json.dumps(self.specification, separators=(",", ":")).replace("<", "\\u003c"))


_UNSEEN = re.compile(
    r'<path(?=[^>]* (?:opacity="0"|display="none"|d=""|d="M0,0h0v0h0Z"))[^>]*/>'  # drawn for pointers, or not at all
    r'| (?:aria-[a-z]+|role|pointer-events|class)="[^"]*"'  # told once for the whole picture
)
_PLACES = re.compile(r' (?:d|transform)="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")


def slim(svg: str) -> str:
    """A picture without what nobody sees; places to the hundredth of a pixel."""
    seen = _UNSEEN.sub("", svg)
    return _PLACES.sub(lambda place: _DIGITS.sub(r"\1", place[0]), seen)


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without any wish for a network (about 0.9 MB)."""
    return vlc.javascript_bundle().replace("</script", "<\\/script")  # type: ignore[call-arg]  # its stub is wrong


@cache
def packed_vega() -> str:
    """`vega` as gzip in base64, less than half as long: a page unpacks it when it is about to draw."""
    return base64.b64encode(gzip.compress(vega().encode(), mtime=0)).decode()


def content_policy(*scripts: str) -> str:
    """The content security policy of a page that holds everything inside, and runs these scripts and no others."""
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "form-action 'none'; base-uri 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
