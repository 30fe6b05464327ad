"""The plan of the house: which rooms may use which, seen from the imports in the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import codetalker

PACKAGE = Path(codetalker.__file__).parent
EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
TRAINING = {"torch", "onnx", "transformers", "safetensors"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def statements(node: ast.AST):
    """Everything that runs, whenever that is; what only type checkers see is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from statements(child)


def uses(path: Path) -> set[str]:
    """The modules of the package that a module imports, at once or when one of its functions runs,
    also by the names `module:function` of tables."""
    found = set()
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            whole = {f"{module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= whole or {module}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value.partition(":")[0])
    return found & MODULES.keys()


USES = {name: uses(path) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.removeprefix("codetalker").removeprefix(".").partition(".")[0]


def users(*rooms: str) -> set[str]:
    """Rooms that use one of these."""
    return {
        room(user) for user, used in USES.items() if {room(module) for module in used} & {*rooms}
    } - {*rooms}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Tables are not imports of the table's module: the door names the wings, which stand on it."""
    try:
        TopologicalSorter(USES).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_neither_wing_uses_the_other() -> None:
    assert not {module for module in USES if room(module) == "causal"} & {
        user for user, used in USES.items() if any(room(module) == "paper" for module in used)
    }
    assert not any(
        room(module) == "causal" for name in USES if room(name) == "paper" for module in USES[name]
    )


def test_a_wing_is_entered_by_the_door_the_commands_and_itself_alone() -> None:
    assert users("causal") <= {"talker", "commands", "", "cli"}
    assert users("paper") <= {"talker", "commands", "", "cli"}


def test_the_shared_training_rooms_know_no_wing_and_the_ground_floor_no_torch() -> None:
    for name, used in USES.items():
        if room(name) in ("nn", "training"):
            assert not {room(module) for module in used} & {"causal", "paper", "commands"}, name
        elif room(name) not in ("causal", "paper", "commands", "cli"):
            assert not {room(module) for module in used} & {"nn", "training"}, name


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["info"],
        ["animate", "--help"],
        ["animate", str(EXAMPLE), "-o", "{}/a.glb"],
        ["stream", str(EXAMPLE), "--to", "raw:{}/a", "--fast"],
    ],
    ids=["import", "help", "info", "animate help", "animate", "stream"],
)
def test_what_users_run_loads_nothing_of_training(
    arguments: list[str], bundled_model: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, codetalker\n"
        "from codetalker.cli import main\n"
        "try:\n"
        "    status = main(sys.argv[1:]) if sys.argv[1:] else 0\n"
        "except SystemExit as stop:\n"
        "    status = stop.code or 0\n"
        f"loaded = {TRAINING} & sys.modules.keys()\n"
        "assert status == 0 and not loaded, (status, loaded)\n"
    )
    command = [sys.executable, "-c", code, *(a.format(tmp_path) for a in arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
