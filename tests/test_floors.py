"""The house: imports go one way, the main command starts light, and the public face is small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import estimator

ROOT = Path(__file__).resolve().parent.parent
MAY_NOT_IMPORT = {"pricing": {"estimator", "reports"}, "estimator": {"reports"}, "reports": set[str]()}
HEAVY = (
    "matplotlib",
    "pandas",
    "rich",
    "genai_prices",
    "pydantic",
    "xlsxwriter",
    "scipy",
    "torch",
    "numpy.random",
)


def imported(path: Path) -> set[str]:
    """First parts of every module that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("floor", MAY_NOT_IMPORT)
def test_no_floor_imports_the_one_above(floor: str) -> None:
    files = sorted((ROOT / floor).rglob("*.py"))
    assert len(files) > 5
    for path in files:
        assert not imported(path) & MAY_NOT_IMPORT[floor], path


@pytest.mark.parametrize("floor", ["pricing", "estimator"])
def test_only_the_top_floor_prints(floor: str) -> None:
    for path in sorted((ROOT / floor).rglob("*.py")):
        calls = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ]
        assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls), path


def test_the_main_command_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['ftcost', 'plan', '--model', '7b', '--rows', '10000']\n"
        "from reports.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_the_library_shows_two_names() -> None:
    assert estimator.__all__ == ["Scenario", "plan"]
    assert callable(estimator.plan)
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        _ = estimator.magic
