"""Tracked text names no path of one machine and no package registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# in pieces, so that this file does not match itself
MACHINE_PATH = re.compile(
    r'(?<![\w.$}~])/(?:' + '|'.join(['home', 'root', 'work', 'Users']) + r')/'
)
REGISTRY = re.compile('|'.join([r'pypi\.' + 'org', 'python' + 'hosted']))


def tracked_texts() -> dict[str, str]:
    listing = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode != 0:
        pytest.skip('not a git checkout')
    texts = {}
    for name in filter(None, listing.stdout.split('\0')):
        try:
            texts[name] = (ROOT / name).read_text(encoding='utf-8')
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # binary, or deleted and not yet committed
    return texts


@pytest.mark.parametrize('pattern', [MACHINE_PATH, REGISTRY])
def test_no_tracked_text_matches(pattern: re.Pattern[str]) -> None:
    texts = tracked_texts()
    assert 'setup.py' in texts
    found = [
        f'{name}:{number}: {line.strip()}'
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_patterns_find_what_they_are_for() -> None:
    assert MACHINE_PATH.search('data in ' + '/home' + '/me/data')
    assert not MACHINE_PATH.search('see project' + '/work' + '/notes')
    assert REGISTRY.search('https://' + 'pypi.' + 'org/simple')
