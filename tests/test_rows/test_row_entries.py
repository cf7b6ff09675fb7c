"""Rows, exceptions and templates of rows.yml."""

from __future__ import annotations

from typing import Any

import pytest

from mmkd.rows import Entries

SECTIONS: dict[str, Any] = dict(
    networks=dict(
        big=dict(title='Big', taps="'one',\n'two',"),
        small=dict(title='Small', taps=''),
    ),
    pairs=dict(
        big_small=dict(title='b, s', teacher='big', student='small'),
        big_big=dict(title='b, b', teacher='big', student='big'),
    ),
    methods=dict(kd='KD'),
)


@pytest.fixture
def entries() -> Entries:
    return Entries(SECTIONS)


def test_axes_are_sections_lists_or_single_keys(entries: Entries) -> None:
    rows = entries.rows(
        dict(each=dict(pair='pairs', share=['1', '2'], method='kd'))
    )
    assert [tuple(row.values()) for row in rows] == [
        ('big_small', '1', 'kd'),
        ('big_small', '2', 'kd'),
        ('big_big', '1', 'kd'),
        ('big_big', '2', 'kd'),
    ]


def test_a_list_of_axes_is_a_union(entries: Entries) -> None:
    each = [dict(network='big', data='a'), dict(network='networks', data='b')]
    rows = entries.rows(dict(each=each))
    assert [tuple(row.values()) for row in rows] == [
        ('big', 'a'),
        ('big', 'b'),
        ('small', 'b'),
    ]


def test_no_axis_is_one_row(entries: Entries) -> None:
    assert entries.rows({}) == [{}]


def test_without_and_exceptions(entries: Entries) -> None:
    rows = entries.rows(
        {
            'each': dict(pair='pairs', share=['1', '2']),
            'without': ['2'],
            'with': dict(
                beta=dict(default='8.0', big_big='2.0'), same='<pair>'
            ),
        }
    )
    assert [row['beta'] for row in rows] == ['8.0', '2.0']
    assert [row['same'] for row in rows] == ['<pair>', '<pair>']


def test_the_first_value_of_a_row_decides(entries: Entries) -> None:
    given = {
        'each': dict(network='networks', data='a'),
        'with': dict(x=dict(a='by data', big='by network')),
    }
    assert [row['x'] for row in entries.rows(given)] == [
        'by network',
        'by data',
    ]


def test_fill_follows_fields(entries: Entries) -> None:
    row = dict(pair='big_small', loss='dict(<pair.student>)')
    text = '<pair.teacher.title> teaches <pair.student.title>: <loss>'
    assert entries.fill(text, row) == 'Big teaches Small: dict(small)'


def test_fill_indents_and_drops_lines(entries: Entries) -> None:
    body = 'taps=[\n    <network.taps>\n    {1,2},\n\n]\n'
    big = entries.fill(body, dict(network='big'))
    assert big == "taps=[\n    'one',\n    'two',\n    {1,2},\n\n]\n"
    small = entries.fill(body, dict(network='small'))
    assert small == 'taps=[\n    {1,2},\n\n]\n'


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(without=['big_bg']), "`without` has 'big_bg'.*big_big"),
        (
            {'with': dict(beta=dict(big_smal='1'))},
            "`with: beta` has 'big_smal'.*meant: big_small",
        ),
        (
            {'with': dict(beta=dict(big_big='1'))},
            "no 'beta' for big_small and no default; add",
        ),
    ],
)
def test_rows_that_are_not_there(
    entries: Entries, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(KeyError, match=message):
        entries.rows(dict(each=dict(pair='pairs'), **given))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('<method>', '<method> names no axis of `each`.*there are: pair'),
        ('<pair.size>', "'big_small' has no 'size'; add it in `entries`"),
        ('<pair.teacher.size>', "'big' has no 'size'"),
    ],
)
def test_unknown_names(entries: Entries, text: str, message: str) -> None:
    with pytest.raises(KeyError, match=message):
        entries.fill(text, dict(pair='big_small'))


def test_a_key_in_two_sections() -> None:
    with pytest.raises(ValueError, match="'a' stands twice.*'second'"):
        Entries(dict(first=dict(a='A'), second=dict(a='A')))
