"""The rules of the house that can be checked mechanically."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from geozoo.cli.main import app
from geozoo.datasets.registry import find_record
from geozoo.nets import build_network
from geozoo.recipe import load_recipe, plan_members

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "platform" / "geozoo"
MODULES = sorted(PACKAGE.rglob("*.py"))
RECIPES = sorted((REPOSITORY / "zoos").glob("*.yaml"))
READMES = (
    "README.md",
    "zoos/README.md",
    "experiments/hyper/README.md",
    "experiments/eo/README.md",
    "experiments/ssl/README.md",
    "cluster/README.md",
)

GROUND = {"errors"}
MATERIALS = GROUND | {"nets", "datasets"}
PLANNING = MATERIALS | {"recipe"}
MAKING = PLANNING | {"population", "store", "weights"}
TRAINING = MAKING | {"training"}
SEEING = GROUND | {"datasets", "recipe", "store"}
USING = TRAINING | {"populate", "audit", "interchange", "hyper", "eo", "ssl"}
ARROWS = {
    "errors": set(),
    "nets": GROUND,
    "datasets": GROUND,
    "recipe": MATERIALS,
    "population": PLANNING,
    "store": PLANNING,
    "weights": PLANNING,
    "populate": MAKING,
    "audit": MAKING | {"populate"},
    "training": MAKING,
    "hyper": TRAINING,
    "interchange": MAKING,
    "eo": SEEING,
    "ssl": TRAINING | {"eo"},
    "cluster": USING,
    "report": USING,
    "cli": USING | {"cluster", "report", "__init__"},
    "__init__": {"store"},
    "__main__": {"cli"},
}
"""The rooms that a room may import."""

HEAVY = {"torch", "ray", "pandas", "sklearn", "matplotlib", "zarr"}


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(module: Path) -> Iterator[str]:
    """Dotted names of all that a module imports: at its top, lazily, or for types alone; none is relative."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(module: Path) -> set[str]:
    names = [name.split(".") for name in imports_of(module)]
    inside = {parts[1] if len(parts) > 1 else "__init__" for parts in names if parts[0] == "geozoo"}
    return {room if room in ARROWS else "__init__" for room in inside}


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter imports, by its own account."""
    command = [sys.executable, "-X", "importtime", *arguments]
    ended = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120, check=True)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("name", ["__init__.py", "conftest.py"])
def test_the_source_root_is_no_package(name: str) -> None:
    assert not (REPOSITORY / "platform" / name).exists()


def test_platform_is_the_standard_librarys() -> None:
    program = "import platform; platform.system(); print(platform.__file__)"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    assert Path(ended.stdout.strip()).parent.resolve() == Path(sysconfig.get_path("stdlib")).resolve()


def test_every_room_is_drawn() -> None:
    assert {room_of(module) for module in MODULES} == set(ARROWS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_arrows_run_one_way(module: Path) -> None:
    room = room_of(module)
    assert rooms_imported(module) - {room} <= ARROWS[room]


def test_ray_is_imported_in_two_rooms_only() -> None:
    rooms = {room_of(module) for module in MODULES if any(name.split(".")[0] == "ray" for name in imports_of(module))}
    assert rooms
    assert rooms <= {"cluster", "cli"}


@pytest.mark.parametrize("arguments", [["-c", "import geozoo"], ["-m", "geozoo", "--help"]])
def test_the_package_and_its_help_are_light(arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    assert "geozoo" in loaded
    assert not loaded & HEAVY


def test_what_counts_as_light_can_be_seen() -> None:
    assert "pandas" in loaded_by("-c", "import pandas")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_makes_members_and_their_network(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    members = plan_members(recipe)
    ids = {member.id for member in members}
    assert ids
    assert len(ids) == len(members)
    channels, classes = recipe.dataset.channels, find_record(recipe.dataset.name).num_classes
    if channels is None or classes is None or recipe.dataset.size is None:
        return  # the files tell
    for activation in {member.hyperparameters.activation for member in members}:
        build_network(
            recipe.network.name,
            channels=channels,
            size=recipe.dataset.size,
            classes=classes,
            activation=activation,
        )


def documented_commands(text: str) -> list[list[str]]:
    """The words of every geozoo and make command in the fenced shell blocks of a page.

    Continued lines are joined; prompts, comments, variables set before a command, and what a pipe goes into are left
    out; a command after ``--``, as Ray submits it, counts as one.
    """
    blocks = re.findall(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    shell = "\n".join(block for language, block in blocks if language in ("", "sh", "bash", "shell", "console"))
    found = []
    for line in shell.replace("\\\n", " ").splitlines():
        if re.search(r"\b(geozoo|make)\s", line):
            found += [part for part in _simple_commands(line) if Path(part[0]).name in ("geozoo", "make")]
    return found


def _simple_commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for separator, words in itertools.groupby(lexer, lambda word: word == "--" or not word.strip("|&;()<>")):
        if not separator:
            command = list(itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))
            if Path(command[0] if command else "").name == "python" and command[1:2] == ["-m"]:
                command = command[2:]
            if command:
                yield command


def find_command(words: list[str]) -> tuple[Any, str | None]:
    """The command that words begin with, in its group if it has one, and the word that should name one but does not."""
    command: Any = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        if word not in command.commands:
            return command, word
        command = command.commands[word]
    return command, None


def options_of(command: Any) -> set[str]:
    """The options of one geozoo command and of geozoo itself."""
    options = {name for one in (command, typer.main.get_command(app)) for given in one.params for name in given.opts}
    return {name for name in options if name.startswith("-")} | {"--help"}


def make_targets() -> set[str]:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z0-9_-]*):(?!=)", makefile, flags=re.MULTILINE))


def faults_of(words: list[str]) -> list[str]:
    """What one documented command names that does not exist."""
    program, *rest = words
    if Path(program).name == "make":
        return [f"target {word}" for word in rest if "=" not in word and word not in {*make_targets(), "-j"}]
    command, unknown = find_command(rest)
    if unknown is not None:
        return [f"command {unknown}"]
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    recipes = [word for word in rest if word.endswith((".yaml", ".yml"))]
    return [
        *(f"option {option}" for option in sorted(given - options_of(command))),
        *(f"recipe {recipe}" for recipe in recipes if not (REPOSITORY / recipe).is_file()),
    ]


@pytest.mark.parametrize("readme", READMES)
def test_documented_commands_exist(readme: str) -> None:
    page = REPOSITORY / readme
    assert page.is_file(), f"{readme} is missing"
    commands = documented_commands(page.read_text(encoding="utf-8"))
    assert commands, f"{readme} shows no command"
    assert {shlex.join(words): faults for words in commands if (faults := faults_of(words))} == {}


def test_documented_commands_are_found() -> None:
    page = """
