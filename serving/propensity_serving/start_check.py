"""What is looked at before the service starts, so that what is wrong is said in one sentence and nothing starts.

`propensity serve` runs this in a process of its own while it imports BentoML. It reads no more than the playbook of the
model that is to serve; workers check the rest when they load it.
"""

from __future__ import annotations

import gc
import json
import sys
from contextlib import closing
from pathlib import Path

from propensity.checksums import STATE_FILE
from propensity.errors import InputError, JobError
from propensity.ledger import Ledger
from propensity.ledger.keys import require_usable_key
from propensity.playbook import Playbook
from propensity.registered import Pointed, RegistryDown, look, model_files
from propensity_serving import copies
from propensity_serving.refusal import ModelRefused, require_approved
from propensity_serving.settings import Settings


def main() -> None:
    """Print the name and version of what will serve; or say what is wrong, and exit with its code."""
    settings = Settings.read()
    try:
        with closing(Ledger(settings.ledger).open()) as ledger:
            if settings.asks_for_keys:
                require_usable_key(ledger)
            pointed, warning = _what_will_serve(settings, ledger)
            told = {"name": pointed.name, "version": pointed.version, "ledger": ledger.name, "warning": warning}
    except (InputError, JobError) as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(told))


def _what_will_serve(settings: Settings, ledger: Ledger) -> tuple[Pointed, str | None]:
    """The version, and what is to be said if it is not the one that the registry names."""
    copy = _copy(settings)
    try:
        pointed = look(settings.model, settings.alias)
    except RegistryDown as error:
        if copy is None:
            raise JobError(
                f"{error}, and there is no last good copy in {settings.state}; start the registry"
            ) from error
        _require_approved(settings, copy.pointed, copy.pointed.directory, ledger)
        return copy.pointed, f"{error}; the last good copy serves until it answers"
    if copy is not None and pointed.is_same(copy.pointed):
        files = copy.pointed.directory
    else:
        files = model_files(pointed.directory) if pointed.directory else None
    try:
        _require_approved(settings, pointed, files, ledger)
    except ModelRefused as error:
        if copy is None or pointed.is_same(copy.pointed):
            raise
        _require_approved(settings, copy.pointed, copy.pointed.directory, ledger)
        return copy.pointed, f"{error}; until then the last good copy serves"
    return pointed, None


def _copy(settings: Settings) -> copies.Copy | None:
    """The last good copy, if there is one that is intact."""
    try:
        copy = copies.last_good(settings.state, settings.alias, settings.model)
        if copy is not None:
            copy.require_intact()
    except ModelRefused:  # workers say so, and take it from the registry
        return None
    return copy


def _require_approved(settings: Settings, pointed: Pointed, files: Path | None, ledger: Ledger) -> None:
    """Where the files are on this machine; else workers see to it when they have them."""
    if files is None or settings.allow_unapproved:
        return
    try:
        state = json.loads((files / STATE_FILE).read_text(encoding="utf-8"))
        book = Playbook.model_validate(state["playbook"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = f"its files cannot be read ({type(error).__name__})"
        raise ModelRefused(f"model {pointed.title}: {told}: {files}", told) from error
    require_approved(book, pointed.title, ledger)


if __name__ == "__main__":
    gc.disable()  # it ends soon
    main()
