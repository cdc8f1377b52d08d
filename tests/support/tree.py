"""The repository as data: its Python files, its services, its root.

In: the file tree. Out: what the architecture tests are about.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("services", "shared", "deploy", "tests")


def python_files(*parts: str) -> list[Path]:
    """Every Python file of these top folders (default: all code)."""
    return sorted(path for part in parts or CODE for path in (ROOT / part).rglob("*.py"))


def services() -> list[str]:
    """The services that exist, by name."""
    return sorted(path.parent.name for path in (ROOT / "services").glob("*/__init__.py"))


def relative(path: Path) -> str:
    """The path as a person would name it."""
    return str(path.relative_to(ROOT))
