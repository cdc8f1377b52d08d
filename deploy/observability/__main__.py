"""Write the dashboards anew: `python -m deploy.observability` (part of `make docs`)."""

from deploy.observability.dashboards import files


def main() -> None:
    """Write each dashboard that is not as it should be."""
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
