"""Docstrings, comments and paragraphs that an engineer reads without stopping."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('mssdf', 'tools', 'scripts', 'configs', 'tests/helpers')
# The longest body of a function that may be a single paragraph.
LONGEST_PARAGRAPH = 19

QUESTIONS = 'how what when where whether which who whom whose why'.split()
# 'whether' is missing: an argument that is true or false begins with it.
FRAGMENTS = 'as by how in like likewise of see so than that to what when where which who whose'
FRAGMENTS = (*FRAGMENTS.split(), 'why', 'with')
# A noun comes before one of these, also where it could be a verb: 'Check of the data.'
AFTER_NOUNS = ('against', 'between', 'for', 'of', 'on')
ENTRY = re.compile(r'    (\*{0,2}[\w.]+)(?: \([^)]*\))?: (.*)')
SECTIONS = ('Args:', 'Attributes:', 'Raises:')

# Spellings of British English; words in quotes, paths and names of code are left alone.
BRITISH = re.compile(
    r"""(?<![\w./`'"-])(
        \w*(?:colour|neighbour|behaviour|favour|honour)\w*
        | (?:kilo|centi|milli)?metres?
        | \w*(?:label|model|cancel|signal|travel|total)l(?:ed|ing)
        | grey(?:s|er|ish)? | centr(?:e|es|ed) | licences? | artefacts? | catalogues?
        | analys(?:e|es|ed|ing) | whilst | programmes? | judgements?
        | (?:re|un|de)?(?:character|discret|equal|final|general|initial|local|maxim|memor|minim
            |normal|optim|organ|penal|quant|random|raster|real|recogn|regular|serial|special
            |standard|summar|synchron|token|util|vector|visual)is(?:e[drs]?|es|ing|ations?|ers?)
    )(?![\w-]*\()\b""",
    re.IGNORECASE | re.VERBOSE,
)

# First words of functions' docstrings. A verb that is missing here is added.
IMPERATIVES = frozenset(
    """
    abandon accept act adapt add adopt agree allow answer append apply approximate ask assemble
    assign attach average balance begin block bound bring broadcast build call cancel cast center
    change check choose classify clean clear clip close collate collect color combine compare
    compile complete compose compress compute concatenate connect continue convert copy correct
    correlate count cover create crop cut damage decide decode delete derive describe destroy detach
    detect determine discard display divide do download drain draw drop embed empty encode end enter
    estimate evaluate exchange exclude execute exit expand expect export extend extract extrapolate
    fall fill filter find finish fit flatten flip flush follow forget format forward free freeze
    fuse gather generate get give group halve hand hash hatch have hide hold identify ignore import
    increase indicate inflate initialize insert inspect interpolate iterate join judge keep kill
    label lay leave let limit link list load locate lock log look lower make map mark mask match
    maximize mean measure merge minimize mix move name normalize note number offset open order pack
    pad paint parse pass pick place plan plot point pool predict prefix prepare preprocess print
    project propagate protect provide publish pull push put raise rank read rebuild record reduce
    refuse register remember remove rename render reorder replace report reproject request require
    resample reserve reset resize resolve restore restrict resume retry return reverse rotate round
    route run sample save scale scatter schedule score search see seed select send separate serve
    set shape shard share shift shorten show shrink shuffle skip solve sort spell split spread stack
    standardize start stay step stop store stream stretch strip subtract sum summarize suppress
    switch take tell test tidy tile track train transfer transform translate transpose try turn undo
    unfold unpack unwrap update use validate view visit vote wait walk warm warn warp watch weight
    widen wrap write yield zero
    """.split()
)


def python_files(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob('*.py'))
    return [path for path in found if '.mim' not in path.parts]


def documented(source: str) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node, text


def entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the section, the name and the first line of each argument, attribute and exception."""
    section = ''
    for line in text.splitlines():
        if line and not line.startswith(' '):
            section = line if line in SECTIONS else ''
        elif section and (match := ENTRY.fullmatch(line)):
            yield section, match[1], match[2]


def first_words(text: str) -> list[str]:
    return [*(word.strip('.,:;').lower() for word in text.split()[:2]), '', '']


def questions(source: str) -> Iterator[str]:
    for _, text in documented(source):
        summary = text.split('\n\n')[0]
        if first_words(text)[0] in QUESTIONS or summary.endswith('?'):
            yield summary


def fragments(source: str) -> Iterator[str]:
    for _, text in documented(source):
        for section, name, entry in entries(text):
            word = first_words(entry)[0]
            if word in FRAGMENTS and not (section == 'Raises:' and word in ('when', 'in')):
                yield f'{name}: {entry}'


def moods(source: str) -> Iterator[str]:
    for node, text in documented(source):
        first, second, *_ = first_words(text)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # a property reads as an attribute, so a noun phrase suits it as well
            is_property = any('property' in ast.unparse(each) for each in node.decorator_list)
            if first not in IMPERATIVES and not is_property:
                yield f'{node.name}: {text.splitlines()[0]}'
        elif isinstance(node, ast.ClassDef):
            if first in IMPERATIVES and second not in AFTER_NOUNS:
                yield f'{node.name}: {text.splitlines()[0]}'


def module_moods(source: str) -> Iterator[str]:
    text = ast.get_docstring(ast.parse(source)) or ''
    first, second, *_ = first_words(text)
    if first in IMPERATIVES and second not in AFTER_NOUNS:
        yield text.splitlines()[0]


def british(source: str) -> Iterator[str]:
    prose = [text for _, text in documented(source)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    prose += [token.string for token in tokens if token.type == tokenize.COMMENT]
    for text in prose:
        for match in BRITISH.finditer(re.sub(r'``.*?``|:\w+:`.*?`', '', text, flags=re.DOTALL)):
            yield match[0]


def paragraphs(source: str) -> Iterator[str]:
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            if body:
                inside = lines[body[0].lineno - 1 : body[-1].end_lineno]
                if len(inside) > LONGEST_PARAGRAPH and all(line.strip() for line in inside):
                    yield f'{node.name} ({len(inside)} lines)'


def helps(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith('.add_argument'):
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            text = re.sub(r'^[rf]*["\']', '', given.get('help', ''))
            shared = None in given  # several tools have the option, its text stands once
            if not shared and (not text or first_words(text)[0] in FRAGMENTS):
                yield f'{ast.unparse(node.args[0])}: {text or "no help"}'


RULES = (questions, fragments, moods, module_moods, british, paragraphs, helps)
# A script's docstring is an imperative, as it says what the script is used for.
CASES = [
    pytest.param(rule, folder, id=f'{rule.__name__}-{folder}')
    for rule in RULES
    for folder in FOLDERS
    if not (rule is module_moods and folder in ('tools', 'scripts'))
]


@pytest.mark.parametrize(('rule', 'folder'), CASES)
def test_rule_holds(rule, folder):
    found = [
        f'{path.relative_to(ROOT)}: {complaint}'
        for path in python_files(folder)
        for complaint in rule(path.read_text())
    ]
    assert not found, '\n'.join(found)


LONG = '\n'.join(f'    x = {number}' for number in range(LONGEST_PARAGRAPH))
BAD = {
    questions: ['"""How good are features?"""', 'def f():\n    """Whether it is there."""'],
    fragments: [
        'def f(a):\n    """Do it.\n\n    Args:\n        a: of the file.\n    """',
        'def f(a):\n    """Do it.\n\n    Args:\n        a: see there.\n    """',
        'def f():\n    """Do it.\n\n    Raises:\n        ValueError: with the key.\n    """',
        'class A:\n    """A thing.\n\n    Attributes:\n        a (int): likewise.\n    """',
    ],
    moods: [
        'def f():\n    """The files of a folder."""',
        'class A:\n    def f(self):\n        """Returns it."""',
        'class A:\n    """Watch all ranks."""',
    ],
    module_moods: ['"""Tell whether data fit the model."""'],
    british: ['# the colour of a neighbour', '"""Normalised values."""', '# 3 metres, labelled'],
    paragraphs: [f'def f():\n    """Do it."""\n{LONG}\n    return x'],
    helps: ["parser.add_argument('--k')", "parser.add_argument('--k', help=f'of {NAMES}')"],
}
GOOD = """
\"\"\"Check of the data.\"\"\"


class A:
    \"\"\"A thing with ``labelled_colour`` and :class:`Normaliser`.

    Attributes:
        path: path of the file, one of many.
    \"\"\"

    @property
    def size(self):
        \"\"\"Side of the images in pixels.\"\"\"

    def read(self, path):
        \"\"\"Read a file of three meters with model.colour of utils/colour.py.

        Args:
            path: path of the file.

        Raises:
            ValueError: if it cannot be read.
        \"\"\"
        parser.add_argument('--k', type=int, help='number of neighbors')

        second = 2
"""


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_rule_finds_what_it_forbids(rule):
    assert all(list(rule(source)) for source in BAD[rule])


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_rule_passes_good_prose(rule):
    lines = '\n'.join(f'        a{number} = 1' for number in range(LONGEST_PARAGRAPH))
    assert list(rule(GOOD + lines + '\n')) == []
