"""README tables and metrics from rows.yml."""

from __future__ import annotations

from typing import Any

import pytest

from mmkd.rows import Entries
from mmkd.rows.tables import markdown, read_numbers, replace_marked

ENTRIES = Entries(
    dict(
        pairs=dict(
            big_small=dict(title='b, s', student='small'),
            big_tiny=dict(title='b, t', student='tiny'),
        )
    )
)


def table(**changes: Any) -> dict[str, Any]:
    return dict(
        columns='pairs',
        lines=dict(
            alone=dict(title='student alone', config='alone_<column.student>'),
            kd='KD',
            at='AT',
        ),
        config='<line>_<column>',
        metric='Top 1',
        numbers='pair  alone  kd\n'
        'big_small  70.10  72.30±.20\n'
        'big_tiny  65.00  66.10\n',
        **changes,
    )


def make(given: dict[str, Any], *configs: str) -> Any:
    return markdown(given, ENTRIES, lambda name: name in configs)


def test_numbers_link_to_their_configs() -> None:
    configs = ('alone_small', 'kd_big_small', 'at_big_small')
    text, metrics = make(table(text='no number', empty='–'), *configs)
    assert text == (
        '|  | b, s | b, t |\n'
        '| --- | --- | --- |\n'
        '| student alone | [70.10](alone_small.py) | 65.00 |\n'
        '| KD | [72.30±.20](kd_big_small.py) | 66.10 |\n'
        '| AT | [no number](at_big_small.py) | – |\n'
    )
    assert metrics == {
        'alone_small': {'Top 1': 70.1},
        'kd_big_small': {'Top 1': 72.3},
    }


def test_a_cell_of_several_configs() -> None:
    given = dict(
        corner='network',
        each=dict(share=['10', '20', '30']),
        lines=dict(net='Net'),
        columns=dict(
            alone=dict(title='alone', config='<line>', text='alone'), p='P'
        ),
        config='<column>_<line>_<share>',
        text='<share>',
    )
    text, metrics = make(given, 'net', 'p_net_10', 'p_net_30')
    assert text.splitlines()[0] == '| network | alone | P |'
    assert text.splitlines()[2] == (
        '| Net | [alone](net.py) | [10](p_net_10.py), [30](p_net_30.py) |'
    )
    assert metrics == {}


def test_blocks_of_numbers() -> None:
    text = 'pair  a  b c\nx  1.50  2 (two)\ny  -  3\n\npair  d\nx  4\n'
    assert read_numbers(text) == {
        ('x', 'a'): '1.50',
        ('x', 'b c'): '2 (two)',
        ('y', 'b c'): '3',
        ('x', 'd'): '4',
    }


def test_a_number_is_missing() -> None:
    with pytest.raises(ValueError, match='1 numbers for 2 columns.*write -'):
        read_numbers('pair  a  b\nx  1')


def test_numbers_of_nothing() -> None:
    given = dict(table(), numbers='pair  kdd\nbig_small  1')
    with pytest.raises(KeyError, match="has 'kdd'.*rename or add it"):
        make(given)


def test_two_numbers_of_one_config() -> None:
    lines = dict(kd=dict(title='KD', config='one'))
    given = dict(table(), lines=lines, numbers='pair  kd\nbig_small  1\n')
    given['numbers'] += 'big_tiny  2'
    with pytest.raises(ValueError, match='one has two numbers, 1.0 and 2.0'):
        make(given, 'one')


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(column='pairs'), "`tables` has 'column'.*meant: columns"),
        (dict(lines=dict(kd=dict(config='x'))), "`kd` lacks 'title'"),
    ],
)
def test_keys_are_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(KeyError, match=message):
        make({**table(), **given})


def test_replace_marked() -> None:
    text = 'a\n<!-- rows:x -->\nold\n<!-- /rows:x -->\nb\n'
    once = replace_marked(text, 'rows:x', r'new \1' + '\n')
    assert once == text.replace('old', r'new \1')
    with pytest.raises(ValueError, match='no markers <!-- rows:y -->.*add'):
        replace_marked(text, 'rows:y', '')
