"""What documents say, made ready for a person: laid out, compared and drawn. No Flask in here.

    presentation.py  facts, a table, or a tree that folds
    differences.py   what differs between two versions
    axes.py          the axes of plots
    lines.py         what of a series a plot draws, and its gaps
    plots.py         small plots as SVG
    chart.py         a large plot of several series as SVG

All of it is bounded, whatever a document holds, and says where it left something out.
"""
