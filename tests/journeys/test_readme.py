"""The README's examples do what the README says, on a stack as `make up` starts it."""

from pathlib import Path

from deploy.local import variables
from deploy.local.stack import Options, Stack
from tests.support import readme


def test_the_examples_of_the_readme_answer_as_shown(run_folder: Path) -> None:
    folder = run_folder / "readme"
    folder.mkdir(mode=0o755)
    examples = readme.examples()
    assert len(examples) > 5
    with Stack(Options(folder=folder, own_servers=True)) as stack:
        variables.write(stack, folder / "up.env")
        said = readme.run(examples, str(folder))
    wrong = [
        f"{missing!r} is not in {printed!r}"
        for example, printed in zip(examples, said, strict=True)
        if (missing := example.missing(printed)) is not None
    ]
    assert not wrong
