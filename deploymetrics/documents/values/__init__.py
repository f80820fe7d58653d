"""The values in documents, each at a place that stays the same from version to version. No Flask in here.

    numbers.py     what counts as a number
    identity.py    which members name the elements of an array
    places.py      a value as its leaves, each at its place, and the places' names
    extraction.py  values out of a document by their places, many at once
    measures.py    what there is to plot
    series.py      its numbers over the history

All of it is bounded, whatever a document holds, and says where it left something out.
"""
