"""tools/publish_backbone.py: the command line."""

from __future__ import annotations

import torch


def test_writes_and_says_how_much(tool, tmp_path, capsys):
    source, out = tmp_path / 'run.pth', tmp_path / 'new' / 'backbone.pth'
    state = {
        'backbone.conv.weight': torch.ones(2),
        'head.deconv_layers.0.weight': torch.ones(3),
        'head.final_layer.weight': torch.ones(4),
    }
    torch.save(dict(state_dict=state, optimizer={}), source)
    main = tool('publish_backbone').main
    main([str(source), str(out)])
    assert capsys.readouterr().out.strip() == f'{out}: 1 tensors'
    main([str(source), str(out), '--keep-deconv'])
    saved = torch.load(out, weights_only=True)
    assert sorted(saved) == ['meta', 'state_dict']
    assert list(saved['state_dict']) == list(state)[:2]


def test_mistakes_give_one_line(tool, tmp_path, error_line):
    main = tool('publish_backbone').main
    line = error_line(main, tmp_path / 'no.pth', tmp_path / 'out.pth')
    assert 'no.pth" does not exist' in line
