"""The generated files under `docs/`: one OpenAPI document per service, and the AsyncAPI document.

In: the documents as the code has them. Out: path to text, with members in a stable order, so that
a change of the code is a readable change of the file.
"""

import json
from pathlib import Path

from deploy.documents import asyncapi, openapi
from deploy.documents.blocks import ROOT

FOLDER = ROOT / "docs"
ASYNCAPI = FOLDER / "asyncapi.json"


def openapi_path(service: str) -> Path:
    """Return the file of a service's OpenAPI document."""
    return FOLDER / "openapi" / f"{service}.json"


def files() -> dict[Path, str]:
    """Return every generated file as the code has it now."""
    texts = {openapi_path(name): render(openapi.document(name)) for name in openapi.APPLICATIONS}
    return texts | {ASYNCAPI: render(asyncapi.document())}


def render(document: object) -> str:
    """Return a document as text."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
