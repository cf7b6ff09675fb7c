"""Files for contributors say what the tests and the package say."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import mmkd

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)')
FENCE = re.compile(r'^```.*?^```$', re.DOTALL | re.MULTILINE)
CHANGES = {'Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding='utf-8')


def test_hooks_check_what_the_test_command_checks() -> None:
    script = read('tools/run_tests.sh')
    checks = re.findall(r'^run (?!pytest|env)(.*)$', script, re.MULTILINE)
    assert len(checks) == 4
    config = yaml.safe_load(read('.pre-commit-config.yaml'))
    hooks = [hook for repo in config['repos'] for hook in repo['hooks']]
    assert [hook['entry'] for hook in hooks] == checks
    for hook in hooks:
        assert hook['language'] == 'system'
        assert hook['always_run'] and not hook['pass_filenames']


def test_workflow_calls_the_entry_of_ci() -> None:
    workflow = yaml.safe_load(read('.github/workflows/ci.yml'))
    (job,) = workflow['jobs'].values()
    commands = [step['run'] for step in job['steps'] if 'run' in step]
    assert commands == ['bash .ci/run']


def test_citation_is_of_this_version() -> None:
    citation = yaml.safe_load(read('CITATION.cff'))
    required = {'cff-version', 'title', 'message', 'authors'}
    assert required <= citation.keys()
    assert citation['version'] == mmkd.__version__
    assert citation['license'] == 'Apache-2.0'


def test_changelog_has_the_usual_form() -> None:
    headings = re.findall(r'^(#+) (.*)$', read('CHANGELOG.md'), re.MULTILINE)
    assert headings[:2] == [('#', 'Changelog'), ('##', '[Unreleased]')]
    groups = [title for level, title in headings if level == '###']
    assert set(groups) <= CHANGES
    assert 'Security' in groups


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    text = FENCE.sub('', path.read_text(encoding='utf-8'))
    titles = re.findall(r'^#+ (.*)$', text, re.MULTILINE)
    plain = (re.sub(r'[^\w\- ]', '', title.lower()) for title in titles)
    return {title.replace(' ', '-') for title in plain}


def test_links_of_the_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')]
    pages += (ROOT / 'configs').rglob('*.md')
    assert len(pages) > 20
    broken = []
    for page in pages:
        for name, anchor in LINK.findall(
            FENCE.sub('', page.read_text(encoding='utf-8'))
        ):
            target = page.parent / name if name else page
            found = target.exists() and (
                not anchor
                or target.suffix != '.md'
                or anchor in anchors(target)
            )
            if not found:
                broken.append(f'{page.relative_to(ROOT)}: {name}#{anchor}')
    assert broken == []
