"""Who may do what: accounts, passwords, sessions, and slowing down those who guess. No Flask in here."""
