"""Command line: `python -m deploy.documents` writes the generated tables; `--check` compares.

In: the documents and the code. Out: documents whose tables are current; with `--check`, one line
per stale document and exit code 1.
"""

import argparse
import sys

from deploy.documents.blocks import ROOT, documents, renewed
from deploy.documents.tables import TABLES


def main() -> int:
    """Write or compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    stale = 0
    for path in documents():
        before = path.read_text()
        after = renewed(before, TABLES)
        if after == before:
            continue
        stale += 1
        if not check:
            path.write_text(after)
        print(f"{path.relative_to(ROOT)}: {'stale, run `make docs`' if check else 'written'}")  # noqa: T201 - told to the caller
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
