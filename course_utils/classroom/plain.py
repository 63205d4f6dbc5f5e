"""Whether a student's code leaves alone what watches it: looked up in its source, which is never run.

The rules of an exercise (functions that it may not call, how often it may call what it is given) are
watched in the student's own kernel, and code that reaches for the watcher could blind it. Code without any
of what follows cannot: its rules are then judged by what the watcher saw. Otherwise a person judges them.
"""

import ast

IMPORTS = frozenset(
    "__future__ collections course_utils dataclasses datasets functools heapq itertools math "
    "matplotlib numpy pandas random re scipy sklearn statistics string time torch transformers "
    "typing".split()
)
# Built-in functions that run text, reach other names, or touch files.
BUILTINS = frozenset(
    "breakpoint compile delattr dir eval exec exit get_ipython globals hand_in input locals open "
    "quit setattr vars".split()
)
# Modules that reach frames, threads, files or other modules; cells of the lesson may have imported them.
MODULES = frozenset(
    "IPython ast asyncio atexit builtins codecs concurrent copyreg ctypes faulthandler "
    "fileinput gc importlib inspect io joblib linecache logging marshal mmap multiprocessing "
    "operator os pathlib pickle pkgutil psutil runpy shutil signal socket subprocess sys tempfile "
    "threading traceback types unittest warnings weakref".split()
)
# What of the modules that may be imported runs code out of the watcher's sight, or reads and writes files.
ATTRIBUTES = frozenset(
    "attrgetter BaseTorchFunctionMode checks classes classroom compile compiler cr_frame ctypeslib "
    "DisableTorchFunction DisableTorchFunctionSubclass distributed dump exercises export f2py f_back "
    "f_builtins f_globals f_locals fork_rng from_file fromfile futures fx genfromtxt gi_frame hub "
    "imsave jit library load loads loadtxt memmap methodcaller multiprocessing open_memmap ops "
    "overrides package print_figure print_pdf print_png print_raw print_svg push_to_hub read_pickle "
    "save save_pretrained save_to_disk savefig savetxt savez savez_compressed serialization service "
    "tb_frame tb_next to_csv to_excel to_feather to_hdf to_html to_json to_latex to_markdown to_orc "
    "to_parquet to_pickle to_sql to_stata to_string to_xml tofile update_wrapper utils wraps".split()
)
SPECIAL_METHODS = ("__init__", "__call__", "__len__", "__getitem__", "__iter__", "__next__", "__repr__")
SETTABLE = ("grad", "requires_grad", "data")


def not_plain(cells: list[str]) -> str:
    """Why the code in `cells` has to be read by a person before its rules are judged, or ""."""
    from IPython.core.inputtransformer2 import TransformerManager

    for source in cells:
        text = "\n".join(line for line in source.splitlines() if line.strip() != "%matplotlib inline")
        try:
            magic = TransformerManager().transform_cell(text).strip() != text.strip()
            tree = ast.parse("" if magic else text)
        except SyntaxError:
            continue  # it does not run either
        except (ValueError, RecursionError, MemoryError):
            return "a cell cannot be read"
        if magic:
            return "a cell has a magic command"
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if why := _reason(node, called):
                return f"the code {why} (line {getattr(node, 'lineno', 1)} of a cell)"
    return ""


def _reason(node, called) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return _import(node)
    if isinstance(node, ast.Name):
        if node.id in BUILTINS | MODULES or (node.id.startswith("__") and node.id != "__name__"):
            return f"uses `{node.id}`"
        if node.id in ("getattr", "type") and id(node) not in called:
            return f"uses `{node.id}` without calling it"
    if isinstance(node, ast.Attribute):
        if _reaches(node.attr):
            return f"uses `.{node.attr}`"
        own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if not isinstance(node.ctx, ast.Load) and not own and node.attr not in SETTABLE:
            return f"sets `.{node.attr}`"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "type" and (len(node.args) != 1 or node.keywords):
            return "makes a class by `type`"
        if node.func.id == "getattr":
            name = node.args[1] if len(node.args) > 1 else None
            if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or _reaches(name.value):
                return "uses `getattr`"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.name.startswith("__") and node.name not in SPECIAL_METHODS:
            return f"defines `{node.name}`"
    return ""


def _import(node) -> str:
    names = [alias.name for alias in node.names]
    origins = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
    for whole in [*origins, *names]:
        if whole == "*" or any(_reaches(part) for part in whole.split(".") if whole != "__future__"):
            return f"imports `{whole}`"
    for origin in origins:
        if origin.split(".")[0] not in IMPORTS or getattr(node, "level", 0):
            return f"imports `{origin}`"
    return ""


def _reaches(name: str) -> bool:
    """Whether an attribute of this name can lead out of the watcher's sight."""
    private = name.startswith("_") and name not in ("__init__", "__name__")
    return private or name in ATTRIBUTES or name in MODULES
