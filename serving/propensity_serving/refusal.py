"""Models that must not serve."""

from __future__ import annotations

from propensity import playbook
from propensity.errors import InputError
from propensity.ledger import Ledger, is_playbook_approved
from propensity.playbook import Playbook


class ModelRefused(InputError):  # noqa: N818 - what happened to it
    """A model that must not serve.

    Parameters
    ----------
    detail : str
        The sentence for the log, with places on this machine.
    told : str
        The same for callers, without.
    """

    def __init__(self, detail: str, told: str) -> None:
        super().__init__(detail)
        self.told = told


def require_approved(book: Playbook, title: str, ledger: Ledger) -> None:
    """Refuse a playbook that nobody approved; ``title`` is the model that decides by it.

    Raises
    ------
    ModelRefused
        It says how to approve the playbook.
    """
    if is_playbook_approved(ledger, book.version):
        return
    shipped = playbook.shipped().get(book.name)
    file = book.name if shipped and playbook.load(shipped).version == book.version else "FILE"
    raise ModelRefused(
        f"playbook {book.name}, version {book.version}: model {title} decides by it, and nobody approved it in "
        f"ledger {ledger.name}; approve it with: propensity playbook approve {file} --who NAME --ledger {ledger.name} "
        "(or for development, start with --unapproved-playbook)",
        f"nobody approved its playbook {book.name}, version {book.version}",
    )
