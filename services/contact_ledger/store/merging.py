"""Upserts that merge: one rule per column, the same that `projections` folds by.

In: a table, the shape of its changes, its key and a rule per column. Out: the INSERT that takes a
batch of changes as one JSON document and merges them into the rows that exist, whichever came
first. JSON, because it is the cheapest way in: a change says three or four of a contact's 37
columns, and only those are written, sent and read.
"""

from collections.abc import Mapping, Sequence

import msgspec


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """How changes enter one table. `rules` maps column to a template over {old} and {new}.

    Changes leave out what they do not say (`omit_defaults`); the table's row type gives NULL for
    it, or the shape's own default where that is something.
    """

    table: str
    shape: type[msgspec.Struct]
    key: Sequence[str]
    rules: Mapping[str, str]

    def upsert(self) -> str:
        """Return the upsert of a batch: $1 is the array of changes, as JSON."""
        names = ", ".join(self.shape.__struct_fields__)
        key = ", ".join(self.key)
        merged = ", ".join(
            f"{column} = {rule.format(old=f'kept.{column}', new=f'excluded.{column}')}"
            for column, rule in self.rules.items()
        )
        return (
            f"INSERT INTO {self.table} AS kept ({names}) SELECT {names} "  # noqa: S608
            f"FROM json_populate_recordset({self._blank()}, $1::json) "
            f"ORDER BY {key} ON CONFLICT ({key}) DO UPDATE SET {merged}"
        )

    def _blank(self) -> str:
        """Return the row of a change that says nothing."""
        defaults = {each.name: _default(each) for each in msgspec.structs.fields(self.shape)}
        said = {name: default for name, default in defaults.items() if default is not None}
        nothing = f"NULL::{self.table}"
        if not said:
            return nothing
        return f"json_populate_record({nothing}, '{msgspec.json.encode(said).decode()}')"


FIRST = "COALESCE({old}, {new})"
EARLIEST = "LEAST({old}, {new})"  # both ignore NULL
LATEST = "GREATEST({old}, {new})"
ANY = "{old} OR {new}"
UNION = (
    "CASE WHEN {new} <@ {old} THEN {old} "
    "ELSE ARRAY(SELECT DISTINCT unnest({old} || {new}) ORDER BY 1) END"
)


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else field.default
