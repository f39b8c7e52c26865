"""Parts of pages that are written by a command, between two marks."""

__all__ = ["with_part"]


def with_part(text: str, begin: str, end: str, part: str, *, page: str) -> str:
    """Return the text of a page with a part of it as it is now.

    Args:
        text: Of the whole page.
        begin: The mark before the part.
        end: The mark behind it.
        part: What stands between them.
        page: The page's name, for the error.

    Raises:
        ValueError: The marks are missing.
    """
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{page} lacks the marks {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"
