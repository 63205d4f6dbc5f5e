"""The package's arrows point downwards, and every package that is imported is declared."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
import tomllib

import pytest

import course_utils

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "course_utils"
EXTRAS = {"service": "service", "classroom": "class", "book": "book"}  # a folder -> the extra that it needs
NAMES = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "IPython": "ipython",
    "markdown_it": "markdown-it-py",
    "google": None,
}


def module_name(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path):
    """The modules that a file imports, inside functions too; those for annotations only are left out."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inside if name in MODULES]
            yield from modules
            if len(modules) < len(inside):
                yield node.module


def test_no_two_modules_import_each_other():
    users = {name: {other for other in imported(path) if other in MODULES} for name, path in MODULES.items()}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a circle: {' → '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for other in sorted(users[name]):
            visit(other)
        path.pop()
        done.add(name)

    for name in MODULES:
        visit(name)


def declared(text):
    return {
        match.lower().replace("_", "-") for match in re.findall(r"^ *\"?([A-Za-z][\w-]*)[=<>]", text, re.M)
    }


@pytest.mark.parametrize("folder", ["course_utils", "tools", "tests"])
def test_every_package_that_is_imported_is_declared(folder):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    known = declared("\n".join(project["dependencies"]))
    if folder != "course_utils":
        for name in ("requirements.txt", "tests/requirements.txt"):
            known |= declared((ROOT / name).read_text(encoding="utf8"))
    own = {path.stem for path in [*ROOT.glob("tests/**/*.py"), *ROOT.glob("tools/**/*.py")]} | {
        "course_utils"
    }
    for path in (ROOT / folder).rglob("*.py"):
        extra = project["optional-dependencies"].get(EXTRAS.get(path.parent.name), [])
        allowed = known | declared("\n".join(extra))
        if path.with_name("requirements.txt").exists():  # tools/flower has an environment of its own
            allowed |= declared(path.with_name("requirements.txt").read_text(encoding="utf8"))
        for module in imported(path):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top in own:
                continue
            package = NAMES.get(top, top)
            assert package is None or package.lower().replace("_", "-") in allowed, (
                f"{path.name} imports {top}"
            )


def test_a_module_is_not_hidden_by_a_function_of_its_name():
    for name in MODULES:
        found = importlib.import_module(name)
        if hasattr(found, "__path__"):
            for module in pkgutil.iter_modules(found.__path__):
                value = getattr(found, module.name, None)
                assert value is None or inspect.ismodule(value), f"{name}.{module.name} is no module"


def test_the_engine_and_the_set_up_are_annotated():
    for name in (
        "environment",
        "plotting",
        "claims",
        "checkpoints",
        "checks.exercise",
        "checks.rules",
        "exercises",
    ):
        module = importlib.import_module(f"course_utils.{name}")
        for function in vars(module).values():
            own = inspect.isfunction(function) and function.__module__ == module.__name__
            if own and not function.__name__.startswith("_"):
                parameters = inspect.signature(function).parameters.values()
                missing = [p.name for p in parameters if p.annotation is p.empty]
                complete = not missing and "return" in function.__annotations__
                assert complete, f"{name}.{function.__name__} lacks annotations"


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").exists() and course_utils.__file__
