"""Configs by rows: what is generated from configs/FOLDER/rows.yml.

How a rows.yml is written: docs/configs.md. Needs PyYAML and nothing else.
"""

from mmkd.rows.entries import GENERATED, Entries
from mmkd.rows.folder import changes, folders, generate

__all__ = ['GENERATED', 'Entries', 'changes', 'folders', 'generate']
