"""Run the code blocks of a page of the documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r'# ([\w-]+\.py)\n')


@dataclass
class Page:
    """The runnable parts of a page, or of one section of it.

    Args:
        files: Python blocks whose first line is ``# NAME.py``, by name.
        commands: all bash blocks in their order.
    """

    files: dict[str, str]
    commands: str

    @classmethod
    def read(cls, path: str, section: str = '') -> Page:
        """Read a page of ``docs``; ``section`` is the text of a heading."""
        text = (ROOT / 'docs' / path).read_text(encoding='utf-8')
        if section:
            _, heading, text = text.partition(f'\n## {section}\n')
            assert heading, f'{path} has no section {section!r}'
            text = text.partition('\n## ')[0]
        files, commands = {}, []
        for language, block in BLOCK.findall(text):
            named = FILE_NAME.match(block)
            if language == 'python' and named:
                files[named[1]] = block
            elif language == 'bash':
                commands.append(block)
        assert files and commands, path
        return cls(files, '\n'.join(commands))

    def replaced(self, changes: Mapping[str, str]) -> Page:
        """Put other folders and smaller numbers in; all must be there."""
        everything = '\n'.join([*self.files.values(), self.commands])
        for old in changes:
            assert old in everything, f'the page has no {old!r}'
        pattern = re.compile('|'.join(map(re.escape, changes)))

        def change(text: str) -> str:
            return pattern.sub(lambda found: changes[found[0]], text)

        files = {name: change(text) for name, text in self.files.items()}
        return Page(files, change(self.commands))

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            (folder / name).write_text(text)

    def run(self, folder: Path) -> str:
        """Run all commands in ``folder``; returns what they print.

        A program in ``folder`` cannot import mmkd: it is what is used
        elsewhere. The tools of mmkd lie in another folder and can.
        """
        self.write(folder)
        (folder / 'mmkd.py').write_text(
            'raise ImportError("this program must do without mmkd")\n'
        )
        done = subprocess.run(
            ['bash', '-euo', 'pipefail', '-c', self.commands],
            cwd=folder,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                'OMP_NUM_THREADS': '1',
                'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            },
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout
