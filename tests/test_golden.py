"""What the program prints, kept byte for byte; ``python -m tests.golden`` writes it again."""

import pytest

from tests.golden import CASES, FOLDER, Case, readme_blocks, run, trimmed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_output_is_as_kept(case: Case) -> None:
    out, err, code = run(case.command, case.columns)
    assert out == (FOLDER / f"{case.name}.out").read_text(encoding="utf-8")
    assert f"exit {code}\n{err}" == (FOLDER / f"{case.name}.err").read_text(encoding="utf-8")


def test_no_line_is_wider_than_the_terminal() -> None:
    for case in CASES:
        kept = (FOLDER / f"{case.name}.out").read_text(encoding="utf-8")
        assert all(len(line) <= case.columns for line in kept.splitlines()), case.name


def test_the_readme_shows_what_the_program_prints() -> None:
    blocks = readme_blocks()
    assert len(blocks) >= 2
    for command, columns, text in blocks:
        assert trimmed(run(command, columns)[0]) == text, command