```python
geozoo.open_zoo("make this")
```

In prose: geozoo nothing

```bash
GEOZOO_DATA=data .venv/bin/geozoo populate a.yaml \\
    --to "my zoo"   # two minutes
$ make test && ray job submit --working-dir . -- python -m geozoo show zoo | less
pip install geozoo
```
"""
    assert documented_commands(page) == [
        [".venv/bin/geozoo", "populate", "a.yaml", "--to", "my zoo"],
        ["make", "test"],
        ["geozoo", "show", "zoo"],
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("geozoo populat zoos/digits_cnn.yaml --to zoo", "command populat"),
        (".venv/bin/geozoo populate zoos/digits_cnn.yaml --too zoo", "option --too"),
        ("geozoo populate zoos/nowhere.yaml --to zoo", "recipe zoos/nowhere.yaml"),
        ("make nothing", "target nothing"),
    ],
)
def test_a_command_that_does_not_exist_is_seen(line: str, fault: str) -> None:
    assert faults_of(shlex.split(line)) == [fault]


def test_no_tracked_file_names_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    homes = "|".join(("root", "work", "home/[a-z]+", "opt/(wheels|pypi)"))
    found = re.compile(
        rf"(?<![\w.}}])/({homes})/|index-{'url'}|https?://[^/\s]*(artifactory|nexus|devpi)", re.IGNORECASE
    )
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    texts = {file: file.read_text(encoding="utf-8", errors="ignore") for file in files if file.is_file()}
    assert texts
    assert {str(file): match[0] for file, text in texts.items() if (match := found.search(text))} == {}
