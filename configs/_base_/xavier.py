# Initial values of OEM's code, for convolutions and linear layers.
xavier = dict(type='Xavier', layer=['Conv2d', 'Linear'], distribution='normal')
