"""What a log says of a policy that took another's place."""

from policy.changes import changes
from policy.schema import Policy
from tests.policy.building import made as policy

BEFORE = """
providers:
  one: {dialect: openai_chat, base_url: "https://one.test/v1", model: a}
  two: {dialect: openai_chat, base_url: "https://two.test/v1", model: b}
personas:
  writer: {provider_preferences: [one], system_prompt: Write.}
  reader: {provider_preferences: [one, two]}
"""


def test_names_of_what_was_added_removed_and_changed() -> None:
    after = """
providers:
  one: {dialect: openai_chat, base_url: "https://secret.test/v1", model: a}
  three: {dialect: openai_chat, base_url: "https://three.test/v1", model: c}
  four: {dialect: openai_chat, base_url: "https://four.test/v1", model: d}
personas:
  writer: {provider_preferences: [one], system_prompt: Write well.}
  reader: {provider_preferences: [one]}
  new: {provider_preferences: [three]}
strict: true
media: {fetch: false}
"""
    said = changes(policy(BEFORE), policy(after))
    assert said == (
        "persona added: new; personas changed: writer, reader; "
        "providers added: three, four; provider removed: two; provider changed: one; "
        "strict, media changed"
    )


def test_keys_are_not_told() -> None:
    key = f"client_keys: [{{name: theirs, sha256: {'ab' * 32}}}]"
    assert changes(policy(BEFORE), policy(BEFORE + key)) == "client_keys changed"


def test_the_same_is_no_change_although_it_was_used() -> None:
    used = policy(BEFORE)
    assert used.candidates
    assert used.personas["writer"].prompt
    assert used.personas["writer"].needs
    assert changes(used, policy(BEFORE)) == ""
    assert changes(policy(BEFORE), used) == ""


def test_the_order_of_personas_is_what_clients_see() -> None:
    one = policy(BEFORE)
    turned = one.replace(personas=dict(reversed(one.personas.items())))
    assert changes(one, turned) == "another order of personas"
    assert changes(Policy(), one).startswith("personas added")
