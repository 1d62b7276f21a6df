"""A summary as PDF, by WeasyPrint: an extra, as it needs libraries of the system."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from propensity.errors import InputError
from propensity_experiments import page
from propensity_experiments.contents import Summary

PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""Debian's, that WeasyPrint draws letters with."""


class NoPdfError(InputError):
    """What makes PDFs is not installed."""


def as_pdf(summary: Summary) -> bytes:
    """The page on paper: everything unfolded, still charts, the words explained at its end.

    Raises
    ------
    NoPdfError
        WeasyPrint, or a library of the system that it needs, is not installed.
    """
    html_class = _weasyprint_html()
    written: bytes = html_class(string=page.render(summary, "paper"), url_fetcher=_nothing_from_elsewhere).write_pdf()
    return written


def _weasyprint_html() -> Any:
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of every style that is for screens only
    try:
        from weasyprint import HTML
    except ImportError as error:
        raise NoPdfError("a PDF needs WeasyPrint: pip install 'propensity[pdf]', or print the page") from error
    except OSError as error:
        raise NoPdfError(
            f"a PDF needs libraries of the system: apt-get install {PACKAGES}, or print the page"
        ) from error
    return HTML


def _nothing_from_elsewhere(address: str, *args: object, **more: object) -> NoReturn:
    raise ValueError(f"a page holds everything inside, and {address} is elsewhere")
