"""``python -m propensity.download NAME VERSION DIRECTORY``: a version's files, in a process of its own.

A service that runs does not import MLflow, which would hold up its answers for a second, and can end a download that
hangs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from propensity import registry
from propensity.errors import InputError, JobError


def main() -> None:
    """Print where the files are; or say what is wrong, in one sentence, and exit with its code."""
    name, version, directory = sys.argv[1:]
    try:
        print(registry.download(name, version, Path(directory)))
    except (InputError, JobError) as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
