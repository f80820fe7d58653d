"""Formats: JSON as text, JSON as XML, and text for logs and terminals. No Flask in here."""
