"""Drafts the migration that the tables in `schema.py` need now.

`python -m propensity.ledger.migrations.new_migration "What changes"` compares them with what the migrations make, and
writes the next file in ``versions/``, to be read and finished by hand.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from alembic import command

from propensity.ledger import Ledger, migrating


def draft(what: str, versions: Path | None = None) -> Path:
    """Write the next migration beside the others, in ``versions``; ``what`` becomes its first sentence and its name."""
    revision = f"{int(migrating.newest()) + 1:04d}"
    with tempfile.TemporaryDirectory() as directory, closing(Ledger(f"sqlite:///{directory}/empty.db")) as ledger:
        ledger.create()
        with ledger.engine.connect() as connection:
            config = migrating.config(connection)
            config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
            if versions is not None:
                config.set_main_option("path_separator", "os")
                config.set_main_option("version_locations", str(versions))
            script = command.revision(config, what, autogenerate=True, rev_id=revision)
    return Path(script.path)  # type: ignore[union-attr]  # one script, as it has no branches


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('usage: python -m propensity.ledger.migrations.new_migration "What changes"')
    print(draft(sys.argv[1]))
