"""Where a text says it is from.

https://platform.claude.com/docs/en/build-with-claude/citations and .../search-results

A citation is of a whole text block. Sources with an address become OpenAI's `annotations`; those
in the client's documents have no form there, and come as they are, in `citations`.
"""

from typing import Any

__all__ = ["CitationLog"]

_ADDRESSES = {"web_search_result_location": "url", "search_result_location": "source"}


class CitationLog:
    """The citations of one answer; each list numbers its entries."""

    __slots__ = ("_annotations", "_citations")

    def __init__(self) -> None:
        self._annotations = 0
        self._citations = 0

    def add(self, found: list[dict[str, Any]], *, start: int, end: int) -> dict[str, Any]:
        """Take the citations of a text block; return the fields of a delta that holds them.

        Args:
            found: The native citations.
            start: Where the block begins in the text of the answer, in characters.
            end: Where it ends.
        """
        annotations: list[dict[str, Any]] = []
        citations: list[dict[str, Any]] = []
        span = {"start_index": start, "end_index": end}
        for citation in found:
            url = citation.get(_ADDRESSES.get(str(citation.get("type")), ""))
            if isinstance(url, str) and url:
                title = citation.get("title")
                source = {**span, "title": title if isinstance(title, str) else "", "url": url}
                entry = {"type": "url_citation", "url_citation": source}
                annotations.append({"index": self._annotations, **entry})
                self._annotations += 1
            else:
                citations.append({"index": self._citations, **span, "citation": citation})
                self._citations += 1
        fields = {"annotations": annotations, "citations": citations}
        return {name: entries for name, entries in fields.items() if entries}
