"""Text that came from outside, for a log, a terminal or a spreadsheet."""


def escaped(text: str) -> str:
    """Return the text with everything as a backslash escape that could steer a terminal or begin another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def on_one_line(text: str) -> str:
    """Return the text on one line, with a space in the place of what could steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def spreadsheet_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def counted(count: int, noun: str, form: str = "") -> str:
    """Return how many of something there are: ``12 documents``. ``form`` says how the number is written."""
    return f"{count:{form}} {noun}{'' if count == 1 else 's'}"
