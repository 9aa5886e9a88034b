"""Reading functions from source: what is followed gives what running gives; the rest is refused."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.catalog.probe.reading import Reader
from wangp_downloader.catalog.probe.values import UNKNOWN, UnreadableError

FOLLOWED = {
    "literals": "return {'a': [1, 2.5, None, True], 'b': ('x',), 'c': -1}",
    "branches": "if name in ['a', 'b'] and not name == 'b':\n    return 1\nif name:\n    return 2\nreturn 3",
    "strings": "return f'{name}_x' + name.upper().replace('A', 'z') + ','.join([name, name])",
    "lists": "found = ['a']\nfound += ['b']\nfound.append(name)\nfound.extend(('c', 'd'))\nreturn found",
    "in place": "one = []\ntwo = one\none += [1]\nreturn two",
    "dicts": "d = {'k': 1, **CONSTANT}\nd.update({'z': 2})\nd['y'] = d.get('none', 5)\ndel d['z']\nreturn d",
    "loops": "out = []\nfor n, v in CONSTANT.items():\n    if n == 'skip': continue\n    out += [v]\nreturn n",
    "break": "for n in [1, 2, 3]:\n    if n == 2:\n        break\nelse:\n    return 'no'\nreturn n",
    "comprehensions": "return [n for n in 'ab' if n != name], {n: 1 for n in 'ab'}, sorted({x for x in 'b'})",
    "calls": "return helper(name, suffix='.x') + helper(name, '.y')",
    "star args": "return collect('a', *['b', name], k=1)",
    "either": "return 'yes' if len(name) > 3 else 'no'",
    "slices": "return name[name.rfind('b') + 1:], CONSTANT['list'][0], name[:1]",
    "os.path": "import os\nreturn os.path.join('a', name), os.path.basename('x/' + name)",
    "copies": "from copy import deepcopy\nd = deepcopy(CONSTANT)\nd['list'].append(9)\nreturn d, CONSTANT",
    "isinstance": "return isinstance(name, str), isinstance([], (dict, list))",
    "nothing": "pass",
    "unused unknown": "import torch\nx = torch.cuda.is_available()\nreturn name",
    "short circuit": "return len(name) >= 0 or undefined_thing",
    "unpacking": "(a, b), c = (1, 2), 3\nreturn a + b * c",
    "chained": "return 1 < len(name) < 9, name is None, name is not None",
}

_MODULE = """
CONSTANT = {{'list': [1], 'skip': 2}}

def helper(name, suffix):
    return name + suffix

def collect(*args, **kwargs):
    return list(args), kwargs

def asked(name):
{body}
"""


def _read(tmp_path: Path, body: str, name: str, more: str = "") -> Any:
    source = _MODULE.format(body=indent(body, "    ")) + dedent(more)
    (tmp_path / "source.py").write_text(source, encoding="utf-8")
    reader = Reader([tmp_path])
    module = reader.module("source")
    assert module is not None
    return reader.call(reader.name(module, "asked"), [name])


@pytest.mark.parametrize("case", FOLLOWED)
@pytest.mark.parametrize("name", ["a", "b", "abab", ""])
def test_followed_as_python_does(tmp_path: Path, case: str, name: str) -> None:
    body = FOLLOWED[case]
    space: dict[str, Any] = {}
    runnable = body.replace("import torch\nx = torch.cuda.is_available()\n", "")
    exec(_MODULE.format(body=indent(runnable, "    ")), space)

    assert _read(tmp_path, body, name) == space["asked"](name)


REFUSED = {
    "a branch on a package": "import torch\nif torch.cuda.is_available():\n    return 1\nreturn 2",
    "a branch on a file": "import os\nif os.path.isfile(name):\n    return 1\nreturn 2",
    "a branch on the environment": "import os\nif os.environ.get('X'):\n    return 1\nreturn 2",
    "try": "try:\n    return 1\nexcept Exception:\n    return 2",
    "while": "while True:\n    return 1",
    "an endless loop of calls": "return asked(name)",
    "an unknown function that gets a dict": "d = {}\nimport other\nother.fill(d)\nreturn d",
    "an update with something unknown": "import other\nd = {}\nd.update(other.values)\nreturn d",
    "a loop over something unknown": "import other\nfor x in other.values:\n    pass\nreturn 1",
    "an error": "return {}['missing']",
    "far too much": "return ['x' * 1000000]",
    "too many steps": "return [1 for a in many for b in many for c in many for d in many for e in many]",
    "an attribute that is changed": "import other\nother.x = 1\nreturn 1",
    "a nested function": "def inner():\n    return 1\nreturn inner()",
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_where_not_certain(tmp_path: Path, case: str) -> None:
    with pytest.raises(UnreadableError):
        _read(tmp_path, REFUSED[case], "x", "many = [1] * 20")


NOT_CERTAIN = {
    "bound twice": "VALUE = 1\nVALUE = 2\n",
    "bound under a condition": "if True:\n    VALUE = 1\n",
    "changed afterwards": "VALUE = {}\nVALUE['a'] = 1\n",
    "changed by a call": "VALUE = []\nVALUE.append(1)\n",
    "changed in a loop": "VALUE = []\nfor x in [1]:\n    VALUE.append(x)\n",
    "from a package": "from torch import VALUE\n",
    "made by a decorator": "@decorated\ndef VALUE():\n    return 1\n",
    "not there": "\n",
    "added to": "VALUE = 1\nVALUE += 1\n",
}


@pytest.mark.parametrize("case", NOT_CERTAIN)
def test_a_name_that_depends_on_a_run_is_unknown(tmp_path: Path, case: str) -> None:
    (tmp_path / "source.py").write_text(NOT_CERTAIN[case], encoding="utf-8")
    reader = Reader([tmp_path])
    module = reader.module("source")
    assert module is not None

    assert not isinstance(reader.name(module, "VALUE"), (int, list, dict))


def test_names_come_from_other_modules_of_the_tree(tmp_path: Path) -> None:
    package = tmp_path / "models" / "kind"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "names.py").write_text("FIRST = 'one'\nfrom ..common import SECOND\n")
    (tmp_path / "models" / "common.py").write_text("import os\nSECOND = os.path.join('two', 'x')\n")
    (package / "handler.py").write_text(
        "from .names import FIRST as A, SECOND\nimport models.common as common\n"
        "def asked():\n    from . import names\n    return A, SECOND, common.SECOND, names.FIRST\n"
    )
    reader = Reader([tmp_path])
    module = reader.module("models.kind.handler")
    assert module is not None

    assert reader.call(reader.name(module, "asked"), []) == ("one", "two/x", "two/x", "one")


def test_a_source_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:")
    reader = Reader([tmp_path])

    assert reader.module("nowhere.at_all") is None
    with pytest.raises(UnreadableError, match=r"broken\.py"):
        reader.module("broken")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-99, 99)
    | st.text(max_size=5).filter(lambda text: "\r" not in text),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_any_literal_is_read_as_it_is(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    folder = tmp_path_factory.mktemp("literal")
    (folder / "source.py").write_text(f"VALUE = {value!r}\n", encoding="utf-8", errors="surrogatepass")
    reader = Reader([folder])
    module = reader.module("source")
    assert module is not None

    found = reader.name(module, "VALUE")

    assert found == value or found is UNKNOWN
