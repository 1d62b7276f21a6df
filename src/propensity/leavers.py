"""People who left, from any file: what they stated, what they wrote, and what was known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from propensity import contract, datasets, playbook
from propensity.dataset import read_file
from propensity.errors import InputError
from propensity.reasons import ReasonMapping
from propensity.reasons.classifier import checked_reasons

MAX_VALUES = 100
"""A text with more different values is a name, a key or an address, of which nothing carries over to other people."""
REVEALING = 0.8
"""A column by which guesses at reasons go wrong so much less often was most likely filled in because of them."""
_NO_FEATURES = ("customer_id", "as_of", "churned_at", "reason", "owner", *contract.PRIVATE)


@dataclass(frozen=True)
class Leavers:
    """People who left.

    Attributes
    ----------
    file : str
        Where they come from.
    table : DataFrame (n, columns of the file)
        As they stand in the file, without those who are excluded.
    labels : Series (n,)
        What they stated, in the words of the file; missing where nothing.
    reason : Series (n,)
        What that means in our taxonomy; missing where unknown.
    answers : Series (n,) or None
        What they wrote.
    n_excluded : int
        People whom the table of reasons excludes.
    not_features : tuple of str
    """

    file: str
    table: pd.DataFrame
    labels: pd.Series
    reason: pd.Series
    answers: pd.Series | None
    n_excluded: int
    not_features: tuple[str, ...]

    @property
    def features(self) -> pd.DataFrame:
        """What a reason may be told from, (n, d); all columns but those that are named, times and texts of no kind."""
        own = {*_NO_FEATURES, *self.not_features}
        return self.table[[c for c in self.table if c not in own and _may_tell(self.table[c])]]

    @property
    def without_pattern(self) -> list[str]:
        """Columns that are no feature although nobody said so."""
        named = {*_NO_FEATURES, *self.not_features}
        return [str(c) for c in self.table if c not in named and not _may_tell(self.table[c])]

    @property
    def revealing(self) -> list[str]:
        """Features whose values all but say the reason, so that they were most likely filled in because of it."""
        known = self.reason.notna()
        reason = self.reason[known]
        by_chance = 1 - reason.value_counts(normalize=True).max()
        found = []
        for name, values in self.features[known].items():
            if by_chance > 0 and values.nunique() <= MAX_VALUES:
                same = pd.crosstab(values.astype(object).where(values.notna(), "missing").astype(str), reason)
                by_column = 1 - same.max(axis=1).sum() / len(reason)
                # lambda of Goodman and Kruskal (1954)
                if 1 - by_column / by_chance >= REVEALING:
                    found.append(str(name))
        return found


def _may_tell(values: pd.Series) -> bool:
    if values.dtype.kind in "mM":
        return False
    return pd.api.types.is_numeric_dtype(values) or values.nunique() <= MAX_VALUES


def read_leavers(
    data: str,
    *,
    labels: str | Path | None = None,
    column: str | None = None,
    answers: str | None = None,
    without: Sequence[str] = (),
) -> Leavers:
    """Read people who left.

    Parameters
    ----------
    data : str
        A CSV or Parquet file, or the name of a table of reasons that comes with the product and names its file.
    labels : path, optional
        Table of what the labels mean (see `ReasonMapping`). Without one they must be reasons of the taxonomy. What it
        says of its file counts where the arguments below say nothing.
    column : str, optional
        What people stated; default: ``reason``.
    answers : str, optional
        What they wrote; default: ``exit_answer`` where the file has it.
    without : sequence of str
        Further columns that are no features.

    Raises
    ------
    InputError
        The file or a column is not there, or a label is unknown.
    """
    shipped = {p.stem for p in playbook.shipped_directory("reasons").glob("*.toml")}
    is_example = data in shipped and not Path(data).exists()
    named = labels or (data if is_example else None)
    table = None if named is None else ReasonMapping.load(named)
    path = _found(table.file.name or "") if is_example and table else Path(data)
    if not path.is_file():
        known = ", ".join(sorted(shipped))
        raise InputError(f"data {data}: there is no such file; name a CSV or Parquet file, or an example: {known}")
    about = table.file if table else None
    column = column or (about and about.column) or "reason"
    answers = answers or (about and about.answers) or None
    people = read_file(path, [name for name in (column, answers, "exit_answer") if name])
    answers = answers or ("exit_answer" if "exit_answer" in people else None)
    only = about.only if about else {}
    skipped = [*(about.not_features if about else ()), *without]
    _require_columns(path, people, [column, *([answers] if answers else []), *only, *skipped])
    for name, values in only.items():
        people = people[contract.as_text(people[name]).isin(values)]
    if table is None:
        try:
            reason, excluded = checked_reasons(people[column]), pd.Series(False, index=people.index)
        except InputError as error:
            raise InputError(f"{error}. Say with --labels TABLE what labels of your own mean") from error
    else:
        reason, excluded = table.apply(people[column])
    kept = people[~excluded].reset_index(drop=True)
    return Leavers(
        file=path.name,
        table=kept,
        labels=contract.as_text(kept[column]),
        reason=reason[~excluded].reset_index(drop=True),
        answers=contract.as_text(kept[answers]) if answers else None,
        n_excluded=int(excluded.sum()),
        not_features=tuple(dict.fromkeys([*skipped, column, *([answers] if answers else [])])),
    )


def _found(name: str) -> Path:
    """A file in one of the places where data sets are looked for."""
    places = [directory / name for directory, _ in datasets.data_directories()]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        where = ", ".join(str(place.parent) for place in places)
        raise InputError(
            f"{name}: is in none of {where}; put it there, or name its directory in {datasets.DATA_DIRECTORY_VARIABLE}"
        )
    return found


def _require_columns(path: Path, people: pd.DataFrame, wanted: Sequence[str]) -> None:
    found = [str(c) for c in people.columns]
    for name in wanted:
        if name not in found:
            near = contract.close_name(name, found)
            hint = f" (did it mean {near!r}?)" if near else ""
            raise InputError(f"data {path}: has no column {name!r}{hint}; the columns are {', '.join(found)}")
