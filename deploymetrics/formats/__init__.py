"""JSON as text, and JSON as XML. No Flask in here."""
