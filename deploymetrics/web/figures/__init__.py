"""What documents say, made ready for a person: laid out, compared, counted over time and drawn. No Flask in here.

    numbers.py       what counts as a number
    identity.py      which members name the elements of an array
    leaves.py        a value as its leaves, each at a place that stays the same from version to version
    presentation.py  facts, a table, or a tree that folds
    differences.py   what differs between two versions
    series.py        the numbers over the history
    plots.py         plots as SVG

All of it is bounded, whatever a document holds, and says where it left something out.
"""
