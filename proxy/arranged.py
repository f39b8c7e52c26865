"""A translated request, with what its answer needs beyond one request of the provider's."""

from collections.abc import Callable

from proxy.checked_json import CheckedJson
from proxy.choices import Choices
from proxy.provider import Prepared
from translators.json_contract import JsonCheck
from translators.protocol import ResponseContext
from translators.wire.request import ChatCompletionRequest

__all__ = ["arranged"]


def arranged(
    prepare: Callable[[ChatCompletionRequest], Prepared],
    chat: ChatCompletionRequest,
    context: ResponseContext,
) -> Prepared:
    """Translate a request; see to its several choices, and to JSON that is to be checked.

    Args:
        prepare: Translates for one API of one provider.
        chat: The request.
        context: Of its answer.

    Raises:
        TranslationError: The API cannot express it.
    """
    prepared = prepare(chat)
    if prepared.contract is not None:
        prepared = CheckedJson(prepared, JsonCheck(prepared.contract), chat, prepare)
    # Outside of the check: each choice is checked, and mended, by itself.
    return Choices(prepared, context) if prepared.choices > 1 else prepared
