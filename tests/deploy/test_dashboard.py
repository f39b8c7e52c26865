"""The dashboard can be read: every panel has a place, a unit and a sentence."""

from itertools import combinations
from typing import Any

from tests.deploy.queries import dashboard, panels


def test_it_has_a_name_by_which_it_is_found_and_no_number_of_some_server() -> None:
    found = dashboard()
    assert found["uid"] == "execution-platform"
    assert found.get("id") is None, "a number belongs to one Grafana"
    assert found["schemaVersion"] >= 41


def test_numbers_of_panels_are_their_own() -> None:
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)


def area(panel: dict[str, Any]) -> tuple[range, range]:
    place = panel["gridPos"]
    return range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])


def test_no_panel_lies_on_another_or_beyond_the_edge() -> None:
    everything = dashboard()["panels"]
    for panel in everything:
        across, _ = area(panel)
        assert across.start >= 0 and across.stop <= 24, panel["title"]
    for one, other in combinations(everything, 2):
        shared = [set(a) & set(b) for a, b in zip(area(one), area(other), strict=True)]
        assert not all(shared), f"{one['title']} lies on {other['title']}"


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in panels():
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


def test_the_source_of_data_is_chosen_on_the_page() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["datasource"] == chosen, panel["title"]
        assert all(target["datasource"] == chosen for target in panel["targets"]), panel["title"]
    variables = {row["name"]: row for row in dashboard()["templating"]["list"]}
    assert set(variables) == {"datasource", "persona", "provider"}
    assert variables["datasource"]["type"] == "datasource"
    assert all(variables[name]["datasource"] == chosen for name in ("persona", "provider"))


def test_persona_and_provider_narrow_what_is_shown() -> None:
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert sum("$persona" in query for query in queries) > len(queries) / 3
    assert sum("$provider" in query for query in queries) > len(queries) / 3
