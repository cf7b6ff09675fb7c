"""tools/list_taps.py: paths, shapes and marks."""

from __future__ import annotations

import pytest


def test_lists_student_and_teacher_without_checkpoint(toy, tool, capsys):
    toy.teacher.unlink()
    main = tool('list_taps').main
    main([str(toy.distiller), '--input-shape', '3', '32', '64'])
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert 'student: EncoderDecoder, input (2, 3, 32, 64)' in text
    assert 'teacher: EncoderDecoder, input (2, 3, 32, 64)' in text

    rows = {line[0]: line for line in lines if len(line) > 2}
    row = rows['decode_head.conv_seg']  # 8 channels to 8 classes
    assert row[1:3] == ['Conv2d', '72']
    assert ' '.join(row[3:]) == '(2, 8, 4, 8) (2, 8, 4, 8)'
    assert 'not called' in ' '.join(rows['decode_head.loss_decode'])
    assert '(overwritten)' in ' '.join(rows['backbone.bn1'])
    assert '(overwritten)' not in ' '.join(rows['backbone.relu'])
    assert '(overwritten)' not in ' '.join(rows['backbone.layer4.1'])


def test_filter_takes_paths_and_classes(toy, tool, capsys):
    tool('list_taps').main(
        [str(toy.student), '--filter', 'MaxPool', '--input-shape']
        + ['3', '32', '32']
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('network: EncoderDecoder')
    assert [line.split()[0] for line in lines[1:3]] == [
        'path',
        'backbone.maxpool',
    ]


@pytest.mark.parametrize('shape', [('4', '32', '32')])
def test_wrong_input_gives_one_line(toy, tool, error_line, shape):
    line = error_line(
        tool('list_taps').main, toy.student, '--input-shape', *shape
    )
    assert '--input-shape C H W' in line


def test_filter_is_a_regular_expression(toy, tool, capsys):
    arguments = ['--input-shape', '3', '32', '32']
    pattern = r'^backbone\.layer[34]$'
    tool('list_taps').main([str(toy.student), '--filter', pattern, *arguments])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == [
        'backbone.layer3',
        'backbone.layer4',
    ]
    assert not lines[4].strip()


def test_filter_that_is_none(toy, tool, error_line):
    line = error_line(tool('list_taps').main, toy.student, '--filter', '[')
    assert '--filter [: no regular expression' in line
