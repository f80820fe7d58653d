"""The values in documents, each at a place that stays the same from version to version. No Flask in here.

    numbers.py     what counts as a number
    identity.py    which members name the elements of an array
    places.py      the leaves of a document, each at its place, and the names of places
    extraction.py  reading many places of a document at once
    measures.py    the numbers of a document that can be plotted
    series.py      the numbers over the history

All of it is bounded, whatever a document holds, and says where it left something out.
"""
