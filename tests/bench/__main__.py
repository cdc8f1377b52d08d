"""`make bench`: run the benchmarks, one JSON line each; `ONLY=name` runs one.

In: environment `ONLY`, `CONTACTS`. Out: lines on standard output; the last one compares the flow
with its row-by-row twin, measured in the same run.
"""

import json
import os
import sys

from tests.bench import e2e_contacts, naive_twin


def main() -> int:
    """Run what was asked for; exit 1 when anything was lost or doubled."""
    only = os.environ.get("ONLY", "")
    contacts = int(os.environ.get("CONTACTS", e2e_contacts.CONTACTS))
    failed = False
    figures: dict[str, float] = {}
    if only in ("", "e2e_contacts"):
        line = e2e_contacts.run(contacts)
        figures["e2e_contacts"] = line["value"]
        failed = bool(line["lost"] or line["duplicates"])
        print(json.dumps(line), flush=True)
    if only in ("", "naive_twin"):
        line = naive_twin.run()
        figures["naive_twin"] = line["value"]
        print(json.dumps(line), flush=True)
    if len(figures) > 1:
        ratio = round(figures["e2e_contacts"] / figures["naive_twin"], 1)
        line = {"bench": "ratio", "value": ratio, "unit": "e2e_contacts / naive_twin"}
        print(json.dumps(line), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
