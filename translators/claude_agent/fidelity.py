"""What becomes of every request field on its way through Claude's command line.

What the Messages API can do, the command line passes on; these are the exceptions, each found by
experiment with claude-agent-sdk 0.2.187 and its CLI 2.1.330.
"""

from translators.anthropic_messages import fidelity as messages
from translators.fidelity import Rule

__all__ = ["AGENT_RULES", "ONCE", "RULES"]

_MARKS = "by the CLI's own marks, at the end of the system prompt and of the last turn"
_SHORT = "what the CLI marks is cached for five minutes"
_LATER = "by a text of the user's: the CLI takes only turns of user and assistant"
_SAMPLING = (
    "sent to the models that still take it, else not; from 4.1 on not alone, for the CLI says "
    "`temperature: 1` itself"
)

RULES: dict[str, Rule] = {
    **messages.RULES,
    "cache_control": Rule("emulated", (), _MARKS),
    "prompt_cache_options": Rule("emulated", (), _MARKS),
    "prompt_cache_retention": Rule("ignored", (), _SHORT),
    "top_p": Rule("native", (1,), _SAMPLING),
    "`cache_control` on a part": Rule("emulated", (), _MARKS),
    "`prompt_cache_breakpoint` on a part": Rule("emulated", (), _MARKS),
    "web_search_options": Rule("rejected", (), "its tools are the client's own only"),
    "`system` message later on": Rule("emulated", (), _LATER),
    "answer begun by the client": Rule("rejected", (), "the CLI asks for whole answers only"),
}
"""The verdict on each top-level field, and on each kind of content."""

_POLICYS = "an agent has the tools that its policy names, and no others"
_CHOOSES = "an agent chooses among its tools itself"
_TWICE = "an agent would do all that it does once more"

AGENT_RULES: dict[str, Rule] = {
    "function_call": Rule("rejected", ("auto",), _CHOOSES),
    "functions": Rule("rejected", ([],), _POLICYS),
    "max_completion_tokens": Rule("emulated", (), "holds for each call of the model, not for all"),
    "max_tokens": Rule("emulated", (), "holds for each call of the model, not for all"),
    "n": Rule("rejected", (1,), _TWICE),
    "parallel_tool_calls": Rule("ignored", (True,), _CHOOSES),
    "tool_choice": Rule("rejected", ("auto",), _CHOOSES),
    "tools": Rule("rejected", ([],), _POLICYS),
}
"""Where the verdict is another one if the policy opens tools of this machine to the agent."""

ONCE = f"its form would have to be checked and asked for again: {_TWICE}"
"""Why an agent is asked for no form of JSON that the API does not see to itself."""
