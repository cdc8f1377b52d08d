"""Command line: `python -m deploy.documents` writes what is generated; `--check` compares.

In: the documents and the code. Out: documents whose tables are current, and the API documents under
`docs/`; with `--check`, one line per stale document and exit code 1.
"""

import argparse
import sys

from deploy.documents.blocks import ROOT, documents, renewed
from deploy.documents.files import files
from deploy.documents.tables import TABLES


def main() -> int:
    """Write or compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    current = {path: renewed(path.read_text(), TABLES) for path in documents()} | files()
    stale = [
        path for path, text in current.items() if not path.exists() or path.read_text() != text
    ]
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(current[path])
        print(f"{path.relative_to(ROOT)}: {'stale, run `make docs`' if check else 'written'}")  # noqa: T201 - told to the caller
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
