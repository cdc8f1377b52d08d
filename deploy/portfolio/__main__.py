"""Print a sample portfolio, e.g. `python -m deploy.portfolio --debtors 1000 > events.ndjson`.

In: options. Out: one structured CloudEvent per line, ready for `POST /v1/events:bulk`.
"""

import argparse
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec

from deploy.portfolio import configuration
from deploy.portfolio.events import registrations
from deploy.portfolio.sample import draw_sample


def main() -> int:
    """Print the events; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.portfolio", description=__doc__)
    parser.add_argument("--debtors", type=int, default=1_000)
    parser.add_argument("--seed", default="demo")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2026, 3, 2))
    parser.add_argument("--ladder", type=Path, help="YAML whose steps mid-life debts had done")
    arguments = parser.parse_args()
    steps = configuration.steps_of(arguments.ladder.read_text()) if arguments.ladder else []
    debtors = draw_sample(
        seed=arguments.seed,
        debtors=arguments.debtors,
        start=arguments.start,
        brazil_steps=steps,
        us_steps=steps,
    )
    at = datetime.combine(arguments.start, time(6), UTC)
    encode = msgspec.json.Encoder().encode
    for event in registrations(debtors, at):
        sys.stdout.buffer.write(encode(event) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
