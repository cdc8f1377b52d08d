"""Writes the schema snapshots, or with `--check` says which are out of date (exit code 1)."""

import argparse
import json
import sys

from shared.events import schemas


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared.events.schemas")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--allow-breaking", action="store_true", help="before the first release")
    options = parser.parse_args()
    current = schemas.current()
    stale = sorted(
        {path for path, text in current.items() if not path.exists() or path.read_text() != text}
        | (set(schemas.FOLDER.glob("*.json")) - current.keys())
    )
    if options.check:
        for path in stale:
            sys.stderr.write(f"{path.name} is out of date; run `make schemas`\n")
        return 1 if stale else 0
    broken = [
        f"{path.name}: {change}"
        for path in stale
        if path.exists() and path in current
        for change in schemas.breaking_changes(
            json.loads(path.read_text()), json.loads(current[path])
        )
    ]
    if broken and not options.allow_breaking:
        sys.stderr.write("\n".join(broken) + "\nadd a new version of the type instead\n")
        return 1
    for path in stale:
        if path in current:
            path.write_text(current[path])
        else:
            path.unlink()
    sys.stdout.write(f"schemas: {len(current)} current, {len(stale)} changed\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
