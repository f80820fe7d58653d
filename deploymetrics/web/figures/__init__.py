"""Figures: documents laid out, compared and drawn for a person. No Flask in here.

    layout.py       a document as an object, a table, or a tree that folds
    differences.py  what differs between two versions
    small_plots.py  a plot of one series, and the sparklines of the overview
    large_plot.py   a plot of several series
    drawing.py      all of these as SVG, by the templates in templates/figures
    axes.py         the axes of both
    curves.py       which points of a series they draw, where, and where its line has gaps

All of it is bounded, whatever a document holds, and says where it left something out.
"""
