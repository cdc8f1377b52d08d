"""Small files, small functions: what fits a screen is read before it is changed."""

import ast

from tests.support.tree import python_files, relative

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50


def test_no_file_has_more_than_300_lines() -> None:
    counted = {relative(path): len(path.read_text().splitlines()) for path in python_files()}
    long = {path: lines for path, lines in counted.items() if lines > FILE_LINES_MAX}
    assert not long, "give a second purpose a file of its own"


def test_no_function_has_more_than_50_lines() -> None:
    counted = {
        f"{relative(path)}:{node.lineno} {node.name}": length(node)
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    long = {name: lines for name, lines in counted.items() if lines > FUNCTION_LINES_MAX}
    assert not long, "name the steps, and call them"


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
