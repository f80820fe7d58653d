"""The documents: their rules, the reserved tag, expectations, export and import. No Flask in here."""
