"""Text that came from outside, for a log or a terminal."""


def escaped(text: str) -> str:
    """Return the text with everything as a backslash escape that could steer a terminal or begin another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
