"""Upserts that merge: one rule per column, the same that `projections` folds by.

In: a table, its key and a rule per column. Out: the INSERT that takes a batch of changes as arrays
or from a temporary table and merges them into the rows that exist, whichever came first.
"""

from collections.abc import Mapping, Sequence

import msgspec


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """How changes enter one table. `rules` maps column to a template over {old} and {new}."""

    table: str
    key: Sequence[str]
    types: Mapping[str, str]
    rules: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that changes carry, in the order of their values."""
        return tuple(self.types)

    def from_arrays(self) -> str:
        """Return the upsert of a batch given as one array per column."""
        arrays = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(self.types.values(), 1))
        names = ", ".join(self.columns)
        return self._upsert(f"unnest({arrays}) AS given ({names})")

    def from_table(self, source: str) -> str:
        """Return the upsert of a batch that was copied into `source`."""
        return self._upsert(source)

    def _upsert(self, source: str) -> str:
        names = ", ".join(self.columns)
        key = ", ".join(self.key)
        merged = ", ".join(
            f"{column} = {rule.format(old=f'kept.{column}', new=f'excluded.{column}')}"
            for column, rule in self.rules.items()
        )
        return (
            f"INSERT INTO {self.table} AS kept ({names}) SELECT {names} FROM {source} "  # noqa: S608
            f"ORDER BY {key} ON CONFLICT ({key}) DO UPDATE SET {merged}"
        )


FIRST = "COALESCE({old}, {new})"
EARLIEST = "LEAST({old}, {new})"  # both ignore NULL
LATEST = "GREATEST({old}, {new})"
ANY = "{old} OR {new}"
UNION = (
    "CASE WHEN {new} <@ {old} THEN {old} "
    "ELSE ARRAY(SELECT DISTINCT unnest({old} || {new}) ORDER BY 1) END"
)
